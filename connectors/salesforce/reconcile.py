"""The poll that finds what Salesforce gave up sending (after 24 hours of failed Outbound Messages, or at once from a
Flow without a fault path): every record of the object that changed since. Implements the Reconciler port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from simple_salesforce.format import format_soql

from connectors.connector import Tools
from connectors.expression_functions import moment_of
from connectors.salesforce.client import SalesforceClient
from connectors.salesforce.ids import id18
from connectors.salesforce.records import from_rest
from connectors.salesforce.reply import rows_of
from connectors.salesforce.settings import SYSTEM, SalesforceSettings
from connectors.salesforce.verify import event_type_of
from connectors.signed_json import SCHEMA
from core import clock
from core.errors import Retryable
from core.intake.envelope import RECONCILED, InboundDelivery

LIMIT = 10_000  # records of one query; above it the next begins where this one ended


class SalesforceReconciler:
    def __init__(self, settings: SalesforceSettings, client: SalesforceClient):
        self._settings = settings
        self._client = client

    async def changes(self, since_ms: int) -> AsyncIterator[InboundDelivery]:
        """One delivery for each record that changed after `since_ms` (UTC), oldest change first, in the form of signed
        JSON. Raises Retryable, Misconfigured, or Rejected for a field that the org does not have."""
        soql = self._soql("SystemModstamp > {:literal}", _instant(since_ms))
        while True:
            count, last = 0, None
            async for page in self._client.pages(soql):
                for row in rows_of(page):
                    count, last = count + 1, from_rest(row)
                    yield self._delivery(last)
            if count < LIMIT or last is None:
                return
            soql = self._soql(
                "(SystemModstamp > {0:literal} OR (SystemModstamp = {0:literal} AND Id > {1}))",
                _instant(_changed(last)),
                last.get("Id"),
            )

    def _soql(self, where: str, *values: object) -> str:
        fields = ", ".join(self._settings.inbound.fields)
        query = f"SELECT {fields} FROM {self._settings.object} WHERE {where} ORDER BY SystemModstamp, Id LIMIT {LIMIT}"  # noqa: S608 -- names checked by pattern; format_soql quotes the values
        return format_soql(query, *values)

    def _delivery(self, record: dict[str, Any]) -> InboundDelivery:
        record_id, changed = id18(record.get("Id")), _changed(record)
        if record_id is None:
            raise Retryable("no_id", f"{SYSTEM} gave a record without an id.")
        event_id, kind = f"recon:{record_id}:{changed}", event_type_of(record)
        body = {
            "schema": SCHEMA,
            "event_id": event_id,
            "type": kind,
            "sent_at": clock.iso(clock.from_ms(changed)),
            "source": {
                "system": "salesforce",
                "instance": self._settings.org15,
                "table": self._settings.object,
                "id": record_id,
                "number": record.get("CaseNumber"),
                "revision": str(changed),
            },
            "actor": {"id": record.get("LastModifiedById")},
            "fields": record,
        }
        return InboundDelivery(
            delivery_id=event_id,
            event_type=kind,
            body=msgspec.json.encode(body),
            headers={},
            verified_by=RECONCILED,
        )


def _changed(record: dict[str, Any]) -> int:
    moment = moment_of(record.get("SystemModstamp"))
    if moment is None:
        raise Retryable("no_modstamp", f"{SYSTEM} gave a record without SystemModstamp.")
    return clock.to_ms(moment)


def _instant(ms: int) -> str:
    return clock.iso(clock.from_ms(ms))


def reconciler(settings: SalesforceSettings, tools: Tools) -> SalesforceReconciler | None:
    """None while the API credentials are empty."""
    if not settings.auth.complete(clock.now()):
        return None
    return SalesforceReconciler(settings, SalesforceClient(settings, tools))
