"""Intercom's objects as they come over the wire, brought to one shape: which ticket a notification is about, its newest
part, and what the webhooks of API 1.x called otherwise. Pure; used by `normalize.py`, `reconcile.py` and `reply.py`."""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

from core.errors import Rejected

# Intercom's ids reach paths of its API, and its own client puts them there unescaped: find("../admins") asks /admins.
NUMBER = re.compile(r"[0-9]{1,20}\Z")
STEP = re.compile(r"[0-9A-Za-z-]{1,64}\Z")
WORKSPACE = re.compile(r"[a-z0-9]{1,32}\Z")
CONTACT = re.compile(r"[0-9a-f]{1,24}\Z")

# Topics whose ticket comes with all its parts -> how the type of the part that they tell of begins.
TOLD_BY = {
    "ticket.state.updated": "ticket_state_updated",
    "ticket.resolved": "ticket_state_updated",
    "ticket.closed": "close",
}

TICKET, PROCEDURE = "ticket:", "procedure:"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a `Ticket.id` of ours stands for: a conversation (`215…`), a ticket (`ticket:215…`), or a procedure's step
    that waits in a conversation (`procedure:215…:<step>`); `number` is Intercom's id, fit for a path."""

    number: str
    is_ticket: bool = False
    step: str = ""


def target_of(ticket_id: str) -> Target:
    """Raises Rejected for whatever is no id of Intercom's, such as `last`, which its reply endpoint would take."""
    number, step = ticket_id.removeprefix(TICKET), ""
    if ticket_id.startswith(PROCEDURE):
        number, _, step = ticket_id.removeprefix(PROCEDURE).partition(":")
    if not NUMBER.match(number) or (ticket_id.startswith(PROCEDURE) and not STEP.match(step)):
        raise Rejected("bad_ticket_id", f"{ticket_id[:80]!r} is no conversation or ticket of Intercom.")
    return Target(number=number, is_ticket=ticket_id.startswith(TICKET), step=step)


def member(value: object, *names: str) -> Any:
    """`value[names[0]][names[1]]…`, None as soon as one is missing."""
    for name in names:
        value = cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None
    return value


def objects(value: object) -> list[dict[str, Any]]:
    """The objects of a list, nothing for anything else."""
    found = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", one) for one in found if isinstance(one, dict)]


def number_of(value: object) -> str | None:
    """An id that fits a path, whether it came as text or as a number."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return text if isinstance(text, str) and NUMBER.match(text) else None


def parts_of(item: object) -> list[dict[str, Any]]:
    """The parts of a conversation or ticket, oldest first."""
    parts = objects(member(item, "conversation_parts", "conversation_parts")) or objects(
        member(item, "ticket_parts", "ticket_parts")
    )
    return sorted(parts, key=_made)


def opened(topic: str, item: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """(the conversation, ticket or notification itself, the part that the topic tells of). Most topics of tickets wrap
    the ticket and name the part (`ticket_ticket_part`), and since 2.15 `ticket.closed` wraps it too; the others bring
    the ticket with all its parts, and one of ours may have come between the event and its delivery."""
    inner = member(item, "ticket")
    if item.get("type") not in ("conversation", "ticket") and isinstance(inner, dict):
        ticket = cast("dict[str, Any]", inner)
        named = objects([member(item, "ticket_part")])
        return ticket, named[0] if named else _told(topic, ticket)
    if item.get("type") == "conversation":
        item = modern(item)
    return item, _told(topic, item)


def modern(item: dict[str, Any]) -> dict[str, Any]:
    """A conversation of webhooks 1.x with the members that 2.x has: `conversation_message`, `user` and `assignee` are
    also `source`, `contacts` and the two assignee ids. A newer one is returned as it is."""
    if "source" in item or not isinstance(item.get("conversation_message"), dict):
        return item
    user, assignee = member(item, "user"), member(item, "assignee")
    ids = {"admin_assignee_id": None, "team_assignee_id": None}
    kind = member(assignee, "type")
    if kind in ("admin", "team"):
        ids[f"{kind}_assignee_id"] = member(assignee, "id")
    contacts = objects([user])
    return {
        **item,
        **ids,
        "source": item["conversation_message"],
        "contacts": {"type": "contact.list", "contacts": contacts},
    }


def _told(topic: str, item: dict[str, Any]) -> dict[str, Any] | None:
    parts = parts_of(item)
    kind = TOLD_BY.get(topic, "")
    fitting = [part for part in parts if str(part.get("part_type")).startswith(kind)]
    return (fitting or parts or [None])[-1]


def _made(part: dict[str, Any]) -> int:
    at = part.get("created_at")
    return at if isinstance(at, int) else 0
