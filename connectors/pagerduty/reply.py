"""Notes on PagerDuty incidents: the TicketWriter port. PagerDuty has no idempotency key, so a note is found again by
the marker in its text. Driven by the hub's reply job."""

from __future__ import annotations

from typing import Any, Literal, cast

from connectors.calls import Answer, NoAnswer, NotSent, failure_of, failure_of_status, seconds_to_wait
from connectors.connector import Tools
from connectors.pagerduty.client import PagerDutyClient
from connectors.pagerduty.normalize import INCIDENT_ID
from connectors.pagerduty.settings import PagerDutySettings
from core import clock
from core.errors import HubError, Misconfigured, Rejected, Uncertain
from core.replies.ticketing import Call, Write

SYSTEM = "PagerDuty"

# PagerDuty/developer-docs docs/REST-API/14-Errors.md
REQUESTER_NOT_FOUND, MERGED, NOT_FOUND, NOT_FOUND_TOO = 1008, 1019, 2100, 5001


class PagerDutyWriter:
    """Implements core/replies/ticketing.TicketWriter."""

    def __init__(self, client: PagerDutyClient):
        self._client = client

    async def write(self, write: Write) -> str:
        """POST /incidents/{id}/notes. A verified 2xx without a note id counts as uncertain: `find` settles it."""
        answer = await self._call("POST", write.ticket_id, body_of(write))
        note_id = _member(_member(answer.body, "note"), "id")
        if not isinstance(note_id, str) or not note_id:
            raise Uncertain("no_note_id", f"{SYSTEM} took the note ({answer.status}) but named no id for it.")
        return note_id

    async def find(self, write: Write) -> str | None:
        """GET /incidents/{id}/notes (not paged, at most 2000). The oldest with our marker is ours: whoever quotes it
        does so later."""
        answer = await self._call("GET", write.ticket_id, None)
        notes = _member(answer.body, "notes")
        if not isinstance(notes, list):
            raise failure_of(NoAnswer("the list of notes is missing"), SYSTEM, writes=False)
        ours: list[tuple[str, str]] = []
        for item in cast("list[object]", notes):
            content, note_id = _member(item, "content"), _member(item, "id")
            if isinstance(content, str) and isinstance(note_id, str) and write.marker in content:
                ours.append((str(_member(item, "created_at")), note_id))
        return min(ours)[1] if ours else None

    def preview(self, write: Write) -> list[Call]:
        return [
            self._client.preview("POST", f"/incidents/{incident_id(write.ticket_id)}/notes", body_of(write))
        ]

    async def _call(
        self, method: Literal["GET", "POST"], ticket_id: str, body: dict[str, Any] | None
    ) -> Answer:
        writes = method == "POST"
        path = f"/incidents/{incident_id(ticket_id)}/notes"
        try:
            answer = await self._client.call(method, path, body)
        except (NotSent, NoAnswer) as problem:
            raise failure_of(problem, SYSTEM, writes=writes) from problem
        if not answer.ok:
            raise refusal(answer, writes=writes)
        return answer


def incident_id(ticket_id: str) -> str:
    """The id, fit for a path. Raises Rejected."""
    if not INCIDENT_ID.match(ticket_id):
        raise Rejected("bad_ticket_id", f"{ticket_id[:40]!r} is not the id of a {SYSTEM} incident.")
    return ticket_id


def body_of(write: Write) -> dict[str, Any]:
    """The note, with the marker in the open at its end when its text does not carry it yet."""
    [action] = write.actions
    text = str(action.body)
    return {"note": {"content": text if write.marker in text else f"{text}\n\n{write.marker}"}}


def refusal(answer: Answer, *, writes: bool) -> HubError:
    """An answer that is not 2xx as one of the port's errors."""
    error = _member(answer.body, "error")
    code, message = _member(error, "code"), str(_member(error, "message") or "no message")[:200]
    details = _member(error, "errors")
    if isinstance(details, list) and details:
        message += f" ({', '.join(str(item)[:200] for item in cast('list[object]', details)[:5])})"
    if answer.status in range(400, 500) and answer.status not in (401, 403, 408, 429):
        if code == REQUESTER_NOT_FOUND:
            return Misconfigured(
                "unknown_sender",
                f"{SYSTEM} knows no user with the address of auth.from (1008): {message}.",
                vendor_code=code,
            )
        if code == MERGED:
            return Rejected(
                "incident_merged",
                f"The incident was merged into another one (1019): {message}.",
                vendor_code=code,
            )
        if answer.status == 404 or code in (NOT_FOUND, NOT_FOUND_TOO):
            return Rejected(
                "ticket_gone", f"{SYSTEM} has no such incident ({code}): {message}.", vendor_code=code
            )
    # ratelimit-reset is seconds to go (docs/REST-API/04-Rate-Limits.md), and at times missing.
    wait = seconds_to_wait(answer.headers, "ratelimit-reset", "retry-after")
    return failure_of_status(answer, SYSTEM, f"code {code}, {message}", writes=writes, wait=wait)


def writer(settings: PagerDutySettings, tools: Tools) -> PagerDutyWriter:
    """A writer for one connector file."""
    return PagerDutyWriter(
        PagerDutyClient(
            settings.api_url,
            lambda: settings.auth.api_token.current(clock.now()),
            settings.auth.sender,
            tools.threads,
        )
    )


def _member(value: object, name: str) -> object:
    return cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None
