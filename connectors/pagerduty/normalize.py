"""What a PagerDuty delivery means: about which incident it is, whether it is our own echo, and which route it takes.
Called by the hub's `inbound.received` job and by in-file tests. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from connectors.form import Route
from connectors.pagerduty.settings import ID, PagerDutySettings
from connectors.routes import decide
from core.intake.envelope import Ignored, InboundDelivery, Origin, Reading, Ticket, Wanted

# Where an event carries text that somebody wrote: a note's content, a status update's message, an incident's title.
TEXT_FIELDS = ("content", "message", "title")

# Events about one thing of an incident, whose `data.id` is that thing's: what we wrote ourselves is known by it.
OF_AN_ITEM = frozenset({"incident.annotated", "incident.status_update_published"})

ANNOTATED = "incident.annotated"
NOTES = "notes"  # the context that holds the whole of a trimmed note


def normalize(
    settings: PagerDutySettings,
    delivery: InboundDelivery,
    routes: Sequence[Route],
    context: Mapping[str, Any] | None = None,
) -> Reading:
    """What a route makes of it, or Ignored with the reason. The document of the routes is {event, data, ctx}.

    Raises Misconfigured only, when an expression of the file fails on this event; a shape that PagerDuty never
    documented is Ignored."""
    if settings.mode == "off":
        return Ignored(reason="the connector's mode is off")
    try:
        body: object = msgspec.json.decode(delivery.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Ignored(reason=f"malformed body: {str(error)[:200]}")
    event = _object(body, "event")
    data = _object(event, "data")
    if event is None or data is None:
        return Ignored(reason="malformed body: there is no event with data")
    event_type = event.get("event_type")
    if not isinstance(event_type, str):
        return Ignored(reason="malformed body: the event has no type")
    if event_type not in settings.inbound.topics:
        return Ignored(reason=f"{event_type[:80]} is not among inbound.topics")
    echo = _own_echo(settings, event, data)
    if echo:
        return Ignored(reason=echo)
    ticket = ticket_of(event, data)
    if ticket is None:
        return Ignored(reason=f"{event_type[:80]} names no incident")
    trimmed = event_type == ANNOTATED and data.get("trimmed") is True
    if trimmed and context is not None:
        data = _whole(data, context)
        echo = _own_echo(settings, event, data)  # the marker stands at the end, which had been cut off
        if echo:
            return Ignored(reason=echo)
    reading = decide(routes, {"event": event, "data": data}, ticket, context, _origin(event_type, data))
    if trimmed and context is None and not isinstance(reading, Ignored):
        names = reading.names if isinstance(reading, Wanted) else ()
        return Wanted(route=reading.route, ticket=ticket, names=tuple(dict.fromkeys((*names, NOTES))))
    return reading


def _origin(event_type: str, data: dict[str, Any]) -> Origin:
    item = data.get("id")
    known = event_type in OF_AN_ITEM and isinstance(item, str) and 0 < len(item) <= 64
    return Origin(item_ids=(str(item),)) if known else Origin()


def _whole(data: dict[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """The note as the API has it: above 55 KB a webhook leaves the rest out and says `trimmed`
    (docs/webhooks/02-Behavior.md)."""
    notes = context.get(NOTES)
    for note in cast("list[object]", notes) if isinstance(notes, list) else []:
        if isinstance(note, dict):
            content = cast("dict[str, object]", note).get("content")
            if cast("dict[str, object]", note).get("id") == data.get("id") and isinstance(content, str):
                return {**data, "content": content, "trimmed": False}
    return data


def ticket_of(event: dict[str, Any], data: dict[str, Any]) -> Ticket | None:
    """The incident: `data.incident` where the data is about a part of one (a note, field values), else `data` itself.

    keephq/keep#4681 takes `data.id` for every type and so files notes as incidents of their own."""
    if event.get("resource_type") != "incident":
        return None
    incident = _object(data, "incident") or data
    incident_id = incident.get("id")
    if not isinstance(incident_id, str) or not ID.match(incident_id):
        return None
    url = incident.get("html_url")
    summary = incident.get("title") or incident.get("summary")
    return Ticket(
        id=incident_id,
        url=url if isinstance(url, str) and url.startswith("https://") and len(url) <= 2_000 else None,
        summary=summary[:500] if isinstance(summary, str) else None,
    )


def _own_echo(settings: PagerDutySettings, event: dict[str, Any], data: dict[str, Any]) -> str:
    """Why this event is one that we caused ourselves; empty when it is not. By the agent for whatever we do (notes,
    fields, status updates, acknowledged, resolved), by the marker for what we wrote."""
    guard = settings.loop_guard
    agent_id = (_object(event, "agent") or {}).get("id")
    if isinstance(agent_id, str) and agent_id in settings.own_agents:
        return f"written by {agent_id}, which loop_guard ignores"
    if any(isinstance(data.get(name), str) and guard.marker in data[name] for name in TEXT_FIELDS):
        return "carries our own marker"
    return ""


def _object(value: object, name: str) -> dict[str, Any] | None:
    member = cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None
    return cast("dict[str, Any]", member) if isinstance(member, dict) else None
