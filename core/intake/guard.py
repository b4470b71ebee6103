"""Keeps our own writes and late news from becoming tasks: the ledger of what we wrote, the wait while a write is on its
way, the order of revisions and the fuse. Called by `process.py`, inside its transaction."""

from __future__ import annotations

from sqlalchemy import select

from core import clock
from core.db.unit_of_work import Transaction
from core.errors import Invalid, Retryable
from core.intake.envelope import Origin
from core.intake.tables import InboundEvent
from core.replies.states import ReplyState
from core.replies.tables import Reply
from core.tasks.tables import Task

STOPPED_SECONDS = 60.0  # until a delivery asks again whether its connector's credentials are mended
HOLD_SECONDS = 30  # a doubtful write is settled by then; a rare duplicate beats a lost message
HOLD_STEP = 1.0

# One statement on both databases: the row is there and not newer afterwards, or nothing comes back.
_ADVANCE = {
    "postgresql": "INSERT INTO ticket_revisions AS r (connector, ticket_id, revision) VALUES ($1, $2, $3) "
    "ON CONFLICT (connector, ticket_id) DO UPDATE SET revision = excluded.revision "
    "WHERE r.revision <= excluded.revision RETURNING revision",
    "sqlite": "INSERT INTO ticket_revisions (connector, ticket_id, revision) VALUES (?, ?, ?) "
    "ON CONFLICT (connector, ticket_id) DO UPDATE SET revision = excluded.revision "
    "WHERE ticket_revisions.revision <= excluded.revision RETURNING revision",
}


async def own_echo(tx: Transaction, connector: str, origin: Origin) -> str:
    """Why the event tells only of what we wrote ourselves; empty when it does not."""
    if not origin.item_ids:
        return ""
    ours = await tx.session.scalar(
        select(Reply.id)
        .where(Reply.connector == connector, Reply.vendor_id.in_(list(origin.item_ids)))
        .limit(1)
    )
    return f"the echo of our own reply {ours}" if ours else ""


async def refuse_while_sending(tx: Transaction, event: InboundEvent, ticket_id: str) -> None:
    """While a write into the ticket is on its way we cannot know its id: the event waits, but not for ever.
    Raises Retryable."""
    if await tx.now_ms() - clock.to_ms(event.received_at) > HOLD_SECONDS * 1000:
        return
    sending = await tx.session.scalar(
        select(Reply.id)
        .where(
            Reply.connector == event.connector,
            Reply.ticket_id == ticket_id,
            Reply.state.in_([ReplyState.SENDING, ReplyState.UNCERTAIN]),
        )
        .limit(1)
    )
    if sending is not None:
        raise Retryable("reply_in_flight", f"Reply {sending} into this ticket is on its way", after=HOLD_STEP)


async def in_order(tx: Transaction, connector: str, ticket_id: str, origin: Origin) -> str:
    """Remember the revision; why the event is late when a newer one was seen, else empty."""
    if origin.revision is None:
        return ""
    newest = await tx.execute(_ADVANCE[tx.dialect], (connector, ticket_id, origin.revision))
    if newest.first() is not None:
        return ""
    return f"revision {origin.revision} is older than one that was seen before"


async def no_loop(tx: Transaction, connector: str, ticket_id: str, key: str, most: int) -> None:
    """The fuse behind the loop guard: a ticket that keeps asking is probably answering itself. Raises Invalid, which
    keeps the delivery as failed, to be replayed by an operator. An escalation that made its task before is no new one."""
    hour_ago = clock.from_ms(await tx.now_ms() - 3_600_000)
    here = (Task.connector == connector, Task.ticket_id == ticket_id)
    recent = await tx.session.scalars(select(Task.id).where(*here, Task.created_at > hour_ago).limit(most))
    if len(recent.all()) < most:
        return
    if await tx.session.scalar(select(Task.id).where(*here, Task.escalation_key == key)) is None:
        raise Invalid(
            "loop_fuse",
            f"Ticket {ticket_id} asked {most} times within an hour; see loop_guard.max_tasks_per_key_per_hour",
        )
