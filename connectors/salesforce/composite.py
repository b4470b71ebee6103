"""The one request that writes an outcome into a record: `POST composite` with `allOrNone`, so that the delivery row, the
comment and the fields come together or not at all. Pure; used by `reply.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Any, cast

import msgspec

from connectors.expression_functions import text_of
from connectors.salesforce.ids import id18
from connectors.salesforce.settings import SYSTEM, SalesforceSettings
from core.errors import Rejected
from core.replies.ticketing import Write

DELIVERY, NOTE, RECORD = "delivery", "note", "record"  # the referenceIds
DELIVERY_OBJECT, DELIVERY_KEY = "HITL_Delivery__c", "Delivery_Key__c"
# Object Reference: CaseComment.CommentBody holds 4000 bytes of UTF-8, FeedItem.Body 10,000 characters (bytes here, to
# be on the safe side).
BODY_LIMIT = {"CaseComment": 4_000, "FeedItem": 10_000}
BODY_FIELD = {"CaseComment": "CommentBody", "FeedItem": "Body"}
_CUT = "…\n\n"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The actions of a write, sorted: the text of its notes (empty for none), and each field's new value with the
    present values under which it may be written (empty: any)."""

    record_id: str
    note: str
    fields: Mapping[str, tuple[Any, tuple[str, ...]]]


def plan_of(write: Write) -> Plan:
    """Raises Rejected for an id that is none."""
    record_id = id18(write.ticket_id)
    if record_id is None:
        raise Rejected("bad_ticket_id", f"{write.ticket_id[:40]!r} is not the id of a {SYSTEM} record.")
    notes: list[str] = []
    fields: dict[str, tuple[Any, tuple[str, ...]]] = {}
    for action in write.actions:
        if action.kind == "note":
            notes.append(str(action.body))
        elif action.kind == "fields":
            for name, one in cast("dict[str, dict[str, Any]]", action.body).items():
                value = field_value(one.get("value"))
                if value is not None:  # a value that nobody gave leaves the field alone
                    fields[name] = (value, tuple(cast("list[str]", one.get("only_if") or [])))
    return Plan(record_id=record_id, note="\n\n".join(notes), fields=fields)


def allowed(plan: Plan, present: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that may be written over what the record holds now. Picklist values tell upper from lower case."""
    return {
        name: value
        for name, (value, only_if) in plan.fields.items()
        if not only_if or text_of(present.get(name)) in only_if
    }


def field_value(value: Any) -> Any:
    """As a field takes it: a list is a multi-select picklist, whose values are joined by semicolons."""
    if isinstance(value, list):
        return ";".join(text_of(item) for item in cast("list[Any]", value))
    return text_of(cast("dict[str, Any]", value)) if isinstance(value, dict) else value


def note_text(text: str, marker: str, limit: int) -> str:
    """The text with the marker in the open at its end, in at most `limit` bytes of UTF-8, cut between two characters."""
    if marker in text and len(text.encode()) <= limit:
        return text
    text = text.replace(marker, "").encode("utf-8", "replace").decode()
    tail = f"\n\n{marker}"
    if len((text + tail).encode()) > limit:
        room = limit - len((_CUT + marker).encode())
        text, tail = text.encode()[:room].decode("utf-8", "ignore").rstrip(), _CUT + marker
    return text + tail


def composite(
    settings: SalesforceSettings,
    write: Write,
    plan: Plan,
    fields: Mapping[str, Any],
    *,
    unmodified_since: datetime | None = None,
) -> dict[str, Any]:
    """The body of the request. The delivery row comes first: its unique key stops a second try before it writes."""
    parts: list[dict[str, Any]] = []
    if settings.writeback.idempotency == "delivery_object":
        row = {DELIVERY_KEY: write.key}
        if settings.object == "Case":
            row["Case__c"] = plan.record_id
        parts.append(_insert(settings, DELIVERY, DELIVERY_OBJECT, row))
    if plan.note:
        parts.append(_note(settings, write, plan))
    if fields:
        headers: dict[str, str] = {}
        if settings.object in ("Case", "Lead"):
            # It defaults to TRUE: our update would run the assignment rules and move the case away (headers_autoassign).
            headers["Sforce-Auto-Assign"] = "TRUE" if settings.writeback.auto_assign else "FALSE"
        if unmodified_since is not None:
            headers["If-Unmodified-Since"] = format_datetime(unmodified_since, usegmt=True)
        parts.append(
            {
                "method": "PATCH",
                "url": f"{_root(settings)}/{settings.object}/{plan.record_id}",
                "referenceId": RECORD,
                "httpHeaders": headers,
                "body": dict(fields),
            }
        )
    return {"allOrNone": True, "compositeRequest": parts}


def parts_of(body: Any) -> Sequence[tuple[str, int, Any]]:
    """(referenceId, status, body) of each part of an answer; empty when it is no composite's."""
    answer = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    parts = answer.get("compositeResponse")
    found: list[tuple[str, int, Any]] = []
    for item in cast("list[object]", parts) if isinstance(parts, list) else []:
        part = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        status = part.get("httpStatusCode")
        found.append(
            (str(part.get("referenceId")), status if isinstance(status, int) else 0, part.get("body"))
        )
    return found


def _note(settings: SalesforceSettings, write: Write, plan: Plan) -> dict[str, Any]:
    comment = settings.writeback.comment
    text = note_text(plan.note, write.marker, BODY_LIMIT[comment.object])
    if comment.object == "CaseComment":
        row = {"ParentId": plan.record_id, "CommentBody": text, "IsPublished": comment.public}
    else:
        row = {
            "ParentId": plan.record_id,
            "Body": text,
            "Visibility": "AllUsers" if comment.public else "InternalUsers",
        }
    return _insert(settings, NOTE, comment.object, row)


def _insert(settings: SalesforceSettings, name: str, kind: str, row: dict[str, Any]) -> dict[str, Any]:
    return {"method": "POST", "url": f"{_root(settings)}/{kind}", "referenceId": name, "body": row}


def _root(settings: SalesforceSettings) -> str:
    return f"/services/data/v{settings.api_version}/sobjects"
