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

# A part's type -> the topic of the notification that tells of it; a comment's depends on its author.
CONVERSATION_PARTS = {
    "assignment": "conversation.admin.assigned",
    "assign_and_reopen": "conversation.admin.assigned",
    "assign_and_unsnooze": "conversation.admin.assigned",
    "note": "conversation.admin.noted",
    "note_and_reopen": "conversation.admin.noted",
    "close": "conversation.admin.closed",
    "open": "conversation.admin.opened",
    "snoozed": "conversation.admin.snoozed",
    "unsnoozed": "conversation.admin.unsnoozed",
}
TICKET_PARTS = {
    "ticket_state_updated_by_admin": "ticket.state.updated",
    "ticket_attribute_updated_by_admin": "ticket.attribute.updated",
    "note": "ticket.note.created",
    "note_and_reopen": "ticket.note.created",
    "close": "ticket.closed",
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
                try:
                    thing = await self._api.thing(number, ticket=kind == "ticket")
                except Rejected:  # deleted since the search
                    continue
                for delivery in self._deliveries(kind, thing, since):
                    yield delivery

    async def _changed(self, kind: str, since: int) -> AsyncIterator[str]:
        after: str | None = None
        for _ in range(MAX_PAGES):
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
        found = [
            delivery_of(kind, item[0], part, app_id=self._settings.app_id)
            for part in [None, *parts_of(item[0])]
            if _moment(item[0] if part is None else part) >= since
        ]
        return [one for one in found if one is not None and one.event_type in self._settings.inbound.topics]


def delivery_of(
    kind: str, item: dict[str, Any], part: dict[str, Any] | None, *, app_id: str | None
) -> InboundDelivery | None:
    """The notification of one part, or of the creation itself for no part; None for what no topic tells of."""
    number = number_of(item.get("id"))
    topic = topic_of(kind, item, part)
    change = "created" if part is None else number_of(part.get("id"))
    if topic is None or number is None or change is None:
        return None
    delivery_id = f"recon:{number}:{change}"
    parts = [] if part is None else [part]
    inner: dict[str, Any] = {
        **item,
        f"{kind}_parts": {"type": f"{kind}_part.list", f"{kind}_parts": parts, "total_count": len(parts)},
    }
    if topic == "ticket.note.created":
        inner = {"type": "ticket_ticket_part", "ticket": inner, "ticket_part": part}
    body = {
        "type": "notification_event",
        "id": delivery_id,
        "topic": topic,
        "app_id": app_id,
        "created_at": _moment(item if part is None else part),
        "data": {"type": "notification_event_data", "item": inner},
    }
    return InboundDelivery(
        delivery_id=delivery_id,
        event_type=topic,
        body=msgspec.json.encode(body),
        headers={},
        verified_by=RECONCILED,
    )


def topic_of(kind: str, item: dict[str, Any], part: dict[str, Any] | None) -> str | None:
    if part is None:
        if kind == "ticket":
            return "ticket.created"
        by_admin = member(item, "source", "author", "type") in ("admin", "bot")
        return "conversation.admin.single.created" if by_admin else "conversation.user.created"
    part_type = part.get("part_type")
    if part_type == "comment":
        return REPLIES[kind].get(str(member(part, "author", "type")), CUSTOMER_REPLIES[kind])
    if kind == "ticket" and str(part_type).startswith("assign"):
        return f"ticket.{'team' if member(part, 'assigned_to', 'type') == 'team' else 'admin'}.assigned"
    return (CONVERSATION_PARTS if kind == "conversation" else TICKET_PARTS).get(str(part_type))


def _moment(thing: dict[str, Any]) -> int:
    at = thing.get("created_at")
    return at if isinstance(at, int) else 0


def reconciler(settings: IntercomSettings, tools: Tools) -> IntercomReconciler | None:
    """None without a token: then nothing is reconciled."""
    if not settings.auth.access_token.current(clock.now()):
        return None
    return IntercomReconciler(settings, client(settings, tools))
