"""Writing through the Table API, with nothing installed at the customer: one PATCH, its echo compared, and the marker
looked for in the record's own journal. Used by `reply.py`."""

from __future__ import annotations

import logging
from typing import Any

from connectors.servicenow.body import Values, dropped, values_of
from connectors.servicenow.client import VALUES, ServiceNowClient, result_of, rows_of, sys_id
from connectors.servicenow.records import JOURNALS, count_of, flatten
from connectors.servicenow.scripted import partly
from core.errors import HubError, Rejected, Retryable, Uncertain
from core.replies.ticketing import Call, Moot, Write

log = logging.getLogger(__name__)
CANARIES = 20  # records; of so many, some carry a note, or nobody's note can be read


class TableWriter:
    """Implements core/replies/ticketing.TicketWriter."""

    def __init__(self, client: ServiceNowClient):
        self._client = client
        self._settings = client.settings

    async def write(self, write: Write) -> str:
        """Read the record, PATCH it, see what of it stayed.

        A field that was dropped beside a text that arrived is told in the id and logged; a text that did not arrive,
        or nothing that did, is Rejected with the names."""
        values = values_of(write)
        before = flatten(result_of(await self._get(write.ticket_id, _record_query(values))))[0]
        skipped: list[str] = []
        if self._closed(before) and self._settings.writeback.on_conflict == "comment_only":
            skipped = sorted(values.fields)
            values = Values(texts=values.texts, fields={})
        if not values.everything:
            raise Moot("record_closed", f"The record is closed; {', '.join(skipped)} was left as it is.")
        echo = await self._patch(write, values)
        refused = dropped(values.fields, echo)
        await self._text_arrived(write, values, before, echo, refused)
        if refused:
            log.warning("servicenow.partially_applied: %s: %s", write.ticket_id, ", ".join(refused))
        revision = count_of(echo.get("sys_mod_count"))
        name = str(revision) if revision is not None else write.marker
        return f"{write.ticket_id}:{name}{partly(refused, skipped)}"

    async def find(self, write: Write) -> str | None:
        """The marker in the journal of the record itself, which has the same ACL as the field (sys_journal_field gives
        an empty 200 to whoever may not read it). An empty journal proves something only where others can be read."""
        if not values_of(write).texts:
            return None
        journal = await self._journal(write.ticket_id)
        if any(write.marker in text for text in journal.values()):
            return f"{write.ticket_id}:{write.marker}"
        if not any(journal.values()) and not await self._can_read_journals():
            raise Rejected(
                "cannot_look",
                "The journal reads as empty, and so do all others: whether the note is there cannot be told. Give the "
                f"integration user read access to {self._settings.table}.work_notes and comments, look at the record, "
                "then deliver again or close this reply.",
            )
        return None

    def preview(self, write: Write) -> list[Call]:
        values = values_of(write)
        path = self._path(write.ticket_id)
        return [self._client.preview("PATCH", path, _record_query(values), values.everything)]

    async def _patch(self, write: Write, values: Values) -> dict[str, Any]:
        """The record as it came back. An answer without one may still have written."""
        try:
            answer = await self._client.call(
                "PATCH", self._path(write.ticket_id), _record_query(values), values.everything
            )
            return flatten(result_of(answer))[0]
        except Uncertain as error:
            # A Table API transaction runs on for up to 60 s after we hung up: a look before its end proves nothing.
            self._client.pause(self._settings.writeback.settle_seconds if _lost(error) else 0)
            raise
        except Retryable as error:
            if error.code == "no_result":
                raise Uncertain("no_record", f"{error.message} The write may have been done.") from error
            raise

    async def _text_arrived(
        self, write: Write, values: Values, before: dict[str, Any], echo: dict[str, Any], refused: list[str]
    ) -> None:
        """Journals read back as `""`, so what tells is the count of changes, and where fields changed too, the journal
        itself. Raises Rejected when it did not, Uncertain when it cannot be told now."""
        old, new = count_of(before.get("sys_mod_count")), count_of(echo.get("sys_mod_count"))
        grew = old is None or new is None or new > old
        others = len(refused) < len(values.fields)
        if not values.texts:
            if refused and not others:
                raise _not_written(refused)
            return
        if not grew:
            raise _not_written([*values.texts, *refused])
        if not others:
            return
        try:
            journal = await self._journal(write.ticket_id)
        except HubError as error:
            raise Uncertain("not_verified", f"Written, but not read back: {error.message}") from error
        if any(journal.values()) and not any(write.marker in text for text in journal.values()):
            raise _not_written([*values.texts, *refused])

    async def _journal(self, ticket_id: str) -> dict[str, str]:
        """The journals' text as the integration user reads them. Raises Rejected when it may not read them at all."""
        query = {"sysparm_fields": ",".join(JOURNALS), "sysparm_display_value": "true"}
        record = result_of(await self._get(ticket_id, query))
        return {name: str(flatten(record)[1].get(name, "")) for name in JOURNALS}

    async def _can_read_journals(self) -> bool:
        """The canary: does any of the records that changed last show a note?"""
        query = {
            "sysparm_query": "ORDERBYDESCsys_updated_on",
            "sysparm_fields": ",".join(JOURNALS),
            "sysparm_display_value": "true",
            "sysparm_limit": str(CANARIES),
        }
        rows = rows_of(await self._client.call("GET", f"/api/now/table/{self._settings.table}", query))
        return any(flatten(row)[1].get(name) for row in rows for name in JOURNALS)

    async def _get(self, ticket_id: str, query: dict[str, str]) -> Any:
        return await self._client.call("GET", self._path(ticket_id), query)

    def _path(self, ticket_id: str) -> str:
        return f"/api/now/table/{self._settings.table}/{sys_id(ticket_id)}"

    def _closed(self, record: dict[str, Any]) -> bool:
        return record.get("state") in self._settings.watch.closed_states or record.get("active") == "false"


def _record_query(values: Values) -> dict[str, str]:
    names = {"sys_id", "number", "state", "active", "sys_mod_count", "sys_updated_on", *values.fields}
    return {"sysparm_fields": ",".join(sorted(names)), **VALUES}


def _not_written(names: list[str]) -> Rejected:
    return Rejected(
        "not_written",
        f"ServiceNow answered 200 and did not write {', '.join(sorted(set(names)))}: check that the field exists, and "
        "the write ACL of the integration user.",
    )


def _lost(error: Uncertain) -> bool:
    return error.code == "no_answer" or error.facts.get("status") in (202, 502, 503, 504)
