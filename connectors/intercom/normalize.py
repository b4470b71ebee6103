"""What an Intercom notification means: about which conversation or ticket it is, whether it is our own echo, and which
route it takes. Called by the hub's `inbound.received` job and by in-file tests. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from connectors.form import Route
from connectors.intercom.settings import APP, HITL_TOPIC, IntercomSettings
from connectors.intercom.shapes import PROCEDURE, STEP, TICKET, WORKSPACE, member, number_of, objects, opened
from connectors.routes import decide
from core.intake.envelope import Ignored, InboundDelivery, Origin, Reading, Ticket

CUSTOMERS = ("user", "lead", "contact")  # an author's `type`


def normalize(
    settings: IntercomSettings,
    delivery: InboundDelivery,
    routes: Sequence[Route],
    context: Mapping[str, Any] | None = None,
) -> Reading:
    """What a route makes of it, or Ignored with the reason. The document of the routes is {event, item, part, ctx}:
    `event` the notification without its data, `item` the conversation, ticket or procedure step, `part` the part of it
    that the topic tells of (null when there is none).

    Raises Misconfigured only, when an expression of the file fails on this event; a shape that Intercom never
    documented is Ignored."""
    if settings.mode == "off":
        return Ignored(reason="the connector's mode is off")
    try:
        body: object = msgspec.json.decode(delivery.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Ignored(reason=f"malformed body: {str(error)[:200]}")
    raw = member(body, "data", "item")
    topic = member(body, "topic")
    if not isinstance(raw, dict) or not isinstance(topic, str):
        return Ignored(reason="malformed body: there is no topic with an item")
    event = {name: value for name, value in cast("dict[str, Any]", body).items() if name != "data"}
    if settings.app_id is not None and event.get("app_id") != settings.app_id:
        return Ignored(
            reason=f"of the workspace {str(event.get('app_id'))[:40]}, this file is for {settings.app_id}"
        )
    if topic not in settings.inbound.topics:
        return Ignored(reason=f"{topic[:80]} is not among inbound.topics")
    item, part = opened(topic, cast("dict[str, Any]", raw))
    echo = _own_echo(settings, topic, item, part)
    if echo:
        return Ignored(reason=echo)
    ticket = ticket_of(settings.region, topic, event.get("app_id"), item)
    if ticket is None:
        return Ignored(reason=f"{topic[:80]} names no conversation or ticket")
    document = {"event": event, "item": item, "part": part}
    return decide(routes, document, ticket, context, Origin(item_ids=_item_ids(item, part)))


def ticket_of(region: str, topic: str, app_id: object, item: dict[str, Any]) -> Ticket | None:
    """The conversation, ticket or waiting procedure step (see `shapes.target_of`), with its address in the inbox, which
    is made of the region's host and checked ids."""
    summary: object = None
    if topic == HITL_TOPIC:
        number, step = number_of(item.get("conversation_id")), item.get("step_id")
        if number is None or not isinstance(step, str) or not STEP.match(step):
            return None
        ticket_id, summary = f"{PROCEDURE}{number}:{step}", item.get("procedure_name")
    else:
        number = number_of(item.get("id"))
        if number is None or item.get("type") not in ("conversation", "ticket"):
            return None
        if item["type"] == "ticket":
            ticket_id, summary = f"{TICKET}{number}", member(item, "ticket_attributes", "_default_title_")
        else:
            ticket_id = number
            summary = item.get("title") or member(item, "source", "subject")
    known = isinstance(app_id, str) and WORKSPACE.match(app_id)
    url = f"{APP[region]}/a/inbox/{app_id}/inbox/conversation/{number}" if known else None
    return Ticket(
        id=ticket_id, url=url, summary=summary[:500] if isinstance(summary, str) and summary else None
    )


def _item_ids(item: dict[str, Any], part: dict[str, Any] | None) -> tuple[str, ...]:
    """The part that the event tells of. One reply comes on a conversation topic and on a ticket topic, with two
    notification ids and one part id."""
    part_id = number_of(member(part, "id"))
    return (part_id,) if part_id else ()


def _own_echo(
    settings: IntercomSettings, topic: str, item: dict[str, Any], part: dict[str, Any] | None
) -> str:
    """Why this event is one that we caused ourselves; empty when it is not."""
    guard = settings.loop_guard
    if topic == "conversation_part.tag.created":
        # The part that got the tag is the customer's, so its author tells nothing; the tag itself does.
        tags, own = _added(item, part), {step.tag for step in settings.steps() if step.tag is not None}
        return "a tag that our own steps set" if tags and all(tag & own for tag in tags) else ""
    if topic == "ticket.created":
        return ""  # we open none; its newest part may be ours when a late try brings it
    author = member(part, "author")
    if member(author, "type") == "admin":
        author_id = str(member(author, "id"))
        if author_id in (settings.act_as_admin, *guard.ignore_agents):
            return f"written by {author_id[:40]}, which loop_guard ignores"
    for said in (part, member(item, "source")):
        text = member(said, "body")
        # A customer's e-mail quotes the comment it answers, marker included; we never write as a customer.
        if member(said, "author", "type") not in CUSTOMERS and isinstance(text, str) and guard.marker in text:
            return "carries our own marker"
    return ""


def _added(item: dict[str, Any], part: dict[str, Any] | None) -> list[set[str]]:
    """{id, name} of each tag that the event tells of."""
    tags = objects(member(item, "tags_added", "tags")) or objects(member(part, "tags"))
    return [{str(tag.get("id")), str(tag.get("name"))} for tag in tags]
