"""Writing through our scoped app: `PUT /api/x_hitl_hub/results/{key}`. The instance keeps a table of delivered keys
with a unique index, so the same PUT may come any number of times. Used by `reply.py`."""

from __future__ import annotations

import re
from typing import Any, cast

from connectors.calls import Answer
from connectors.servicenow.body import values_of
from connectors.servicenow.client import ServiceNowClient, refusal, said, sys_id
from connectors.servicenow.records import count_of, members
from core.errors import Rejected, Retryable, Uncertain
from core.replies.ticketing import Call, Moot, Write

API = "/api/x_hitl_hub"
KEY = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
NO_RESOURCE = "does not represent any resource"  # what ServiceNow says of an API that nobody installed
STILL_RUNNING = 30.0  # seconds to leave to a call that holds the same key


class ScriptedWriter:
    """Implements core/replies/ticketing.TicketWriter."""

    def __init__(self, client: ServiceNowClient):
        self._client = client

    async def write(self, write: Write) -> str:
        """One PUT. What the app answers about a key that it knows is what it answered the first time."""
        answer = await self._client.put(f"{API}/results/{key_of(write)}", self._body(write))
        result = result_of(answer)
        if answer.status == 409 and result.get("state") == "pending":
            raise Retryable("still_running", "ServiceNow still works on the same reply.", after=STILL_RUNNING)
        if answer.status in (400, 404) and NO_RESOURCE in said(answer):
            raise Rejected(
                "no_endpoint",
                f"ServiceNow has no {API}/results ({said(answer)}). Install the scoped app, or set "
                "`writeback.via: table_api`.",
            )
        if answer.status not in (200, 201):
            raise refusal(answer, writes=True)
        return outcome_of(write, result)

    async def find(self, write: Write) -> str | None:
        """Always None: the key makes the same PUT harmless, and its answer is the first outcome."""
        return None

    def preview(self, write: Write) -> list[Call]:
        return [self._client.preview("PUT", f"{API}/results/{key_of(write)}", None, self._body(write))]

    def _body(self, write: Write) -> dict[str, Any]:
        settings, values = self._client.settings, values_of(write)
        return {
            "incident": sys_id(write.ticket_id),
            "table": settings.table,
            **values.texts,
            "fields": values.fields,
            "marker": write.marker,
            "on_conflict": settings.writeback.on_conflict,
            "closed_states": settings.watch.closed_states,
        }


def key_of(write: Write) -> str:
    """The reply's key, fit for a path. Raises Rejected."""
    if not KEY.match(write.key):
        raise Rejected("bad_key", f"The reply's key {write.key[:40]!r} cannot be a delivery key.")
    return write.key


def result_of(answer: Answer) -> dict[str, Any]:
    """The `result` of a scripted endpoint's answer, empty when there is none."""
    return members(members(answer.body).get("result"))


def outcome_of(write: Write, result: dict[str, Any]) -> str:
    """The vendor's id of what {state, incident, written, refused, skipped, revision} tells.

    Raises Uncertain for an answer that tells nothing, Rejected when the answer's text, or everything, was refused,
    Moot when the record's being closed left nothing to write."""
    written, refused, skipped = (names(result.get(name)) for name in ("written", "refused", "skipped"))
    if result.get("state") not in ("done", "refused") or written is None:
        raise Uncertain("no_outcome", "ServiceNow took the reply but told no outcome of it.")
    texts = set(values_of(write).texts)
    if texts & set(refused or []) or (refused and not written):
        raise Rejected(
            "not_written",
            f"ServiceNow did not write {', '.join(sorted(refused or []))}; check the write ACL of the integration user.",
        )
    if not written and skipped:
        raise Moot("record_closed", f"The record is closed; {', '.join(skipped)} was left as it is.")
    revision = count_of(result.get("revision"))
    vendor_id = (
        f"{write.ticket_id}:{revision}" if revision is not None else f"{write.ticket_id}:{write.marker}"
    )
    return vendor_id + partly(refused or [], skipped or [])


def partly(refused: list[str], skipped: list[str]) -> str:
    """What stands behind the vendor's id when not all was written: for whoever reads the reply."""
    parts: list[str] = []
    if refused:
        parts.append(f"{', '.join(refused)} was not written; check the write ACL")
    if skipped:
        parts.append(f"{', '.join(skipped)} was left, the record is closed")
    return f" (partially applied: {'; '.join(parts)})" if parts else ""


def names(value: object) -> list[str] | None:
    return [str(item) for item in cast("list[object]", value)] if isinstance(value, list) else None
