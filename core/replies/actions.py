"""Delivers what a ticket gets exactly once to a vendor that knows no idempotency key: `sending` is committed before
the call, and from `uncertain` we look for what we wrote before we write again. Composed in `compose.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from sqlalchemy import select, update

from core import clock, crash
from core.audit.record import record
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import Conflict, HubError, Misconfigured, NotFound, Rejected, Retryable, Uncertain
from core.outbox import rows
from core.outbox.rows import Lease
from core.repairs.actions import Kind, mended, needed
from core.repairs.queries import stopped
from core.replies.states import TRANSITIONS, ReplyState
from core.replies.tables import Reply
from core.replies.ticketing import Action, Moot, TicketWriter, Write

# A vendor's list may lag behind its own writes; a look-up sooner than this could miss our note and double it.
SETTLE_SECONDS = 5.0
STOPPED_SECONDS = 60.0  # how often a reply of a stopped connector asks whether it may go
BUSY_SECONDS = 1.0  # a ticket takes one write of ours at a time
LONGEST_SECONDS = 300.0  # between two tries of one write


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How one connector delivers: its writer, its patience (attempts, seconds since the first of them), whether it may
    write at all, and how long the vendor's rate limit asks us to wait now (seconds)."""

    writer: TicketWriter
    max_attempts: int
    max_age_seconds: int
    mode: Literal["live", "shadow", "off"] = "live"
    wait_seconds: Callable[[], float] = lambda: 0.0


def subject_of(connector_id: str) -> str:
    """Under which name the repair items of a connector stand."""
    return f"connector:{connector_id}"


async def deliver(work: UnitOfWork, lease: Lease, delivery_of: Callable[[str], Delivery]) -> None:
    """Topic `reply.send`. Raises Retryable when it has to be tried again later; the row says in which state.

    It always says when: the row decides when to give up, and a job that the queue gave up on meanwhile would leave the
    reply waiting for ever, for waiting (a stopped connector, a busy ticket) counts as attempts there."""
    try:
        await _deliver(work, lease, delivery_of)
    except Retryable as error:
        if error.after is not None:
            raise
        raise Retryable(error.code, error.message, after=_pause(lease)) from error
    except (
        Conflict,
        Uncertain,
        Misconfigured,
    ) as error:  # moved meanwhile; a doubtful look; its file is gone
        raise Retryable(error.code, error.message, after=_pause(lease)) from error


def _pause(lease: Lease) -> float:
    """0.5 s, 1, 2 ... up to five minutes."""
    return min(LONGEST_SECONDS, 0.25 * 2 ** min(lease.attempt, 20))


async def _deliver(work: UnitOfWork, lease: Lease, delivery_of: Callable[[str], Delivery]) -> None:
    reply = await _begin(work, lease, delivery_of)
    if reply is None:
        return
    delivery = delivery_of(reply.connector)
    if reply.state == ReplyState.UNCERTAIN:
        await _look_first(work, lease, reply, delivery)
        return
    await _write(work, lease, reply, delivery)


def write_of(reply: Reply) -> Write:
    """What the row stands for, as the vendor's writer takes it."""
    return Write(
        ticket_id=reply.ticket_id,
        actions=tuple(Action(kind=one["kind"], body=one["body"]) for one in reply.actions),
        marker=reply.marker,
        key=reply.id,
        task_id=reply.task_id,
    )


async def _begin(work: UnitOfWork, lease: Lease, delivery_of: Callable[[str], Delivery]) -> Reply | None:
    """Commit what we are about to do; None when there is nothing to do any more, and the job is done with that. A row
    found in `sending` was left by a process that died: it is uncertain."""
    async with work.fenced(lease, "replies.send") as tx:
        reply = await tx.session.get(Reply, lease.subject)
        open_states = (ReplyState.PENDING, ReplyState.SENDING, ReplyState.UNCERTAIN)
        if reply is not None and reply.state in open_states:
            delivery = delivery_of(reply.connector)
            if not await _settled(tx, reply, delivery):
                return reply
        await rows.done(tx, lease)
        return None


async def _settled(tx: Transaction, reply: Reply, delivery: Delivery) -> bool:
    """True when this reply is over without a call; else it may be written, or looked for, now. Raises Retryable."""
    if delivery.mode == "shadow" and reply.state == ReplyState.PENDING:
        await _over(tx, reply, ReplyState.SHADOWED)
        return True
    if delivery.mode != "live":
        _held(reply, "the connector is not live")
    if (repair := await stopped(tx.session, subject_of(reply.connector))) is not None:
        _held(reply, f"the connector is stopped ({repair.id}): {repair.message}")
    if reply.state == ReplyState.PENDING and _given_up(reply, delivery, await tx.now_ms()):
        await _over(tx, reply, ReplyState.DEAD, error=f"given up: {reply.error}")
        return True
    if reply.state != ReplyState.PENDING:
        await _let_settle(tx, reply)
    else:
        await _alone(tx, reply, ReplyState.SENDING, ReplyState.UNCERTAIN)
    if (wait := delivery.wait_seconds()) > 0:
        raise Retryable("rate_limit", "The vendor's or our own rate is used up for now", after=wait)
    if reply.state == ReplyState.SENDING:
        await move(tx, reply, ReplyState.UNCERTAIN, table=TRANSITIONS, error="the process died while sending")
    if reply.state == ReplyState.PENDING:
        await _sending(tx, reply)
    return False


async def _let_settle(tx: Transaction, reply: Reply) -> None:
    """On the database's clock, which stamped `sent_at`."""
    sent = await tx.now_ms() if reply.sent_at is None else clock.to_ms(reply.sent_at)
    left = SETTLE_SECONDS - (await tx.now_ms() - sent) / 1000
    if reply.sent_at is not None and left > 0:
        raise Retryable("reply_settling", "Sent a moment ago; waiting before looking", after=left)


def _held(reply: Reply, why: str) -> None:
    raise Retryable("reply_held", f"Reply {reply.id} waits: {why}", after=STOPPED_SECONDS)


async def _alone(tx: Transaction, reply: Reply, *states: ReplyState) -> None:
    """One write of ours at a time into a ticket, so that its echoes can be told and its order is ours. PostgreSQL lets
    two look at once, and each would find nobody: the lock makes them queue (SQLite has one writer anyhow)."""
    if tx.dialect == "postgresql":
        name = f"reply:{reply.connector}:{reply.ticket_id}"
        await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", (name,))
    other = await tx.session.scalar(
        select(Reply.id)
        .where(
            Reply.connector == reply.connector,
            Reply.ticket_id == reply.ticket_id,
            Reply.state.in_(list(states)),
            Reply.id != reply.id,
        )
        .limit(1)
    )
    if other is not None:
        raise Retryable(
            "ticket_busy", f"Reply {other} is on its way into the same ticket", after=BUSY_SECONDS
        )


def _given_up(reply: Reply, delivery: Delivery, now_ms: int) -> bool:
    old = now_ms - clock.to_ms(reply.created_at) > delivery.max_age_seconds * 1000
    tried = reply.attempts > 0 or reply.state == ReplyState.UNCERTAIN
    return reply.attempts >= delivery.max_attempts or (tried and old)


async def redrive(tx: Transaction, reply_id: str, *, actor: str) -> None:
    """Try a dead reply again. One that was ever sent is uncertain: it looks for its marker first. Raises NotFound,
    Conflict."""
    reply = await tx.session.get(Reply, reply_id)
    if reply is None:
        raise NotFound("reply_not_found", f"No reply {reply_id}")
    to = ReplyState.PENDING if reply.sent_at is None else ReplyState.UNCERTAIN
    await move(tx, reply, to, table=TRANSITIONS, attempts=0, created_at=clock.from_ms(await tx.now_ms()))
    await record(tx, actor=actor, action="reply.redriven", subject=reply.id)
    tx.emit("reply.send", reply.id, queue="outside")


async def resume(tx: Transaction, connector_id: str, *, actor: str) -> int:
    """The operator has mended a connector: its repair items are closed and what waited gets its full patience again.
    Gives how many items were open."""
    now = await tx.now_ms()
    closed = await mended(tx, subject_of(connector_id), actor=actor)
    await tx.session.execute(
        update(Reply)
        .where(
            Reply.connector == connector_id,
            Reply.state.in_([ReplyState.PENDING, ReplyState.UNCERTAIN]),
        )
        .values(created_at=clock.from_ms(now), attempts=0)
        .execution_options(synchronize_session=False)
    )
    await record(tx, actor=actor, action="connector.resumed", subject=subject_of(connector_id))
    return closed


async def _sending(tx: Transaction, reply: Reply) -> None:
    """Patience begins with the first attempt: a reply may have waited for days for its turn or its connector."""
    now = clock.from_ms(await tx.now_ms())
    first: dict[str, Any] = {} if reply.attempts else {"created_at": now}
    await move(
        tx, reply, ReplyState.SENDING, table=TRANSITIONS, sent_at=now, attempts=reply.attempts + 1, **first
    )


async def _look_first(work: UnitOfWork, lease: Lease, reply: Reply, delivery: Delivery) -> None:
    try:
        found = await delivery.writer.find(write_of(reply))
    except Misconfigured as error:
        await _stop(work, lease, reply, ReplyState.UNCERTAIN, error)
        raise Retryable(error.code, error.message, after=STOPPED_SECONDS) from error
    except Moot as error:
        await _ended(work, lease, reply, ReplyState.MOOT, error=error.message)
        return
    except Rejected as error:
        await _ended(work, lease, reply, ReplyState.DEAD, repair=Kind.UNREADABLE, error=error.message)
        return
    except (Retryable, Uncertain) as error:
        if not _given_up(reply, delivery, clock.now_ms()):
            raise
        why = f"given up: sent, and nobody could look whether it arrived: {error.message}"
        await _ended(work, lease, reply, ReplyState.DEAD, repair=Kind.UNREADABLE, error=why)
        return
    if found is not None:
        await _ended(work, lease, reply, ReplyState.DELIVERED, vendor_id=found)
        return
    async with work.fenced(lease, "replies.send") as tx:
        if _given_up(reply, delivery, await tx.now_ms()):  # only now is it known that it is not there
            await _over(tx, reply, ReplyState.DEAD, error=f"given up: {reply.error}")
            await rows.done(tx, lease)
            return
        await _alone(tx, reply, ReplyState.SENDING)
        await _sending(tx, reply)
    await _write(work, lease, reply, delivery)


async def _write(work: UnitOfWork, lease: Lease, reply: Reply, delivery: Delivery) -> None:
    crash.reach("ticket.write:before")
    try:
        vendor_id = await delivery.writer.write(write_of(reply))
    except Uncertain as error:
        await _back(work, lease, reply, ReplyState.UNCERTAIN, error=error.message)
        raise Retryable(error.code, error.message, after=SETTLE_SECONDS) from error
    except Misconfigured as error:
        await _stop(work, lease, reply, ReplyState.PENDING, error)
        raise Retryable(error.code, error.message, after=STOPPED_SECONDS) from error
    except Retryable as error:
        await _back(work, lease, reply, ReplyState.PENDING, error=error.message)
        raise
    except Moot as error:
        await _ended(work, lease, reply, ReplyState.MOOT, error=error.message)
        return
    except Rejected as error:
        await _ended(work, lease, reply, ReplyState.DEAD, repair=Kind.REFUSED, error=error.message)
        return
    crash.reach("ticket.write:after")
    await _ended(work, lease, reply, ReplyState.DELIVERED, vendor_id=vendor_id)


async def _stop(work: UnitOfWork, lease: Lease, reply: Reply, state: ReplyState, error: HubError) -> None:
    """Our credentials are refused: the whole connector holds back until it is mended. No attempt is burnt."""
    async with work.fenced(lease, "replies.record") as tx:
        attempts = max(0, reply.attempts - 1)
        if reply.state != state:
            await move(tx, reply, state, table=TRANSITIONS, error=error.message, attempts=attempts)
        await needed(
            tx,
            subject_of(reply.connector),
            Kind.CREDENTIALS,
            f"{error.message} Mend them, then run `hub connectors resume {reply.connector}`.",
        )


async def _ended(
    work: UnitOfWork,
    lease: Lease,
    reply: Reply,
    state: ReplyState,
    *,
    repair: Kind | None = None,
    error: str | None = None,
    **values: Any,
) -> None:
    async with work.finishing(lease, "replies.record") as tx:
        if state == ReplyState.DELIVERED:
            values["delivered_at"] = clock.from_ms(await tx.now_ms())
        await _over(tx, reply, state, error=error, **values)
        if repair is not None:
            message = f"Reply {reply.id} into ticket {reply.ticket_id}: {error}"
            await needed(tx, subject_of(reply.connector), repair, message)


async def _over(tx: Transaction, reply: Reply, state: ReplyState, **values: Any) -> None:
    """This reply is through, one way or the other: the task's next one may go. Its key keeps it one job, when a reply
    that was dead is through a second time."""
    await move(tx, reply, state, table=TRANSITIONS, **values)
    following = await tx.session.scalar(
        select(Reply.id)
        .where(
            Reply.task_id == reply.task_id,
            Reply.position > reply.position,
            Reply.state == ReplyState.PENDING,
        )
        .order_by(Reply.position)
        .limit(1)
    )
    if following is not None:
        tx.emit("reply.send", following, queue="outside", key=f"reply:{following}")


async def _back(work: UnitOfWork, lease: Lease, reply: Reply, state: ReplyState, *, error: str) -> None:
    async with work.fenced(lease, "replies.record") as tx:
        await move(tx, reply, state, table=TRANSITIONS, error=error)
