"""The webhook subscription at PagerDuty that feeds this hub: found, made, switched on again. Used by `setup.py`,
`doctor.py` and `reconcile.py`."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from connectors.pagerduty.api import Api, Refused, entry, refusal
from connectors.pagerduty.settings import ID, PagerDutySettings
from core.errors import Rejected

PATH = "/webhook_subscriptions"
ALWAYS_SENT = "pagey.ping"  # no topic of a subscription: it comes when one asks for it


def hook_path(connector_id: str) -> str:
    """Where the hub takes a connector's deliveries, below its public URL."""
    return f"/hooks/in/{connector_id}"


async def ours(api: Api, connector_id: str) -> list[dict[str, Any]]:
    """The subscriptions whose address is this connector's, on whatever host. Raises as `Api.read`."""
    found, _ = await api.pages(PATH, "webhook_subscriptions")
    return [one for one in found if urlsplit(url_of(one)).path.rstrip("/").endswith(hook_path(connector_id))]


def url_of(subscription: dict[str, Any]) -> str:
    url = entry(subscription, "delivery_method").get("url")
    return url if isinstance(url, str) else ""


def disabled(subscription: dict[str, Any]) -> bool:
    """PagerDuty's own decision after three dropped deliveries; it lasts 24 hours (docs/webhooks/02-Behavior.md)."""
    return entry(subscription, "delivery_method").get("temporarily_disabled") is True


async def enable(api: Api, subscription: dict[str, Any]) -> None:
    """POST /webhook_subscriptions/{id}/enable; twice changes nothing. Raises as `Api.read`."""
    try:
        await api.call("POST", f"{PATH}/{id_of(subscription)}/enable", writes=False)
    except Refused as refused:
        raise refusal(refused.answer, writes=False) from refused


def id_of(subscription: dict[str, Any]) -> str:
    found = str(subscription.get("id"))
    if not ID.match(found):
        raise Rejected("bad_subscription_id", f"{found[:40]!r} is not the id of a webhook subscription.")
    return found


def wanted(settings: PagerDutySettings, url: str) -> dict[str, Any]:
    """The body of POST /webhook_subscriptions."""
    wanted = settings.subscription
    scope: dict[str, Any] = {"type": f"{wanted.filter}_reference"}
    if wanted.id is not None:
        scope["id"] = wanted.id
    return {
        "webhook_subscription": {
            "type": "webhook_subscription",
            "description": f"Human answers ({settings.id})",
            "delivery_method": {"type": "http_delivery_method", "url": url},
            "events": topics(settings),
            "filter": scope,
        }
    }


def topics(settings: PagerDutySettings) -> list[str]:
    return [topic for topic in dict.fromkeys(settings.inbound.topics) if topic != ALWAYS_SENT]


def missing_topics(settings: PagerDutySettings, subscription: dict[str, Any]) -> list[str]:
    """Topics of the file that the subscription does not send."""
    sent = subscription.get("events")
    return [topic for topic in topics(settings) if not isinstance(sent, list) or topic not in sent]
