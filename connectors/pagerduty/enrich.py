"""What a route's `enrich:` may ask for: the incident, its alerts, notes, log and custom fields as the API has them.
Called by the hub's intake job, outside any transaction."""

from __future__ import annotations

from typing import Any

from connectors.connector import Tools
from connectors.pagerduty.api import Api, api, checked, entry
from connectors.pagerduty.settings import CONTEXTS, ID, PagerDutySettings
from core.intake.envelope import Wanted

MOST = 500  # alerts or log entries; a person reads no more, and an alert storm has thousands


class PagerDutyEnricher:
    """Implements connectors/connector.Enricher."""

    def __init__(self, api: Api):
        self._api = api

    async def fetch(self, wanted: Wanted) -> dict[str, Any]:
        """name -> `incident`, `trigger_log_entry` (with its channel, which holds the monitoring tool's own event; None
        when there is none): objects; `alerts`, `notes`, `log_entries`, `custom_fields`: lists of objects.

        Raises Retryable, Rejected (no such incident) or Misconfigured."""
        path = f"/incidents/{checked(wanted.ticket.id)}"
        found: dict[str, Any] = {}
        for name in sorted(CONTEXTS.intersection(wanted.names)):
            found[name] = await self._one(name, path, found)
        return found

    async def _one(self, name: str, path: str, found: dict[str, Any]) -> Any:
        match name:
            case "incident":
                return entry((await self._api.read(path)).body, "incident")
            case "alerts":
                return (await self._api.pages(f"{path}/alerts", "alerts", most=MOST))[0]
            case "notes":
                return await self._api.listed(f"{path}/notes", "notes")
            case "log_entries":
                params = {"is_overview": "false", "include": ["channels"]}
                return (await self._api.pages(f"{path}/log_entries", "log_entries", params, most=MOST))[0]
            case "custom_fields":
                return await self._api.listed(f"{path}/custom_fields/values", "custom_fields")
            case _:
                return await self._trigger(
                    found.get("incident") or entry((await self._api.read(path)).body, "incident")
                )

    async def _trigger(self, incident: dict[str, Any]) -> dict[str, Any] | None:
        """The log entry with the original event in `channel` (docs/tool-libraries/05-Retrieve-Incident-Details.md)."""
        entry_id = entry(incident, "first_trigger_log_entry").get("id")
        if not isinstance(entry_id, str) or not ID.match(entry_id):
            return None
        answer = await self._api.read(f"/log_entries/{entry_id}", {"include": ["channels"]})
        return entry(answer.body, "log_entry")


def enricher(settings: PagerDutySettings, tools: Tools) -> PagerDutyEnricher:
    """For one connector file."""
    return PagerDutyEnricher(api(settings, tools))
