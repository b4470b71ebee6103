"""`hub connectors doctor` for PagerDuty: every part of a configuration tried against the account, each failure with its
fix. Nothing stays behind: the canary note is deleted again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from secrets import token_hex
from typing import Any, cast

from connectors.calls import Answer
from connectors.connector import Check, Tools, Visit
from connectors.pagerduty import subscriptions
from connectors.pagerduty.api import Api, Refused, api, checked, entry, member, refusal
from connectors.pagerduty.settings import PagerDutySettings
from core import clock
from core.errors import HubError, Rejected

MOST_SKEW = 60  # seconds between PagerDuty's clock and ours
LEAST_HEADROOM = 10  # percent of the calls of this minute

MAKE_A_KEY = "PagerDuty: Integrations > API Access Keys > Create New API Key (not read-only), then set {ref}."


class PagerDutyDoctor:
    """One visit. `answer` is the first one, for what only its headers tell."""

    def __init__(self, settings: PagerDutySettings, api: Api, visit: Visit):
        self._settings = settings
        self._api = api
        self._visit = visit
        self._answer: Answer | None = None

    async def examine(self) -> list[Check]:
        token = await self._tried("token", self._token)
        found = [self._secrets(), *token]
        if token[0].ok is not True:
            return found  # every other call would say the same
        found += await self._tried("sender", self._sender)
        found += await self._tried("custom fields", self._fields)
        found += await self._tried("subscription", self._subscription)
        found += await self._tried("canary note", self._canary)
        return [*found, self._clock(), self._headroom()]

    async def _tried(self, name: str, work: Callable[[], Awaitable[list[Check]]]) -> list[Check]:
        """A check that could not be made says why."""
        try:
            return await work()
        except Refused as refused:
            error: HubError = refusal(refused.answer, writes=False)
        except HubError as problem:
            error = problem
        if error.facts.get("status") in (401, 403):
            ref = self._settings.auth.api_token.entries[0].ref
            return [Check(name=name, ok=False, said=error.message, fix=MAKE_A_KEY.format(ref=ref))]
        if isinstance(error, Rejected):
            return [Check(name=name, ok=False, said=error.message, fix="Put right what PagerDuty refuses.")]
        return [Check(name=name, ok=None, said=error.message, fix="Run this again in a minute.")]

    def _secrets(self) -> Check:
        secrets = self._settings.auth.webhook_secrets
        active = len(secrets.active(clock.now()))
        return Check(
            name="webhook secret",
            ok=active > 0,
            said=f"{active} of {len(secrets.entries)} webhook secrets are set and in force",
            fix=""
            if active
            else f"Run `hub connectors setup {self._settings.id}` and store the secret it prints as "
            f"{secrets.entries[0].ref}.",
        )

    async def _token(self) -> list[Check]:
        """GET /abilities: every kind of key may ask it, where /users/me wants a user's own key."""
        token = self._settings.auth.api_token
        if not token.current(clock.now()):
            ref = token.entries[0].ref
            return [Check(name="token", ok=False, said=f"{ref} is empty", fix=MAKE_A_KEY.format(ref=ref))]
        self._answer = await self._api.read("/abilities")
        listed = member(self._answer.body, "abilities")
        abilities = cast("list[object]", listed) if isinstance(listed, list) else []
        found = [Check(name="token", ok=True, said=f"{self._settings.api_url} takes our token")]
        if any(step.responders for step in self._settings.steps()):
            able = "coordinated_responding" in abilities
            fix = "" if able else "The plan has no Coordinated Responding: take `responders` out of outbound."
            said = f"the account {'can' if able else 'cannot'} request responders"
            found.append(Check(name="responders", ok=able, said=said, fix=fix))
        return found

    async def _sender(self) -> list[Check]:
        auth = self._settings.auth
        users = await self._api.listed("/users", "users", {"query": auth.sender, "limit": 25})
        same = [user for user in users if str(user.get("email")).lower() == auth.sender.lower()]
        if not same:
            return [
                Check(
                    name="sender",
                    ok=False,
                    said=f"no user of the account has the address {auth.sender}",
                    fix="Make a user for the hub alone (People > Users > Add Users, role Responder) and put its "
                    "address into `auth.from`.",
                )
            ]
        user_id = str(same[0].get("id"))
        known = user_id in self._settings.own_agents
        fix = f"Write `user_id: {user_id}` under `auth`, so that what the hub writes asks nobody."
        return [
            Check(name="sender", ok=True, said=f"{auth.sender} is the user {user_id}"),
            Check(
                name="own user",
                ok=known and auth.user_id in (None, user_id),
                said=f"events of {user_id} are {'ignored as our own' if known else 'not taken for our own'}",
                fix="" if known and auth.user_id in (None, user_id) else fix,
            ),
        ]

    async def _fields(self) -> list[Check]:
        """The fields that steps write must be there, and take what they write."""
        texts = {name for step in self._settings.steps() for name in step.custom_fields or {}}
        if not texts:
            return []
        there = {
            str(one.get("name")): one for one in await self._api.listed("/incidents/custom_fields", "fields")
        }
        return [self._field(name, there.get(name)) for name in sorted(texts)]

    def _field(self, name: str, field: dict[str, Any] | None) -> Check:
        title = f"custom field {name}"
        if field is None:
            fix = f"Make it: Incidents > Incident Types > Base Incident > Fields > New Field, name `{name}`, type Text."
            return Check(name=title, ok=False, said="the account has no such field", fix=fix)
        kind, shape = str(field.get("data_type")), str(field.get("field_type"))
        fits = kind in ("string", "url", "datetime") and shape in ("single_value", "single_value_fixed")
        fix = (
            "Use `field_values:` (JMESPath) for a field that is no single text, in place of `custom_fields:`."
        )
        said = f"it is a {kind} ({shape})"
        return Check(name=title, ok=fits, said=said, fix="" if fits else fix)

    async def _subscription(self) -> list[Check]:
        settings = self._settings
        setup = f"Run `hub connectors setup {settings.id}`."
        url = self._visit.public_url.rstrip("/") + subscriptions.hook_path(settings.id)
        all_of_ours = await subscriptions.ours(self._api, settings.id)
        ours = [one for one in all_of_ours if subscriptions.url_of(one) == url]
        if not ours:
            others = ", ".join(subscriptions.url_of(one) for one in all_of_ours)
            said = f"no subscription sends to {url}" + (f", only to {others}" if others else "")
            return [Check(name="subscription", ok=False, said=said, fix=setup)]
        one = ours[0]
        if subscriptions.disabled(one):
            return [
                Check(name="subscription", ok=False, said="PagerDuty disabled it for 24 hours", fix=setup)
            ]
        if one.get("active") is False:
            fix = "Integrations > Generic Webhooks (v3): switch it on."
            return [Check(name="subscription", ok=False, said="it is switched off", fix=fix)]
        missing = subscriptions.missing_topics(settings, one)
        fix = "Integrations > Generic Webhooks (v3): add these events." if missing else ""
        said = f"it does not send {', '.join(missing)}" if missing else f"{one.get('id')} sends to {url}"
        return [Check(name="subscription", ok=not missing, said=said, fix=fix)]

    async def _canary(self) -> list[Check]:
        """Written, read back, deleted: the whole way of an answer. Its echo carries the marker and asks nobody."""
        if not self._visit.ticket_id:
            said = "left out: no incident was named"
            fix = f"hub connectors doctor {self._settings.id} --ticket INCIDENT_ID"
            return [Check(name="canary note", ok=None, said=said, fix=fix)]
        path = f"/incidents/{checked(self._visit.ticket_id)}/notes"
        marker = f"{self._settings.loop_guard.marker}canary_{token_hex(8)}]"
        body = {"note": {"content": f"The hub tries whether it can write here. {marker}"}}
        made = await self._api.call("POST", path, body, writes=True)
        note_id = str(entry(made.body, "note").get("id"))
        notes = await self._api.listed(path, "notes")
        back = any(note.get("id") == note_id and marker in str(note.get("content")) for note in notes)
        await self._api.call("DELETE", f"{path}/{checked(note_id)}", writes=False)
        said = "written, read back and deleted" if back else "written, but it came back without our marker"
        fix = (
            "" if back else "Ask PagerDuty what changes notes in this account: replies cannot be found again."
        )
        return [Check(name="canary note", ok=back, said=said, fix=fix)]

    def _clock(self) -> Check:
        date = self._answer.headers.get("date", "") if self._answer else ""
        try:
            skew = abs(clock.to_ms(parsedate_to_datetime(date)) - clock.now_ms()) // 1000
        except ValueError:
            return Check(name="clock", ok=None, said="PagerDuty's answer had no time")
        fix = "" if skew <= MOST_SKEW else "Set this machine's clock (NTP): reconciliation asks by time."
        return Check(name="clock", ok=skew <= MOST_SKEW, said=f"{skew} s apart from PagerDuty's", fix=fix)

    def _headroom(self) -> Check:
        headers: Mapping[str, str] = self._answer.headers if self._answer else {}
        limit, left = headers.get("ratelimit-limit", ""), headers.get("ratelimit-remaining", "")
        if not (limit.isdigit() and left.isdigit()) or int(limit) == 0:
            return Check(name="rate limit", ok=None, said="PagerDuty's answer did not tell it")
        enough = int(left) * 100 >= int(limit) * LEAST_HEADROOM
        fix = "" if enough else "Another program uses up this key's calls: give the hub a key of its own."
        return Check(name="rate limit", ok=enough, said=f"{left} of {limit} calls left this minute", fix=fix)


async def doctor(settings: PagerDutySettings, tools: Tools, visit: Visit) -> list[Check]:
    """Everything that could be told. Raises nothing of PagerDuty's: what failed is a check."""
    return await PagerDutyDoctor(settings, api(settings, tools), visit).examine()
