"""The log of the simulated PagerDuty: one entry for everything that happens to an incident, and how the REST API shows
an incident, an entry and a subscription. Used by the account (`fake_pagerduty_world.py`) and its API."""

from __future__ import annotations

from connectors.pagerduty.settings import TOPICS
from hub.demo.fake_pagerduty_things import Thing, new_id, reference, second
from hub.demo.fake_pagerduty_webhooks import Subscription

# Event of the webhook -> type of the log entry that the REST API has for it.
ENTRY_OF = {
    "incident.triggered": "trigger_log_entry",
    "incident.acknowledged": "acknowledge_log_entry",
    "incident.resolved": "resolve_log_entry",
    "incident.reopened": "reopen_log_entry",
    "incident.escalated": "escalate_log_entry",
    "incident.annotated": "annotate_log_entry",
    "incident.custom_field_values.updated": "field_value_change_log_entry",
    "incident.priority_updated": "priority_change_log_entry",
    "incident.status_update_published": "status_update_log_entry",
    "incident.responder.added": "responder_request_log_entry",
}


def entry_for(event_type: str, incident: Thing, agent: Thing | None, data: Thing) -> Thing:
    """A log entry. A note's entry holds its text and not its id, as the real one; so do we know no better there."""
    said = str(data.get("content") or data.get("message") or "")
    channel: Thing = {
        "type": "note" if event_type == "incident.annotated" else "api",
        "summary": said or None,
    }
    if event_type == "incident.annotated":
        channel["content"] = said
    if event_type == "incident.triggered":
        channel = {"type": "api", "summary": incident["title"], "details": {"error_rate": "7 %"}}
    changed = [str(field["name"]) for field in data.get("changed_custom_fields", [])]
    entry_id = new_id("R", 25)
    return {
        "id": entry_id,
        "type": ENTRY_OF[event_type],
        "summary": f"{event_type} {' '.join(changed)}".strip(),
        "self": f"https://api.pagerduty.com/log_entries/{entry_id}",
        "html_url": None,
        "created_at": second(),
        "agent": reference(agent) if agent else None,
        "channel": channel,
        "service": incident["service"],
        "incident": incident,
        "teams": incident["teams"],
        "contexts": [],
        "event_details": {"fields": ", ".join(changed)} if changed else {},
    }


def shown_incident(incident: Thing) -> Thing:
    """As the REST API has it: some names differ from the webhook's."""
    shown = {name: value for name, value in incident.items() if name not in ("number", "assignees")}
    shown["incident_number"] = incident["number"]
    shown["assignments"] = [{"at": incident["created_at"], "assignee": one} for one in incident["assignees"]]
    return shown


def shown_entry(entry: Thing, include: list[str]) -> Thing:
    """With the incident and the channel whole only when asked for."""
    whole = "incidents" in include
    shown = {
        **entry,
        "incident": shown_incident(entry["incident"]) if whole else reference(entry["incident"]),
    }
    if "channels" not in include:
        shown["channel"] = {"type": entry["channel"]["type"]}
    return shown


def shown_subscription(subscription: Subscription, *, with_secret: bool = False) -> Thing:
    """The secret is in the answer to its creation and never again."""
    method: Thing = {
        "id": f"D{subscription.id}",
        "type": "http_delivery_method",
        "url": subscription.url,
        "custom_headers": [],
        "temporarily_disabled": subscription.disabled,
    }
    if with_secret:
        method["secret"] = subscription.secrets[0]
    return {
        "id": subscription.id,
        "type": "webhook_subscription",
        "active": subscription.active,
        "description": subscription.description,
        "delivery_method": method,
        "events": sorted(subscription.topics or TOPICS - {"pagey.ping"}),
        "filter": subscription.filter,
    }
