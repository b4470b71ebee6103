"""`hub connectors setup`: the webhook subscription at PagerDuty, made once and found again afterwards."""

from __future__ import annotations

from connectors.connector import Tools
from connectors.pagerduty import subscriptions
from connectors.pagerduty.api import Refused, api, entry, refusal
from connectors.pagerduty.settings import PagerDutySettings
from core.errors import Misconfigured


async def setup(settings: PagerDutySettings, tools: Tools, public_url: str) -> list[str]:
    """Lines for the operator. The signing secret is in the first answer of PagerDuty and never again.

    Raises Misconfigured, Rejected, Retryable or Uncertain (then run it again: it looks first)."""
    url = public_url.rstrip("/") + subscriptions.hook_path(settings.id)
    if not url.startswith("https://") and settings.test_base_url is None:
        raise Misconfigured(
            "public_url",
            f"PagerDuty only delivers to https://, not to {url}. Set `server.public_url` to the hub's public address.",
        )
    account = api(settings, tools)
    existing = [
        one for one in await subscriptions.ours(account, settings.id) if subscriptions.url_of(one) == url
    ]
    if existing:
        return await _existing(settings, existing[0], tools)
    try:
        answer = await account.call(
            "POST", subscriptions.PATH, subscriptions.wanted(settings, url), writes=True
        )
    except Refused as refused:
        raise refusal(refused.answer, writes=True) from refused
    made = entry(answer.body, "webhook_subscription")
    secret = entry(made, "delivery_method").get("secret")
    where = settings.auth.webhook_secrets.entries[0].ref
    return [
        f"Subscription {made.get('id')} made: {settings.subscription.filter}, {', '.join(subscriptions.topics(settings))}.",
        f"Its signing secret, shown once: {secret}",
        f"Store it as {where} (auth.webhook_secrets), reload the hub, then run `hub connectors doctor {settings.id}`.",
    ]


async def _existing(settings: PagerDutySettings, one: dict[str, object], tools: Tools) -> list[str]:
    there = (
        f"Subscription {one.get('id')} is there already. PagerDuty shows its secret only once; if it is lost, delete "
        "the subscription at PagerDuty (Integrations > Generic Webhooks (v3)) and run this again."
    )
    lines = [there]
    if subscriptions.disabled(one):
        await subscriptions.enable(api(settings, tools), one)
        lines.append("PagerDuty had disabled it after three refused deliveries; it is on again.")
    missing = subscriptions.missing_topics(settings, one)
    if missing:
        lines.append(f"It does not send {', '.join(missing)}: add these events to it at PagerDuty.")
    if one.get("active") is False:
        lines.append("It is switched off: switch it on at PagerDuty.")
    return lines
