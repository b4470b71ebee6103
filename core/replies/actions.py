"""Composes what a ticket gets when its task ends, and delivers it exactly once to a vendor that knows no idempotency
key: `sending` is committed before the call, and from `uncertain` we look for our marker before we write again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import select

from core import clock, crash, ids
from core.audit.record import record
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import Misconfigured, NotFound, Rejected, Retryable, Uncertain
from core.outbox.rows import Lease
from core.replies.states import TRANSITIONS, ReplyState
from core.replies.tables import Reply
from core.replies.ticketing import Note, TicketWriter
from core.routing.states import AssignmentState
from core.routing.tables import Assignment
from core.tasks.tables import Task

# A vendor's list may lag behind its own writes; a look-up sooner than this could miss our note and double it.
SETTLE_SECONDS = 5.0


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How one connector delivers: its writer, its patience (attempts, seconds since the reply was composed), whether it
    may write at all (`mode: live`), and how long the vendor's rate limit asks us to wait now (seconds)."""

    writer: TicketWriter
    max_attempts: int
    max_age_seconds: int
    live: bool = True
    wait_seconds: Callable[[], float] = lambda: 0.0


async def compose(work: UnitOfWork, lease: Lease, notes: Callable[[Task, dict[str, Any]], list[str]]) -> None:
    """Topic `task.ended`: one Reply row for every note that the connector's file wants for this outcome. `notes`
    gives their texts for the template context {task, result, ticket}."""
    async with work.finishing(lease, "replies.compose") as tx:
        task = await tx.session.get(Task, lease.subject)
        if task is None or task.connector is None or task.ticket_id is None:
            return
        if await tx.session.scalar(select(Reply.id).where(Reply.task_id == task.id).limit(1)):
            return
        counted = await tx.session.scalars(
            select(Assignment.id).where(
                Assignment.task_id == task.id, Assignment.state == AssignmentState.COUNTED
            )
        )
        now = clock.from_ms(await tx.now_ms())
        for number, text in enumerate(notes(task, _context(task, len(counted.all())))):
            reply_id = ids.new("rep")
            marker = f"[hub:{reply_id}]"
            tx.session.add(
                Reply(
                    id=reply_id,
                    task_id=task.id,
                    step=f"{task.status}.{number}",
                    connector=task.connector,
                    ticket_id=task.ticket_id,
                    marker=marker,
                    text=f"{text}\n{marker}",
                    state=ReplyState.PENDING,
                    attempts=0,
                    created_at=now,
                )
            )
            tx.emit("reply.send", reply_id, queue="outside")


def _context(task: Task, workers: int) -> dict[str, Any]:
    return {
        "task": {"id": task.id, "type": task.task_type, "status": task.status, "payload": task.payload},
        "result": {"output": task.output or {}, "workers": workers, "reason": task.failure_reason or ""},
        "ticket": {"id": task.ticket_id},
    }


async def deliver(work: UnitOfWork, lease: Lease, delivery_of: Callable[[str], Delivery]) -> None:
    """Topic `reply.send`. Raises Retryable when it has to be tried again later; the row says in which state."""
    reply = await _begin(work, lease, delivery_of)
    if reply is None:
        return
    delivery = delivery_of(reply.connector)
    note = Note(ticket_id=reply.ticket_id, text=reply.text, marker=reply.marker)
    if reply.state == ReplyState.UNCERTAIN:
        await _look_first(work, lease, reply, note, delivery)
        return
    await _write(work, lease, reply, note, delivery)


async def _begin(work: UnitOfWork, lease: Lease, delivery_of: Callable[[str], Delivery]) -> Reply | None:
    """Commit what we are about to do. A row found in `sending` was left by a process that died: it is uncertain."""
    async with work.fenced(lease, "replies.send") as tx:
        reply = await tx.session.get(Reply, lease.subject)
        if reply is None or reply.state in (ReplyState.DELIVERED, ReplyState.DEAD):
            pass
        elif not delivery_of(reply.connector).live:
            await move(
                tx, reply, ReplyState.DEAD, table=TRANSITIONS, error="the connector is not live: not sent"
            )
        elif _given_up(reply, delivery_of(reply.connector), await tx.now_ms()):
            await move(tx, reply, ReplyState.DEAD, table=TRANSITIONS, error=f"given up: {reply.error}")
        elif reply.state == ReplyState.SENDING:
            await move(
                tx, reply, ReplyState.UNCERTAIN, table=TRANSITIONS, error="the process died while sending"
            )
            return reply
        elif (wait := delivery_of(reply.connector).wait_seconds()) > 0:
            raise Retryable("rate_limit", "The connector's delivery.rate is used up for now", after=wait)
        elif reply.state == ReplyState.UNCERTAIN:
            return reply
        else:
            await _sending(tx, reply)
            return reply
    async with work.finishing(lease, "replies.record"):
        return None


def _given_up(reply: Reply, delivery: Delivery, now_ms: int) -> bool:
    old = now_ms - clock.to_ms(reply.created_at) > delivery.max_age_seconds * 1000
    return reply.attempts >= delivery.max_attempts or (reply.attempts > 0 and old)


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


async def _sending(tx: Transaction, reply: Reply) -> None:
    now = clock.from_ms(await tx.now_ms())
    await move(tx, reply, ReplyState.SENDING, table=TRANSITIONS, sent_at=now, attempts=reply.attempts + 1)


async def _look_first(work: UnitOfWork, lease: Lease, reply: Reply, note: Note, delivery: Delivery) -> None:
    waited = (clock.now() - reply.sent_at).total_seconds() if reply.sent_at else SETTLE_SECONDS
    if waited < SETTLE_SECONDS:
        raise Retryable(
            "reply_settling", "Sent a moment ago; waiting before looking", after=SETTLE_SECONDS - waited
        )
    found = await delivery.writer.find(note)
    if found is not None:
        await _delivered(work, lease, reply, found)
        return
    async with work.fenced(lease, "replies.send") as tx:
        await _sending(tx, reply)
    await _write(work, lease, reply, note, delivery)


async def _write(work: UnitOfWork, lease: Lease, reply: Reply, note: Note, delivery: Delivery) -> None:
    crash.reach("ticket.write:before")
    try:
        vendor_id = await delivery.writer.write(note)
    except Uncertain as error:
        await _back(work, lease, reply, ReplyState.UNCERTAIN, error.message)
        raise Retryable(error.code, error.message, after=SETTLE_SECONDS) from error
    except (Retryable, Misconfigured) as error:
        await _back(work, lease, reply, ReplyState.PENDING, error.message)
        raise
    except Rejected as error:
        async with work.finishing(lease, "replies.record") as tx:
            await move(tx, reply, ReplyState.DEAD, table=TRANSITIONS, error=error.message)
        return
    crash.reach("ticket.write:after")
    await _delivered(work, lease, reply, vendor_id)


async def _delivered(work: UnitOfWork, lease: Lease, reply: Reply, vendor_id: str) -> None:
    async with work.finishing(lease, "replies.record") as tx:
        now = clock.from_ms(await tx.now_ms())
        await move(
            tx,
            reply,
            ReplyState.DELIVERED,
            table=TRANSITIONS,
            vendor_id=vendor_id,
            delivered_at=now,
            error=None,
        )


async def _back(work: UnitOfWork, lease: Lease, reply: Reply, state: ReplyState, error: str) -> None:
    async with work.fenced(lease, "replies.record") as tx:
        await move(tx, reply, state, table=TRANSITIONS, error=error)
