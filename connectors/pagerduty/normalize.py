"""What a PagerDuty delivery means: about which incident it is, whether it is our own echo, and which route it takes.
Called by the hub's `inbound.received` job and by in-file tests. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from connectors.form import Route
from connectors.pagerduty.settings import PagerDutySettings
from connectors.routes import decide
from core.intake.envelope import Ignored, InboundDelivery, Reading, Ticket

# What PagerDuty's ids look like (PGR0VU2, Q3B15VLMF3ASBD); nothing else may reach a path of the API.
INCIDENT_ID = re.compile(r"[A-Za-z0-9]{1,32}\Z")

# Where an event carries text that somebody wrote: a note's content, a status update's message, an incident's title.
TEXT_FIELDS = ("content", "message", "title")


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
    return decide(routes, {"event": event, "data": data}, ticket, context)


def ticket_of(event: dict[str, Any], data: dict[str, Any]) -> Ticket | None:
    """The incident: `data.incident` where the data is about a part of one (a note, field values), else `data` itself.

    keephq/keep#4681 takes `data.id` for every type and so files notes as incidents of their own."""
    if event.get("resource_type") != "incident":
        return None
    incident = _object(data, "incident") or data
    incident_id = incident.get("id")
    if not isinstance(incident_id, str) or not INCIDENT_ID.match(incident_id):
        return None
    url = incident.get("html_url")
    summary = incident.get("title") or incident.get("summary")
    return Ticket(
        id=incident_id,
        url=url if isinstance(url, str) and url.startswith("https://") and len(url) <= 2_000 else None,
        summary=summary[:500] if isinstance(summary, str) else None,
    )


def _own_echo(settings: PagerDutySettings, event: dict[str, Any], data: dict[str, Any]) -> str:
    """Why this event is one that we caused ourselves; empty when it is not."""
    guard = settings.loop_guard
    agent_id = (_object(event, "agent") or {}).get("id")
    if agent_id in guard.ignore_agents:
        return f"written by {agent_id}, which loop_guard ignores"
    if any(isinstance(data.get(name), str) and guard.marker in data[name] for name in TEXT_FIELDS):
        return "carries our own marker"
    return ""


def _object(value: object, name: str) -> dict[str, Any] | None:
    member = cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None
    return cast("dict[str, Any]", member) if isinstance(member, dict) else None
