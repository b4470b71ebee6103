"""What PagerDuty gave up sending: its log since the last look, as deliveries. A subscription that PagerDuty disabled is
switched on first, so that nothing falls between. Run by the hub's `connector.reconcile` job."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

from connectors.connector import Tools
from connectors.expression_functions import moment_of
from connectors.pagerduty import events, subscriptions
from connectors.pagerduty.api import MOST, Api, api, entry
from connectors.pagerduty.settings import PagerDutySettings
from core import clock
from core.errors import Misconfigured, Rejected
from core.intake.envelope import InboundDelivery

log = logging.getLogger(__name__)


class PagerDutyReconciler:
    """Implements connectors/connector.Reconciler. `most` entries are listed in one go."""

    def __init__(self, settings: PagerDutySettings, api: Api, most: int = MOST):
        self._settings = settings
        self._api = api
        self._most = most

    async def changes(self, since_ms: int) -> AsyncIterator[InboundDelivery]:
        """The routed kinds since then, oldest first. Raises Retryable or Misconfigured."""
        await self._revive()
        told: set[str] = set()  # notes of an incident are listed once for all its entries
        for one in await self._log(since_ms):
            event_type = events.EVENT_OF[str(one.get("type"))]
            async for found in self._told(event_type, one, since_ms):
                if found.delivery_id not in told:
                    told.add(found.delivery_id)
                    yield found

    async def _revive(self) -> None:
        """A token that may not see subscriptions still reads the log; `hub connectors doctor` says what it lacks."""
        try:
            for one in await subscriptions.ours(self._api, self._settings.id):
                if subscriptions.disabled(one):
                    await subscriptions.enable(self._api, one)
                    log.warning("%s: PagerDuty had disabled our webhook; it is on again", self._settings.id)
        except Rejected as error:
            log.warning("%s: the webhook subscription cannot be looked at: %s", self._settings.id, error)
        except Misconfigured as error:
            if error.facts.get("status") != 403:
                raise
            log.warning("%s: the token may not see webhook subscriptions: %s", self._settings.id, error)

    async def _log(self, since_ms: int) -> list[dict[str, Any]]:
        """Entries of the routed kinds, oldest first, each once. The API lists the newest first and at most 10,000:
        what is older than those is asked for again with an earlier end."""
        found: dict[str, dict[str, Any]] = {}
        until = clock.iso(clock.now())
        while True:
            params = {
                "since": clock.iso(clock.from_ms(since_ms)),
                "until": until,
                "is_overview": "false",
                "include": ["incidents"],
            }
            page, more = await self._api.pages("/log_entries", "log_entries", params, self._most)
            before = len(found)
            found.update({str(one.get("id")): one for one in page})
            oldest = min((str(one.get("created_at")) for one in page), default=until, key=_ms)
            if not more or len(found) == before:
                break
            until = oldest
        # The sort is stable: within one second PagerDuty's own order holds.
        wanted = [one for one in reversed(found.values()) if self._wanted(one)]
        return sorted(wanted, key=lambda one: _ms(one.get("created_at")))

    def _wanted(self, one: dict[str, Any]) -> bool:
        event_type = events.EVENT_OF.get(str(one.get("type")))
        return event_type in self._settings.inbound.topics and bool(events.incident_of(one))

    async def _told(
        self, event_type: str, one: dict[str, Any], since_ms: int
    ) -> AsyncIterator[InboundDelivery]:
        incident = events.incident_of(one)
        incident_id, at, agent = incident["id"], str(one.get("created_at")), one.get("agent")
        try:
            if "status" not in incident:
                answer = await self._api.read(f"/incidents/{incident_id}")
                incident = entry(answer.body, "incident")
            if not events.worth_telling(event_type, incident):
                return
            if event_type == events.NOTE:
                for note in await self._notes(incident_id, since_ms):
                    data = events.note_data(incident, note)
                    when = str(note.get("created_at"))
                    yield events.delivery(
                        event_type, incident_id, str(note["id"]), when, note.get("user"), data
                    )
                return
            data = (
                await self._fields(incident, one)
                if event_type == events.FIELDS
                else events.incident_data(incident)
            )
            yield events.delivery(event_type, incident_id, str(one.get("id")), at, agent, data)
        except Rejected as error:
            # Deleted meanwhile: nobody waits for an answer there, and the rest of the log is still to come.
            log.warning("%s: incident %s is left out: %s", self._settings.id, incident_id, error.message)

    async def _notes(self, incident_id: str, since_ms: int) -> list[dict[str, Any]]:
        """A log entry does not name its note, and the note's id is what the webhook is about."""
        notes = await self._api.listed(f"/incidents/{incident_id}/notes", "notes")
        since = since_ms // 1000 * 1000  # the API's times are whole seconds
        # Oldest first: the API lists the newest first, and within one second that order turned round is all there is.
        recent = [
            one
            for one in reversed(notes)
            if _ms(one.get("created_at")) >= since and isinstance(one.get("id"), str)
        ]
        return sorted(recent, key=lambda one: _ms(one.get("created_at")))

    async def _fields(self, incident: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
        path = f"/incidents/{incident['id']}/custom_fields/values"
        return events.fields_data(incident, await self._api.listed(path, "custom_fields"), one)


def reconciler(settings: PagerDutySettings, tools: Tools) -> PagerDutyReconciler | None:
    """None without a token: then there is nobody to ask as."""
    if not settings.auth.api_token.current(clock.now()):
        return None
    return PagerDutyReconciler(settings, api(settings, tools))


def _ms(value: object) -> int:
    """UTC ms of the API's time; 0, hence too old, for what is none."""
    moment = moment_of(value)
    return clock.to_ms(moment) if moment else 0
