"""What a route may ask for besides the delivery: the whole record, and its journal. Called by the hub's intake job."""

from __future__ import annotations

from typing import Any

from connectors.connector import Tools
from connectors.servicenow.client import ServiceNowClient, result_of, sys_id
from connectors.servicenow.records import JOURNALS, entries, flatten
from connectors.servicenow.settings import ServiceNowSettings
from core.intake.envelope import Wanted

CONTEXTS = frozenset({"record", "journal"})
MAX_ENTRIES = 100


class RecordEnricher:
    """Implements connectors/connector.Enricher. `record` is {fields, display} as in the document; `journal` is a list
    of {journal, written, author, kind, text}, newest first within each journal; `written` is in the integration user's
    own zone and form, because ServiceNow gives it in no other."""

    def __init__(self, client: ServiceNowClient):
        self._client = client

    async def fetch(self, wanted: Wanted) -> dict[str, Any]:
        """Raises Retryable, Rejected (the record is gone) or Misconfigured (credentials)."""
        found: dict[str, Any] = {}
        for name in wanted.names:
            if name == "record":
                found[name] = await self._record(wanted.ticket.id)
            elif name == "journal":
                found[name] = await self._journal(wanted.ticket.id)
        return found

    async def _record(self, ticket_id: str) -> dict[str, Any]:
        fields, display = flatten(await self._get(ticket_id, {"sysparm_display_value": "all"}))
        return {"fields": fields, "display": display}

    async def _journal(self, ticket_id: str) -> list[dict[str, str]]:
        query = {"sysparm_fields": ",".join(JOURNALS), "sysparm_display_value": "true"}
        shown = flatten(await self._get(ticket_id, query))[1]
        return [
            {"journal": name, **entry}
            for name in JOURNALS
            for entry in entries(str(shown.get(name, "")))[:MAX_ENTRIES]
        ]

    async def _get(self, ticket_id: str, query: dict[str, str]) -> dict[str, Any]:
        path = f"/api/now/table/{self._client.settings.table}/{sys_id(ticket_id)}"
        return result_of(
            await self._client.call("GET", path, {**query, "sysparm_exclude_reference_link": "true"})
        )


def enricher(settings: ServiceNowSettings, tools: Tools) -> RecordEnricher:
    """For one connector file."""
    return RecordEnricher(ServiceNowClient(settings, tools))
