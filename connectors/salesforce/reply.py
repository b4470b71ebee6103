"""Answers on Salesforce records: the TicketWriter port. With HITL_Delivery__c in the org its unique key makes a second
write impossible; without it our marker in the comment is looked for. Driven by the hub's reply job."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

import msgspec
from simple_salesforce.format import format_soql

from connectors.calls import Answer
from connectors.connector import Tools
from connectors.expression_functions import moment_of
from connectors.salesforce.client import SalesforceClient
from connectors.salesforce.composite import (
    BODY_FIELD,
    DELIVERY,
    DELIVERY_KEY,
    DELIVERY_OBJECT,
    NOTE,
    Plan,
    allowed,
    composite,
    parts_of,
    plan_of,
)
from connectors.salesforce.errors import DUPLICATE, HALTED, Problem, part_refusal, problems, refusal
from connectors.salesforce.records import members
from connectors.salesforce.settings import SYSTEM, SalesforceSettings
from core.errors import Misconfigured, Rejected, Retryable, Uncertain
from core.replies.ticketing import Call, Moot, Write

FIELDS_SET = "fields"  # what a write is known by that left no comment
_CONFLICT = "\n\n(Not set, because somebody changed the record meanwhile: {names}.)"


class SalesforceWriter:
    """Implements core/replies/ticketing.TicketWriter. All actions of an outcome are one transaction."""

    def __init__(self, settings: SalesforceSettings, client: SalesforceClient):
        self._settings = settings
        self._client = client

    async def write(self, write: Write) -> str:
        """One composite, after a look at the record where a field depends on it. The id of the comment, else
        `fields`. Moot when every field's `only_if` fails and there is nothing to say."""
        plan = plan_of(write)
        fields: dict[str, Any] = {}
        since: datetime | None = None
        if plan.fields:
            present = await self._present(plan)
            fields = allowed(plan, present)
            since = (
                moment_of(present.get("LastModifiedDate")) if self._settings.writeback.if_unmodified else None
            )
        if not plan.note and not fields:
            raise Moot(
                "fields_guarded",
                f"{', '.join(plan.fields) or 'Nothing'}: not to be written as the record is.",
            )
        answer = await self._send(composite(self._settings, write, plan, fields, unmodified_since=since))
        failed = _failed(answer)
        if failed is not None and failed.status == 412:
            return await self._conflict(write, plan, fields)
        return await self._done(write, answer, failed)

    async def find(self, write: Write) -> str | None:
        """By the delivery row's key, or by the marker in the record's comments of the last days."""
        plan = plan_of(write)
        if self._settings.writeback.idempotency == "delivery_object":
            soql = f"SELECT Id FROM {DELIVERY_OBJECT} WHERE {DELIVERY_KEY} = {{}} LIMIT 1"  # noqa: S608 -- constants; format_soql quotes the key
            rows = await self._rows(format_soql(soql, write.key))
            if not rows:
                return None
            return await self._marked(write, plan) or str(rows[0].get("Id"))
        return await self._marked(write, plan)

    def preview(self, write: Write) -> list[Call]:
        """The composite with every field that could be written: what the record holds now is not asked."""
        plan = plan_of(write)
        body = composite(
            self._settings, write, plan, {name: value for name, (value, _) in plan.fields.items()}
        )
        url = f"{self._settings.api_url}/services/data/v{self._settings.api_version}/composite"
        headers = {"content-type": "application/json"}
        return [Call(method="POST", url=url, headers=headers, body=msgspec.json.encode(body))]

    async def _conflict(self, write: Write, plan: Plan, fields: Mapping[str, Any]) -> str:
        """Somebody changed the record after we read it; the whole transaction was rolled back."""
        names = ", ".join(fields)
        if self._settings.writeback.on_conflict == "dead_letter" or not plan.note:
            raise Rejected(
                "conflict",
                f"The record was changed between our reading and our writing, so {names} stays as it is; "
                "look at it and send the reply again.",
                field_errors=dict.fromkeys(fields, "changed by somebody else meanwhile"),
            )
        told = msgspec.structs.replace(plan, note=plan.note + _CONFLICT.format(names=names))
        answer = await self._send(composite(self._settings, write, told, {}))
        return await self._done(write, answer, _failed(answer))

    async def _done(self, write: Write, answer: Answer, failed: Problem | None) -> str:
        if failed is not None:
            if failed.part == DELIVERY and failed.code == DUPLICATE:
                return await self.find(write) or write.key  # an earlier try went through
            if failed.part == DELIVERY and failed.status == 404:
                raise Misconfigured(
                    "no_delivery_object",
                    f"The org has no {DELIVERY_OBJECT}, or the integration user may not see it: deploy "
                    "connectors/salesforce/package, or set `writeback.idempotency: marker`.",
                )
            raise part_refusal(failed)
        for name, _, body in parts_of(answer.body):
            row = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
            if name == NOTE and isinstance(row.get("id"), str):
                return str(row["id"])
        return FIELDS_SET

    async def _send(self, body: dict[str, Any]) -> Answer:
        """The answer, whose status is always 200: what became of it stands in its parts."""
        answer = await self._client.call("POST", "composite", body=body)
        if not answer.ok:
            raise refusal(answer, writes=True)
        if len(parts_of(answer.body)) != len(body["compositeRequest"]):
            raise Uncertain(
                "no_parts", f"{SYSTEM} took the request ({answer.status}) but did not say what became of it."
            )
        return answer

    async def _present(self, plan: Plan) -> dict[str, Any]:
        names = ",".join(["LastModifiedDate", *plan.fields])
        path = f"sobjects/{self._settings.object}/{plan.record_id}"
        answer = await self._client.call("GET", path, params={"fields": names})
        if not answer.ok:
            raise refusal(answer, writes=False)
        record = members(answer.body)
        if not record:
            raise Retryable("no_record", f"{SYSTEM} answered {answer.status} without the record.")
        return record

    async def _marked(self, write: Write, plan: Plan) -> str | None:
        """The oldest comment with our marker: whoever quotes it does so later. FeedItem.Body cannot be filtered on, so
        the text is compared here; the days cover the longest that a reply may wait."""
        if not plan.note:
            return None
        kind = self._settings.writeback.comment.object
        days = self._settings.delivery.max_age_seconds // 86_400 + 2
        soql = (
            f"SELECT Id, {BODY_FIELD[kind]} FROM {kind} WHERE ParentId = {{}} "  # noqa: S608 -- constants; format_soql quotes the id
            f"AND CreatedDate = LAST_N_DAYS:{days} ORDER BY CreatedDate, Id"
        )
        async for page in self._client.pages(format_soql(soql, plan.record_id)):
            for row in rows_of(page):
                if write.marker in str(row.get(BODY_FIELD[kind])):
                    return str(row.get("Id"))
        return None

    async def _rows(self, soql: str) -> list[dict[str, Any]]:
        return rows_of(await self._client.query(soql))


def rows_of(answer: Answer) -> list[dict[str, Any]]:
    """The records of one page of a query. Raises the error of a refusal, Retryable for a page without records."""
    if not answer.ok:
        raise refusal(answer, writes=False)
    body = members(answer.body)
    records = body.get("records")
    if not isinstance(records, list):
        raise Retryable("no_records", f"{SYSTEM} answered a query ({answer.status}) without records.")
    return [cast("dict[str, Any]", row) for row in cast("list[object]", records) if isinstance(row, dict)]


def _failed(answer: Answer) -> Problem | None:
    """The part that made the transaction roll back; the others only say that it did."""
    found: list[Problem] = []
    for name, status, body in parts_of(answer.body):
        if not 200 <= status < 300:
            found.extend(problems(body, status, name))
    return next((one for one in found if one.code != HALTED), found[0] if found else None)


def writer(settings: SalesforceSettings, tools: Tools) -> SalesforceWriter:
    return SalesforceWriter(settings, SalesforceClient(settings, tools))
