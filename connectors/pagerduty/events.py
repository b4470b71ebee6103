"""Log entries of the REST API as the webhook would have brought them, so that the same route matches and the same key
comes out. Pure; used by `reconcile.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from connectors.pagerduty.api import entry
from connectors.pagerduty.settings import ID
from core.intake.envelope import RECONCILED, InboundDelivery

# Type of a log entry (REST API reference, schema LogEntry) -> event type of the webhook for the same change.
EVENT_OF: dict[str, str] = {
    "trigger_log_entry": "incident.triggered",
    "escalate_log_entry": "incident.escalated",
    "acknowledge_log_entry": "incident.acknowledged",
    "unacknowledge_log_entry": "incident.unacknowledged",
    "resolve_log_entry": "incident.resolved",
    "reopen_log_entry": "incident.reopened",
    "assign_log_entry": "incident.reassigned",
    "delegate_log_entry": "incident.delegated",
    "priority_change_log_entry": "incident.priority_updated",
    "annotate_log_entry": "incident.annotated",
    "field_value_change_log_entry": "incident.custom_field_values.updated",
    "custom_field_value_change_log_entry": "incident.custom_field_values.updated",
}
NOTE, FIELDS, RESOLVED = "incident.annotated", "incident.custom_field_values.updated", "incident.resolved"

_REFERENCE = ("id", "self", "html_url", "summary")


def delivery(
    event_type: str, incident_id: str, change: str, at: str, agent: object, data: dict[str, Any]
) -> InboundDelivery:
    """`change` is the vendor's id of the log entry or note; `at` its time as PagerDuty writes it."""
    delivery_id = f"recon:{incident_id}:{change}"
    event = {
        "id": delivery_id,
        "event_type": event_type,
        "resource_type": "incident",
        "occurred_at": at,
        "agent": entry({"agent": agent}, "agent") or None,
        "client": None,
        "data": data,
    }
    return InboundDelivery(
        delivery_id=delivery_id,
        event_type=event_type,
        body=msgspec.json.encode({"event": event}),
        headers={},
        verified_by=RECONCILED,
    )


def worth_telling(event_type: str, incident: dict[str, Any]) -> bool:
    """Whether a change from the past still means something: an incident that is over asks nothing (except by a note,
    which is an ask of its own), one that was opened again is not over."""
    over = incident.get("status") == "resolved"
    return event_type == NOTE or over == (event_type == RESOLVED)


def incident_data(incident: dict[str, Any]) -> dict[str, Any]:
    """`data` of an incident event (docs/webhooks/01-Overview.md, incident) from the API's incident, which names its
    assignees and its number otherwise."""
    assignments: Sequence[Any] = incident.get("assignments") or ()
    teams: Sequence[Any] = incident.get("teams") or ()
    incident_type = entry(incident, "incident_type").get("name")
    return {
        **{name: incident.get(name) for name in ("id", "self", "html_url", "status", "incident_key")},
        **{name: incident.get(name) for name in ("created_at", "title", "urgency", "conference_bridge")},
        "type": "incident",
        "number": incident.get("incident_number"),
        "reopened_at": incident.get("reopened_at"),
        "incident_type": {"name": incident_type} if incident_type else None,
        "service": reference(incident.get("service"), "service"),
        "assignees": [reference(entry(one, "assignee"), "user") for one in assignments],
        "escalation_policy": reference(incident.get("escalation_policy"), "escalation_policy"),
        "teams": [reference(one, "team") for one in teams],
        "priority": reference(incident.get("priority"), "priority"),
        "resolve_reason": incident.get("resolve_reason"),
    }


def note_data(incident: dict[str, Any], note: dict[str, Any]) -> dict[str, Any]:
    """`data` of incident.annotated. The summary of the incident is its title there, not `[#2] title` as in the API."""
    about = {
        **(reference(incident, "incident") or {}),
        "summary": incident.get("title") or incident.get("summary"),
    }
    return {
        "incident": about,
        "id": note.get("id"),
        "content": note.get("content"),
        "trimmed": False,
        "type": "incident_note",
    }


def fields_data(
    incident: dict[str, Any], values: list[dict[str, Any]], changed: dict[str, Any]
) -> dict[str, Any]:
    """`data` of incident.custom_field_values.updated. The values are today's; the old ones are not known (null).
    Which fields changed is told by whatever part of the log entry `changed` names one; a log entry that names none
    counts for all of them."""
    said = msgspec.json.encode(
        {name: changed.get(name) for name in ("event_details", "channel", "summary")}
    ).decode()
    told = [value for value in values if any(word in said for word in _names(value))]
    return {
        "incident": {**(reference(incident, "incident") or {}), "summary": None},
        "custom_fields": values,
        "changed_custom_fields": [{**value, "value": None} for value in told or values],
        "type": "incident_field_values",
    }


def reference(thing: object, kind: str) -> dict[str, Any] | None:
    """The short form in which a webhook names another resource; None for nothing."""
    found = entry({"thing": thing}, "thing")
    if not found:
        return None
    return {"type": f"{kind}_reference", **{name: found.get(name) for name in _REFERENCE}}


def _names(field: dict[str, Any]) -> list[str]:
    found = [field.get(key) for key in ("name", "id", "display_name")]
    return [one for one in found if isinstance(one, str) and one]


def incident_of(log_entry: dict[str, Any]) -> dict[str, Any]:
    """The incident of a log entry; empty when its id is none that may reach a path."""
    incident = entry(log_entry, "incident")
    found = incident.get("id")
    return incident if isinstance(found, str) and ID.match(found) else {}
