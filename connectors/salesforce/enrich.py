"""What a route may want to see before it maps: the record as it is now, and its comments. Implements the Enricher
port; called between two readings of a delivery."""

from __future__ import annotations

from typing import Any

from simple_salesforce.format import format_soql

from connectors.connector import Tools
from connectors.salesforce.client import SalesforceClient
from connectors.salesforce.composite import BODY_FIELD
from connectors.salesforce.errors import problems, refusal
from connectors.salesforce.ids import id18
from connectors.salesforce.records import from_rest
from connectors.salesforce.reply import rows_of
from connectors.salesforce.settings import SYSTEM, SalesforceSettings
from core.errors import Misconfigured, Rejected
from core.intake.envelope import Wanted

RECORD, COMMENTS = "record", "comments"
CONTEXTS = frozenset({RECORD, COMMENTS})
MAX_COMMENTS = 50  # the newest; a person reads them


class SalesforceEnricher:
    def __init__(self, settings: SalesforceSettings, client: SalesforceClient):
        self._settings = settings
        self._client = client

    async def fetch(self, wanted: Wanted) -> dict[str, Any]:
        """`record` is an object of fields; `comments` a list of {id, body, created_at, author, public}, oldest first.

        Raises Rejected (the record is gone), Retryable, Misconfigured (credentials, or a field that is not there)."""
        record_id = id18(wanted.ticket.id)
        if record_id is None:
            raise Rejected("bad_ticket_id", f"{wanted.ticket.id[:40]!r} is not the id of a {SYSTEM} record.")
        found: dict[str, Any] = {}
        if RECORD in wanted.names:
            found[RECORD] = await self._record(record_id)
        if COMMENTS in wanted.names:
            found[COMMENTS] = await self._comments(record_id)
        return found

    async def _record(self, record_id: str) -> dict[str, Any]:
        fields = self._settings.inbound.fields
        path = f"sobjects/{self._settings.object}/{record_id}"
        answer = await self._client.call("GET", path, params={"fields": ",".join(fields)})
        if not answer.ok:
            first = problems(answer.body, answer.status)[0]
            if first.code == "INVALID_FIELD":
                raise Misconfigured(
                    "unknown_field",
                    f"{self._settings.id}: inbound.record_fields or selected_fields: {first}",
                    vendor_code=first.code,
                )
            raise refusal(answer, writes=False)
        record = from_rest(answer.body)
        if not isinstance(record, dict):
            raise Rejected("no_record", f"{SYSTEM} answered {answer.status} without the record.")
        return dict.fromkeys(fields) | record

    async def _comments(self, record_id: str) -> list[dict[str, Any]]:
        kind = self._settings.writeback.comment.object
        public = "IsPublished" if kind == "CaseComment" else "Visibility"
        soql = (
            f"SELECT Id, {BODY_FIELD[kind]}, CreatedDate, CreatedById, {public} FROM {kind} "  # noqa: S608 -- constants; format_soql quotes the id
            f"WHERE ParentId = {{}} ORDER BY CreatedDate DESC, Id DESC LIMIT {MAX_COMMENTS}"
        )
        rows = rows_of(await self._client.query(format_soql(soql, record_id)))
        comments = [
            {
                "id": row.get("Id"),
                "body": row.get(BODY_FIELD[kind]),
                "created_at": row.get("CreatedDate"),
                "author": row.get("CreatedById"),
                "public": row.get(public) in (True, "AllUsers"),
            }
            for row in (from_rest(one) for one in rows)
        ]
        return comments[::-1]


def enricher(settings: SalesforceSettings, tools: Tools) -> SalesforceEnricher:
    return SalesforceEnricher(settings, SalesforceClient(settings, tools))
