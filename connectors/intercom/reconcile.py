"""Finds what Intercom's sender gave up on: it tries a notification twice, a minute apart, and then never again. Each
new part of a changed conversation or ticket becomes the notification that would have told of it. Called by the hub's
reconcile job."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from connectors.connector import Tools
from connectors.intercom.client import IntercomClient, client
from connectors.intercom.settings import IntercomSettings
from connectors.intercom.shapes import member, number_of, objects, parts_of
from core import clock
from core.errors import Rejected, Retryable
from core.intake.envelope import RECONCILED, InboundDelivery

# A part's type -> the topics that tell of it; a comment's depends on its author.
_ASSIGNED = ["conversation.admin.assigned", "conversation.admin.open.assigned"]
CONVERSATION_PARTS = {
    "assignment": _ASSIGNED,
    "assign_and_reopen": _ASSIGNED,
    "assign_and_unsnooze": _ASSIGNED,
    "note": ["conversation.admin.noted"],
    "note_and_reopen": ["conversation.admin.noted"],
    "close": ["conversation.admin.closed"],
    "open": ["conversation.admin.opened"],
    "snoozed": ["conversation.admin.snoozed"],
    "unsnoozed": ["conversation.admin.unsnoozed"],
}
TICKET_PARTS = {
    "ticket_attribute_updated_by_admin": ["ticket.attribute.updated"],
    "note": ["ticket.note.created"],
    "note_and_reopen": ["ticket.note.created"],
    "close": ["ticket.closed"],
}
REPLIES = {
    "conversation": {"bot": "conversation.operator.replied", "admin": "conversation.admin.replied"},
    "ticket": {"admin": "ticket.admin.replied"},
}
CUSTOMER_REPLIES = {"conversation": "conversation.user.replied", "ticket": "ticket.contact.replied"}
MAX_PAGES = 1_000  # 150,000 changes in one look: more is a loop at the other side


class IntercomReconciler:
    """Implements connectors/connector.Reconciler. A waiting procedure step is on no list: those are lost with their
    two tries, and Intercom asks its own inbox besides us."""

    def __init__(self, settings: IntercomSettings, api: IntercomClient):
        self._settings = settings
        self._api = api

    async def changes(self, since_ms: int) -> AsyncIterator[InboundDelivery]:
        """Oldest part first within one conversation or ticket; only routed topics."""
        since = since_ms // 1000
        for kind in ("conversation", "ticket"):
            if not any(topic.startswith((f"{kind}.", f"{kind}_")) for topic in self._settings.inbound.topics):
                continue
            async for number in self._changed(kind, since):
                await self._api.turn()
                try:
                    thing = await self._api.thing(number, ticket=kind == "ticket")
                except Rejected:  # deleted since the search
                    continue
                for delivery in self._deliveries(kind, thing, since):
                    yield delivery

    async def _changed(self, kind: str, since: int) -> AsyncIterator[str]:
        after: str | None = None
        for _ in range(MAX_PAGES):
            await self._api.turn()
            try:
                page = await self._api.search(f"{kind}s", since - 1, after)
            except Rejected as error:
                raise Retryable("search_refused", error.message) from error
            for found in objects(member(page, f"{kind}s")):
                number = number_of(found.get("id"))
                if number:
                    yield number
            cursor = member(page, "pages", "next", "starting_after")
            if not isinstance(cursor, str) or not cursor or cursor == after:
                return
            after = cursor
        raise Retryable("search_endless", f"the search for {kind}s has no end after {MAX_PAGES} pages")

    def _deliveries(self, kind: str, thing: object, since: int) -> list[InboundDelivery]:
        item = objects([thing])
        if not item:
            return []
        changed = [part for part in [None, *parts_of(item[0])] if _moment(part or item[0]) >= since]
        wanted = self._settings.inbound.topics
        return [
            delivery
            for part in changed
            for place, topic in enumerate(topics_of(kind, item[0], part))
            if topic in wanted
            and (delivery := delivery_of(kind, topic, item[0], part, self._settings.app_id, first=place == 0))
        ]


def delivery_of(
    kind: str,
    topic: str,
    item: dict[str, Any],
    part: dict[str, Any] | None,
    app_id: str | None,
    *,
    first: bool,
) -> InboundDelivery | None:
    """The notification of one part, or of the creation itself for no part; None when an id is none. Of several topics
    that tell of one part, all but the `first` stand in the delivery's id."""
    number = number_of(item.get("id"))
    change = "created" if part is None else number_of(part.get("id"))
    if number is None or change is None:
        return None
    delivery_id = f"recon:{number}:{change}{'' if first else f':{topic}'}"
    inner = dict(item)
    if kind == "conversation":
        parts = [] if part is None else [part]
        inner["conversation_parts"] = {
            "type": "conversation_part.list",
            "conversation_parts": parts,
            "total_count": len(parts),
        }
    elif part is None:
        inner["ticket_parts"] = {"type": "ticket_part.list", "ticket_parts": [], "total_count": 0}
    else:
        # Some of these topics bring the bare ticket; wrapped, it says which of its parts is meant.
        inner = {"type": "ticket_ticket_part", "ticket": item, "ticket_part": part}
    body = {
        "type": "notification_event",
        "id": delivery_id,
        "topic": topic,
        "app_id": app_id,
        "created_at": _moment(part or item),
        "data": {"type": "notification_event_data", "item": inner},
    }
    return InboundDelivery(
        delivery_id=delivery_id,
        event_type=topic,
        body=msgspec.json.encode(body),
        headers={},
        verified_by=RECONCILED,
    )


def topics_of(kind: str, item: dict[str, Any], part: dict[str, Any] | None) -> list[str]:
    """The topics that tell of a part, or of the creation; none for what no topic tells of."""
    if part is None:
        if kind == "ticket":
            return ["ticket.created"]
        by_us = member(item, "source", "author", "type") in ("admin", "bot")
        return ["conversation.admin.single.created" if by_us else "conversation.user.created"]
    part_type = str(part.get("part_type"))
    if part_type == "comment":
        return [REPLIES[kind].get(str(member(part, "author", "type")), CUSTOMER_REPLIES[kind])]
    if kind == "conversation":
        return CONVERSATION_PARTS.get(part_type, [])
    if part_type.startswith("assign"):
        team = member(part, "assigned_to", "type") == "team"
        replied = ["ticket.admin.replied"] if part.get("body") else []  # reply-and-assign has no comment part
        return [f"ticket.{'team' if team else 'admin'}.assigned", *replied]
    if part_type.startswith("ticket_state_updated"):
        return [
            "ticket.state.updated",
            *(["ticket.resolved"] if part.get("ticket_state") == "resolved" else []),
        ]
    return TICKET_PARTS.get(part_type, [])


def _moment(thing: dict[str, Any]) -> int:
    at = thing.get("created_at")
    return at if isinstance(at, int) else 0


def reconciler(settings: IntercomSettings, tools: Tools) -> IntercomReconciler | None:
    """None without a token: then nothing is reconciled."""
    if not settings.auth.access_token.current(clock.now()):
        return None
    return IntercomReconciler(settings, client(settings, tools))
