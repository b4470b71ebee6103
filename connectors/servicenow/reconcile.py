"""What changed at ServiceNow since then, as the deliveries that our scoped app would have sent: heals what its outbox
gave up on. Driven by the hub's reconcile job."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from connectors.connector import Tools
from connectors.servicenow.client import ServiceNowClient, rows_of
from connectors.servicenow.records import flatten, glide_time, moment
from connectors.servicenow.settings import SYS_ID, ServiceNowSettings
from connectors.signed_json import SCHEMA
from core import clock
from core.errors import Misconfigured
from core.intake.envelope import RECONCILED, InboundDelivery

# Journals are not asked for: without display values they read as "".
ALWAYS = (
    "sys_id", "number", "sys_created_on", "sys_updated_on", "sys_updated_by", "sys_mod_count", "state", "assignment_group",
)  # fmt: skip


class RecordReconciler:
    """Implements connectors/connector.Reconciler."""

    def __init__(self, client: ServiceNowClient):
        self._client = client
        self._settings = client.settings

    async def changes(self, since_ms: int) -> AsyncIterator[InboundDelivery]:
        """Paged by keyset, because records that change meanwhile move the offsets. Encoded queries have no brackets,
        so the records of a page's last second are read to their end before the next second."""
        query = f"sys_updated_on>={glide_time(clock.from_ms(since_ms))}"
        while True:
            rows, more = await self._page(f"{query}^ORDERBYsys_updated_on^ORDERBYsys_id")
            for row in rows:
                yield self._delivery(row)
            if not more:
                return
            second = last_of(rows)[0]
            async for row in self._rest_of(*last_of(rows)):
                yield self._delivery(row)
            query = f"sys_updated_on>{second}"

    async def _rest_of(self, second: str, after: str) -> AsyncIterator[dict[str, Any]]:
        while True:
            rows, more = await self._page(f"sys_updated_on={second}^sys_id>{after}^ORDERBYsys_id")
            for row in rows:
                yield row
            if not more:
                return
            after = last_of(rows)[1]

    async def _page(self, query: str) -> tuple[list[dict[str, Any]], bool]:
        """(rows, whether there are more). The limit counts records that an ACL then hides, so a short page, or an empty
        one, need not be the last: the `Link` header says."""
        limit, offset = self._settings.limits.page, 0
        while True:
            answer = await self._client.call(
                "GET", f"/api/now/table/{self._settings.table}", self._asked(query, offset)
            )
            rows = rows_of(answer)
            more = len(rows) >= limit or 'rel="next"' in answer.headers.get("link", "")
            if rows or not more:
                break
            offset += limit
        if not all(all(last_of([row])) for row in rows):
            raise Misconfigured(
                "unreadable_records",
                f"{self._settings.table} records come without sys_id or sys_updated_on: give the integration user read "
                "access to both fields.",
            )
        return rows, more

    def _asked(self, query: str, offset: int) -> dict[str, str]:
        watch = self._settings.watch
        names = [*ALWAYS, *watch.fields, *([watch.request_field] if watch.request_field else [])]
        return {
            "sysparm_query": query,
            "sysparm_fields": ",".join(dict.fromkeys(names)),
            "sysparm_limit": str(self._settings.limits.page),
            "sysparm_offset": str(offset),
            "sysparm_display_value": "all",
            "sysparm_exclude_reference_link": "true",
        }

    def _delivery(self, row: dict[str, Any]) -> InboundDelivery:
        body = event_of(self._settings, row)
        return InboundDelivery(
            delivery_id=str(body["event_id"]),
            event_type=str(body["type"]),
            body=json.dumps(body).encode(),
            headers={},
            verified_by=RECONCILED,
        )


def event_of(settings: ServiceNowSettings, row: dict[str, Any]) -> dict[str, Any]:
    """A row of `sysparm_display_value=all` as a body of the contract."""
    fields, _ = flatten(row)
    revision, author = str(fields.get("sys_mod_count", "")), str(fields.get("sys_updated_by", ""))
    record_id = str(fields["sys_id"])
    changed = moment(fields.get("sys_updated_on")) or clock.now()
    return {
        "schema": SCHEMA,
        "event_id": f"recon:{record_id}:{revision}",
        "type": "record.created" if revision == "0" else "record.updated",
        "sent_at": clock.iso(changed),
        "source": {
            "system": "servicenow",
            "instance": settings.source_instance,
            "table": settings.table,
            "id": record_id,
            "number": str(fields.get("number") or "") or None,
            "revision": revision,
        },
        "actor": {"id": author, "name": author},
        "reason": reason_of(settings, fields),
        "fields": row,
        "attachments": [],
    }


def reason_of(settings: ServiceNowSettings, fields: dict[str, Any]) -> str:
    """What the record's state says; the app knows the change itself, and names it in the same words."""
    watch = settings.watch
    if fields.get("state") in watch.closed_states:
        return "closed"
    if watch.group is not None and fields.get("assignment_group") == watch.group:
        return "assigned_to_hitl"
    if watch.request_field is not None and fields.get(watch.request_field) == "true":
        return "hitl_requested"
    return "updated"


def last_of(rows: list[dict[str, Any]]) -> tuple[str, str]:
    """(sys_updated_on, sys_id) of the last row; empty texts when they are not what they must be, because both go into
    the next query."""
    fields, _ = flatten(rows[-1])
    second, record_id = fields.get("sys_updated_on"), fields.get("sys_id")
    at = moment(second)
    known = at is not None and isinstance(record_id, str) and SYS_ID.match(record_id)
    return (glide_time(at), str(record_id)) if at is not None and known else ("", "")


def reconciler(settings: ServiceNowSettings, tools: Tools) -> RecordReconciler | None:
    """For one connector file; None where the secret for our own calls is empty."""
    secrets = settings.credentials
    if secrets is None or not secrets.current(clock.now()):
        return None
    return RecordReconciler(ServiceNowClient(settings, tools))
