"""Each step of `outbound:` as the request it makes, for a conversation or a ticket. Pure; used by `reply.py`, which
sends them or shows them."""

from __future__ import annotations

from typing import Any, Literal, cast

import msgspec

from connectors.intercom.calling import Work
from connectors.intercom.shapes import Target, member, number_of, objects
from core.errors import Rejected

NOBODY = "0"


class Assignee(msgspec.Struct, frozen=True, kw_only=True):
    """A teammate or a team; nobody is the admin `0`."""

    kind: Literal["admin", "team"]
    id: str


def reply(target: Target, message_type: str, admin: str, body: str) -> Work:
    """POST …/reply: a `note` for teammates, a `comment` for the customer."""
    fields: dict[str, Any] = {"message_type": message_type, "admin_id": admin, "body": body}
    if target.is_ticket:
        return lambda api, names: api.tickets.reply(target.number, request=names.TicketReply(**fields))
    return lambda api, names: api.conversations.reply(
        target.number, request=names.ConversationReply(**fields)
    )


def tagging(target: Target, admin: str, tag_id: str) -> Work:
    if target.is_ticket:
        return lambda api, _: api.tags.tag_ticket(target.number, tag_id=tag_id, admin_id=admin)
    return lambda api, _: api.tags.tag_conversation(target.number, tag_id=tag_id, admin_id=admin)


def untagging(target: Target, admin: str, tag_id: str) -> Work:
    if target.is_ticket:
        return lambda api, _: api.tags.untag_ticket(target.number, tag_id, admin_id=admin)
    return lambda api, _: api.tags.untag_conversation(target.number, tag_id, admin_id=admin)


def attributes(target: Target, admin: str, values: dict[str, Any]) -> Work:
    if target.is_ticket:
        return lambda api, _: api.tickets.update(target.number, ticket_attributes=values, admin_id=int(admin))
    return lambda api, _: api.conversations.update(target.number, custom_attributes=values)


def assigning(target: Target, admin: str, assignee: Assignee) -> Work:
    if target.is_ticket:
        return lambda api, _: api.tickets.update(target.number, admin_id=int(admin), assignee_id=assignee.id)
    return lambda api, names: api.conversations.manage(
        target.number,
        request=names.Assignment(type=assignee.kind, admin_id=admin, assignee_id=assignee.id),
    )


def closing(target: Target, admin: str) -> Work:
    if target.is_ticket:
        return lambda api, _: api.tickets.update(target.number, open=False, admin_id=int(admin))
    return lambda api, names: api.conversations.manage(target.number, request=names.Close(admin_id=admin))


def opening(target: Target, admin: str) -> Work:
    if target.is_ticket:
        return lambda api, _: api.tickets.update(target.number, open=True, admin_id=int(admin))
    return lambda api, names: api.conversations.manage(target.number, request=names.Open(admin_id=admin))


def snoozing(target: Target, admin: str, until: int) -> Work:
    """`until` is in unix seconds."""
    if target.is_ticket:
        return lambda api, _: api.tickets.update(target.number, snoozed_until=until, admin_id=int(admin))
    return lambda api, names: api.conversations.manage(
        target.number, request=names.Snoozed(admin_id=admin, snoozed_until=until)
    )


def stating(target: Target, admin: str, state_id: str) -> Work:
    return lambda api, _: api.tickets.update(target.number, ticket_state_id=state_id, admin_id=int(admin))


def named_assignee(to: str) -> Assignee | None:
    """Of `admin:ID`, `team:ID` or `unassigned`; None for `previous`, which has to be looked up."""
    kind, _, number = to.partition(":")
    if kind == "unassigned":
        return Assignee(kind="admin", id=NOBODY)
    return Assignee(kind="admin" if kind == "admin" else "team", id=number) if number else None


def previous_assignee(parts: list[dict[str, Any]], own_admin: str) -> Assignee:
    """Who had it before it was given to those who have it now; nobody when it was never assigned before. Assignments
    that we made ourselves do not count, so that asking twice gives the same."""
    nobody = Assignee(kind="admin", id=NOBODY)
    given: list[Assignee] = []
    for part in parts:
        kind, number = member(part, "assigned_to", "type"), number_of(member(part, "assigned_to", "id"))
        if str(member(part, "author", "id")) == own_admin:
            continue
        if kind in ("admin", "team") and number:
            given.append(Assignee(kind=kind, id=number))
        elif str(kind).startswith("nobody"):  # `nobody_admin`, with a null id
            given.append(nobody)
    return next((one for one in reversed(given) if one != given[-1]), nobody)


def is_assigned(thing: object, assignee: Assignee) -> bool:
    """Whether a conversation or ticket is there already. Nobody is null in a conversation and "0" in a ticket."""
    has = {kind: number_of(member(thing, f"{kind}_assignee_id")) or NOBODY for kind in ("admin", "team")}
    if assignee.id == NOBODY:
        return has["admin"] == NOBODY
    return has[assignee.kind] == assignee.id


def agent_input(step_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body of POST /procedures/{id}/collect_agent_input. Values of a list attribute are option ids there; a label
    is turned into its id where the attributes are given. Raises Rejected for values that are no object."""
    values = body.get("values")
    if not isinstance(values, dict) or not values:
        raise Rejected(
            "no_values",
            "collect_agent_input.values gave nothing; it must give {identifier: value} for every attribute.",
        )
    ids: dict[tuple[str, str], str] = {}
    for attribute in objects(body.get("attributes")):
        for option in objects(attribute.get("options")):
            ids[str(attribute.get("identifier")), str(option.get("label"))] = str(option.get("id"))
    named = cast("dict[str, object]", values)
    return {
        "step_id": step_id,
        "attribute_values": [
            {"identifier": name, "value": ids.get((name, value), value) if isinstance(value, str) else value}
            for name, value in named.items()
        ],
    }
