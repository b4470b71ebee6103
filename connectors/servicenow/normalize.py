"""What a ServiceNow delivery means: which record, whether it is our own echo, and which route it takes. Called by the
hub's `inbound.received` job and by in-file tests. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from connectors import signed_json
from connectors.form import Route
from connectors.routes import decide
from connectors.servicenow.records import JOURNALS, count_of, flatten, newest_entry
from connectors.servicenow.settings import SYS_ID, ServiceNowSettings
from connectors.signed_json import Event, Unreadable
from core.intake.envelope import Ignored, InboundDelivery, Origin, Reading, Ticket

_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")


def normalize(
    settings: ServiceNowSettings,
    delivery: InboundDelivery,
    routes: Sequence[Route],
    context: Mapping[str, Any] | None = None,
) -> Reading:
    """What a route makes of it, or Ignored with the reason. The document of the routes is
    {event, source, actor, fields, display, ctx}: `fields.priority` is the value (`"1"`), `display.priority` its label.

    Raises Misconfigured only, when an expression of the file fails on this event."""
    if settings.mode == "off":
        return Ignored(reason="the connector's mode is off")
    try:
        event = signed_json.parse(delivery.body)
    except Unreadable as error:
        return Ignored(reason=f"malformed body: {error}")
    if event.type not in settings.inbound.topics:
        return Ignored(reason=f"{event.type} is not among inbound.topics")
    reason = _not_ours(settings, event)
    if reason:
        return Ignored(reason=reason)
    fields, display = flatten(event.fields)
    echo = own_echo(settings, event, fields)
    if echo:
        return Ignored(reason=echo)
    document = {**signed_json.document(event), "fields": fields, "display": display}
    return decide(routes, document, ticket_of(settings, event, fields), context, origin_of(event, fields))


def own_echo(settings: ServiceNowSettings, event: Event, fields: Mapping[str, Any]) -> str:
    """Why this event is one that we caused ourselves; empty when it is not.

    The marker counts in the newest journal entry alone: older entries come along with some later change by somebody
    else, and close notes stay in the record for good."""
    guard = settings.loop_guard
    names = [event.actor.id, event.actor.name] if event.actor else []
    for name in [*names, fields.get("sys_updated_by")]:
        if name and name in guard.ignore_agents:
            return f"written by {name}, which loop_guard ignores"
    for journal in JOURNALS:
        text = fields.get(journal)
        if isinstance(text, str) and guard.marker in newest_entry(text):
            return "carries our own marker"
    return ""


def ticket_of(settings: ServiceNowSettings, event: Event, fields: Mapping[str, Any]) -> Ticket:
    """The record by its sys_id; the link is made of the configured host, never taken from the payload."""
    number = event.source.number or fields.get("number")
    title = fields.get("short_description")
    words = [word for word in (number, title) if isinstance(word, str) and word]
    host = settings.instance.rstrip("/")
    return Ticket(
        id=event.source.id,
        url=f"{host}/nav_to.do?uri={settings.table}.do%3Fsys_id%3D{event.source.id}",
        summary=": ".join(words)[:500] or None,
    )


def origin_of(event: Event, fields: Mapping[str, Any]) -> Origin:
    """`sys_mod_count` orders the changes; with it the record's state gets an id, which `reply.py` returns for its own
    writes."""
    revision = event.source.order
    if revision is None:
        revision = count_of(fields.get("sys_mod_count"))
    items = () if revision is None else (f"{event.source.id}:{revision}",)
    return Origin(item_ids=items, revision=revision)


def _not_ours(settings: ServiceNowSettings, event: Event) -> str:
    """Why the record is none of this file's. A clone of production carries our app and its secrets with it: its
    events must not be answered in production."""
    source = event.source
    if source.system != "servicenow":
        return f"the source is {source.system[:40]!r}, not servicenow"
    if source.instance is not None and source.instance != settings.source_instance:
        return f"from the instance {source.instance[:60]!r}, this file is for {settings.source_instance}"
    if source.table != settings.table:
        return f"of the table {source.table[:80]}, this file is for {settings.table}"
    if not SYS_ID.match(source.id):
        return "source.id is no sys_id"
    if source.number is not None and not _NUMBER.match(source.number):
        return "source.number is no record number"
    return ""
