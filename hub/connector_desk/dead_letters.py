"""What did not go through: replies that a vendor refused or that gave up, and deliveries that our configuration could
not read. Listed and brought back by `hub connectors deadletters` and `redrive`, and by the operator's page."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.unit_of_work import Transaction
from core.errors import NotFound
from core.intake.actions import replay
from core.intake.states import InboundState
from core.intake.tables import InboundEvent
from core.replies.actions import redrive as redrive_reply
from core.replies.states import ReplyState
from core.replies.tables import Reply


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is of a reply (`rep_`) or an inbound event (`inb_`); `about` is the ticket, or the event's type and the
    vendor's id. A moot reply is listed so that nobody looks for it; it cannot be brought back."""

    id: str
    connector: str
    state: str
    about: str
    reason: str
    at: datetime
    task_id: str | None

    @property
    def again(self) -> bool:
        """Whether it may be tried again."""
        return self.state != ReplyState.MOOT


async def dead_letters(
    session: AsyncSession, connector: str | None = None, limit: int = 100
) -> list[DeadLetter]:
    """Newest first."""
    replies = select(Reply).where(Reply.state.in_([ReplyState.DEAD, ReplyState.MOOT]))
    events = select(InboundEvent).where(InboundEvent.state == InboundState.FAILED)
    if connector is not None:
        replies = replies.where(Reply.connector == connector)
        events = events.where(InboundEvent.connector == connector)
    found = [_of_reply(one) for one in await session.scalars(replies.order_by(Reply.id.desc()).limit(limit))]
    failed = await session.scalars(events.order_by(InboundEvent.id.desc()).limit(limit))
    found += [_of_event(one) for one in failed]
    return sorted(found, key=lambda one: (one.at, one.id), reverse=True)[:limit]


async def redrive(tx: Transaction, letter_id: str, *, actor: str) -> None:
    """Try a dead reply again, or read a failed delivery again. Raises NotFound, Conflict."""
    if letter_id.startswith("rep_"):
        await redrive_reply(tx, letter_id, actor=actor)
    elif letter_id.startswith("inb_"):
        await replay(tx, letter_id, actor=actor)
    else:
        raise NotFound(
            "dead_letter_not_found",
            f"{letter_id[:80]!r} is neither a reply (rep_…) nor an inbound event (inb_…); "
            "see `hub connectors deadletters`",
        )


def _of_reply(reply: Reply) -> DeadLetter:
    kinds = ", ".join(str(one["kind"]) for one in reply.actions)
    return DeadLetter(
        id=reply.id,
        connector=reply.connector,
        state=reply.state,
        about=f"{kinds} into {reply.ticket_id}",
        reason=reply.error or "",
        at=reply.created_at,
        task_id=reply.task_id,
    )


def _of_event(event: InboundEvent) -> DeadLetter:
    return DeadLetter(
        id=event.id,
        connector=event.connector,
        state=event.state,
        about=f"{event.event_type} {event.delivery_id}",
        reason=event.reason or "",
        at=event.received_at,
        task_id=event.task_id,
    )
