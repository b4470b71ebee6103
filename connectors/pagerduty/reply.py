"""Answers into PagerDuty incidents: the TicketWriter port. PagerDuty has no idempotency key, so a note is found again by
the marker in its text; fields and states may be written twice without harm. Driven by the hub's reply job."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from connectors.calls import Answer
from connectors.connector import Tools
from connectors.pagerduty.api import (
    ALREADY_ACKNOWLEDGED,
    ALREADY_RESOLVED,
    MERGED,
    PAGE,
    SYSTEM,
    Api,
    Refused,
    api,
    checked,
    entry,
    member,
    objects,
    refusal,
)
from connectors.pagerduty.notes import settle
from connectors.pagerduty.settings import ID, PagerDutySettings
from connectors.pagerduty.steps import Request, note_text, request_of
from core.errors import Rejected, Uncertain
from core.replies.ticketing import Call, Write

log = logging.getLogger(__name__)

MOST_MERGES = 3  # an incident merged into one that was merged itself, and so on
REPEATABLE = frozenset({"custom_fields", "field_values", "acknowledge", "resolve"})


class PagerDutyWriter:
    """Implements core/replies/ticketing.TicketWriter. `requester` is the id of the hub's user, `own` those of all users
    that the hub writes as."""

    def __init__(self, api: Api, requester: str | None = None, own: frozenset[str] = frozenset()):
        self._api = api
        self._requester = requester
        self._own = own

    async def write(self, write: Write) -> str:
        """The one action. A merged incident (1019) is followed to the one it became; what is already resolved (1001) or
        acknowledged (1002) is done."""
        for _ in range(MOST_MERGES):
            request = request_of(write, self._requester)
            try:
                if write.actions[0].kind == "acknowledge" and (done := await self._over(write.ticket_id)):
                    return done
                answer = await self._api.call(request.method, request.path, request.body, writes=True)
                return written(request, answer)
            except Refused as refused:
                if refused.code in (ALREADY_RESOLVED, ALREADY_ACKNOWLEDGED) and request.method == "PUT":
                    return request.done
                target = await self._merged_into(write.ticket_id) if refused.code == MERGED else None
                if target is None:
                    raise refusal(refused.answer, writes=True) from refused
                write = msgspec.structs.replace(write, ticket_id=target)
        raise Rejected("incident_merged", f"The incident was merged more than {MOST_MERGES} times over.")

    async def find(self, write: Write) -> str | None:
        """What an earlier write left: a note by its marker, where copies of it are deleted; a status update or a call for
        responders by the marker in the incident's log. Raises Rejected when the log does not show the latter two, which
        page people and so are never sent twice on a guess."""
        [action] = write.actions
        checked(write.ticket_id)
        if action.kind in REPEATABLE:
            return None
        where: str | None = write.ticket_id
        for _ in range(MOST_MERGES):
            if where is None:
                break
            here = msgspec.structs.replace(write, ticket_id=where)
            found = await (self._note(here) if action.kind == "note" else self._in_log(here))
            if found is not None:
                return found
            where = await self._merged_into(where)
        if action.kind == "note":
            return None
        raise Rejected(
            "cannot_tell",
            f"Nobody can tell whether {SYSTEM} took this {action.kind}: its log does not show it. Look at the "
            "incident, then give the reply up or send it again.",
        )

    def preview(self, write: Write) -> list[Call]:
        request = request_of(write, self._requester)
        return [self._api.client.preview(request.method, request.path, request.body)]

    async def _note(self, write: Write) -> str | None:
        """GET /incidents/{id}/notes (not paged, at most 2000)."""
        path = f"/incidents/{checked(write.ticket_id)}/notes"
        content = note_text(write)
        found = settle(await self._api.listed(path, "notes"), write.marker, content, self._own)
        if found.keep is None:
            return None
        for note_id in found.delete:
            await self._mend("DELETE", f"{path}/{_note_id(note_id)}", None)
        if found.put:
            await self._mend("PUT", f"{path}/{_note_id(found.keep)}", {"note": {"content": content}})
        return found.keep

    async def _mend(self, method: Any, path: str, body: dict[str, Any] | None) -> None:
        """Edit or remove one of our notes; doing so twice changes nothing, so it leaves no doubt. A note that is gone
        already, or may not be touched, stays as it is: the answer is on the incident all the same."""
        try:
            await self._api.call(method, path, body, writes=False)
        except Refused as refused:
            log.warning("%s does not let us %s %s: %s", SYSTEM, method, path, refused.code)

    async def _in_log(self, write: Write) -> str | None:
        """The newest hundred entries of the incident's log are enough: the write was a moment ago."""
        path = f"/incidents/{checked(write.ticket_id)}/log_entries"
        params = {"limit": PAGE, "is_overview": "false", "include": ["channels"]}
        for one in objects((await self._api.read(path, params)).body, "log_entries"):
            if write.marker in msgspec.json.encode(one).decode():
                return str(one.get("id"))
        return None

    async def _over(self, incident_id: str) -> str | None:
        """`acknowledged` on an incident that is resolved would open it again (REST API reference, update an incident),
        so we look first."""
        status = member(await self._incident(incident_id), "status")
        return {"resolved": "already_resolved", "acknowledged": "already_acknowledged"}.get(str(status))

    async def _merged_into(self, incident_id: str) -> str | None:
        """The incident that this one became: `resolve_reason` of a merged one names it."""
        reason = entry(await self._incident(incident_id), "resolve_reason")
        target = entry(reason, "incident").get("id")
        if (
            reason.get("type") != "merge_resolve_reason"
            or not isinstance(target, str)
            or not ID.match(target)
        ):
            return None
        return target

    async def _incident(self, incident_id: str) -> dict[str, Any]:
        return entry((await self._api.read(f"/incidents/{checked(incident_id)}")).body, "incident")


def written(request: Request, answer: Answer) -> str:
    """The vendor's id of what was written. Raises Uncertain for a 2xx that names none: `find` settles it."""
    if not request.at:
        return request.done
    found = entry(answer.body, request.at).get("id")
    if not isinstance(found, str) or not found:
        raise Uncertain("no_id", f"{SYSTEM} took the {request.at} ({answer.status}) but named no id for it.")
    return found


def writer(settings: PagerDutySettings, tools: Tools) -> PagerDutyWriter:
    """A writer for one connector file."""
    return PagerDutyWriter(api(settings, tools), settings.auth.user_id, settings.own_agents)


def _note_id(note_id: str) -> str:
    if not ID.match(note_id):
        raise Rejected("bad_note_id", f"{note_id[:40]!r} is not the id of a {SYSTEM} note.")
    return note_id
