"""What a step of the file is as a request to PagerDuty: path and body. Pure; sent and previewed by `reply.py`."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from connectors.pagerduty.api import checked
from connectors.pagerduty.client import Method
from connectors.pagerduty.notes import MAX_NOTE, fitted
from core.errors import Rejected
from core.replies.ticketing import Action, Write

MAX_FIELD = (
    200  # characters of a text field, "string <= 200" (REST API reference, custom fields on incidents)
)
MAX_VALUES = 10  # of a field that takes several
MAX_SUBJECT = 200


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """`done` is the word for it when PagerDuty gives no id; `at` where in the answer the id is (resource and name)."""

    method: Method
    path: str
    body: dict[str, Any]
    done: str
    at: str = ""


def request_of(write: Write, requester: str | None) -> Request:
    """The request of a write's one action. Raises Rejected for an id that is none and for an unknown action."""
    [action] = write.actions
    incident = f"/incidents/{checked(write.ticket_id)}"
    match action.kind:
        case "note":
            note = {"note": {"content": note_text(write)}}
            return Request(method="POST", path=f"{incident}/notes", body=note, done="note", at="note")
        case "custom_fields" | "field_values":
            return Request(
                method="PUT",
                path=f"{incident}/custom_fields/values",
                body={"custom_fields": fields_of(action)},
                done="custom_fields",
            )
        case "status_update":
            return Request(
                method="POST",
                path=f"{incident}/status_updates",
                body=status_update_of(action, write.marker),
                done="status_update",
                at="status_update",
            )
        case "acknowledge":
            return Request(method="PUT", path=incident, body=status_of("acknowledged"), done="acknowledged")
        case "resolve":
            said = str(_body(action).get("resolution") or "")
            more = {"resolution": fitted(said, MAX_NOTE, write.marker)} if said else {}
            return Request(method="PUT", path=incident, body=status_of("resolved", more), done="resolved")
        case "responders":
            return Request(
                method="POST",
                path=f"{incident}/responder_requests",
                body=responders_of(action, write.marker, requester or ""),
                done="responders",
            )
        case _:
            raise Rejected(
                "unknown_action", f"PagerDuty has no action `{action.kind}`; take it out of outbound."
            )


def note_text(write: Write) -> str:
    """The note, with the marker in the open at its end when its text does not carry it yet."""
    [action] = write.actions
    return fitted(str(action.body), MAX_NOTE, write.marker)


def fields_of(action: Action) -> list[dict[str, Any]]:
    """Names and values; a text is cut to what a field holds. Raises Rejected for a value that no field takes."""
    return [{"name": str(name), "value": _value(str(name), value)} for name, value in _body(action).items()]


def status_of(status: str, more: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"incident": {"type": "incident_reference", "status": status, **(more or {})}}


def status_update_of(action: Action, marker: str) -> dict[str, Any]:
    body = _body(action)
    subject = str(body.get("subject") or "")
    more = {"subject": fitted(subject, MAX_SUBJECT)} if subject else {}
    return {"message": fitted(str(body.get("message") or ""), MAX_NOTE, marker), **more}


def responders_of(action: Action, marker: str, requester: str) -> dict[str, Any]:
    body = _body(action)
    targets = [("user_reference", one) for one in cast("list[object]", body.get("users") or [])] + [
        ("escalation_policy_reference", one)
        for one in cast("list[object]", body.get("escalation_policies") or [])
    ]
    return {
        "requester_id": requester,
        "message": fitted(str(body.get("message") or ""), MAX_NOTE, marker),
        "responder_request_targets": [
            {"responder_request_target": {"id": str(one), "type": kind}} for kind, one in targets
        ],
    }


def _body(action: Action) -> dict[str, Any]:
    body: object = action.body
    if not isinstance(body, dict):
        raise Rejected(
            "bad_action", f"outbound: `{action.kind}` must give names and values, not something else."
        )
    return cast("dict[str, Any]", body)


def _value(name: str, value: object) -> Any:
    if isinstance(value, str):
        return fitted(value, MAX_FIELD)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [_value(name, item) for item in items[:MAX_VALUES]]
    raise Rejected(
        "bad_field_value", f"outbound: the custom field `{name}` cannot hold an object; give a text."
    )
