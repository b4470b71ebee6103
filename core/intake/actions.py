"""Takes deliveries in (one insert, many at a time) and turns them into tasks later, in a job of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.audit.record import record
from core.billing.plans import Plan
from core.db.base import to_json
from core.db.compare_and_set import move
from core.db.hot import INBOUND, RECEIVE, insert_many
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import HubError, Invalid, Misconfigured, NotFound
from core.intake.envelope import Cancellation, Escalation, Ignored, InboundDelivery, Meaning
from core.intake.states import TRANSITIONS, InboundState
from core.intake.tables import InboundEvent
from core.outbox.rows import Lease, new_job
from core.routing.endings import cancel
from core.tasks.creation import create_many, prepare
from core.tasks.model import NewTask
from core.tasks.states import CANCELLABLE
from core.tasks.tables import Task
from core.tasks.types import TaskTypes


class Received(msgspec.Struct, frozen=True):
    """A verified delivery on its way into the raw inbox of one configured connector."""

    connector: str
    delivery: InboundDelivery


async def receive_many(tx: Transaction, deliveries: list[Received]) -> list[bool]:
    """Store what is new; True for each delivery that had not been seen before."""
    now = await tx.now_ms()
    rows = [
        (
            ids.new("inb"),
            one.connector,
            one.delivery.delivery_id,
            one.delivery.event_type,
            to_json(one.delivery.headers),
            one.delivery.body,
            one.delivery.verified_by,
            now,
            str(InboundState.RECEIVED),
        )
        for one in deliveries
    ]
    inserted = await insert_many(tx, INBOUND, rows)
    for row in rows:
        if row[0] in inserted:
            tx.emit("inbound.received", row[0])
    return [row[0] in inserted for row in rows]


async def receive_at_once(work: UnitOfWork, deliveries: list[Received]) -> list[bool]:
    """`receive_many` in a transaction of its own, on PostgreSQL in a single statement."""
    if work.database.dialect != "postgresql":
        async with work.begin("intake.receive") as tx:
            return await receive_many(tx, deliveries)
    named = [(ids.new("inb"), one) for one in deliveries]
    jobs = {name: new_job("inbound.received", name) for name, _ in named}
    rows = [
        (
            name,
            one.connector,
            one.delivery.delivery_id,
            one.delivery.event_type,
            to_json(one.delivery.headers),
            one.delivery.body,
            one.delivery.verified_by,
            jobs[name].id,
        )
        for name, one in named
    ]
    async with work.quick("intake.receive") as quick:
        found = await quick.write(RECEIVE, *(list(column) for column in zip(*rows, strict=True)))
        quick.jobs = [jobs[row[0]] for row in found]
    stored = {row[0] for row in found}
    return [name in stored for name, _ in named]


class Understanding(msgspec.Struct, frozen=True):
    """What the hub knows of one configured connector when it reads a delivery: how to read it and whose it is.
    `new_task` maps an escalation to a request for a task, with the checks that the API makes too; `most_per_hour` tasks
    of one ticket within an hour are believed, more look like a loop."""

    normalize: Callable[[InboundDelivery], Meaning]
    new_task: Callable[[Escalation], NewTask]
    plan: Plan
    most_per_hour: int


async def process(
    work: UnitOfWork,
    lease: Lease,
    understand: Callable[[AsyncSession, str], Awaitable[Understanding]],
    types: TaskTypes,
    usd_per_btc: Callable[[], Decimal],
) -> None:
    """Topic `inbound.received`: read the delivery once and make, cancel or ignore. What our own configuration cannot
    read is kept as `failed` with the reason, to be replayed when it is mended."""
    async with work.finishing(lease, "intake.process") as tx:
        event = await tx.session.get(InboundEvent, lease.subject)
        if event is None or event.state != InboundState.RECEIVED:
            return
        try:
            known = await understand(tx.session, event.connector)
            meaning = known.normalize(_delivery(event))
            state, values = await _apply(tx, event, meaning, known, types, usd_per_btc)
        except (Invalid, Misconfigured) as error:
            detail = "; ".join(f"{field}: {what}" for field, what in error.field_errors.items())
            state, values = (
                InboundState.FAILED,
                {"reason": f"{error.message}{': ' if detail else ''}{detail}"},
            )
        await move(tx, event, state, table=TRANSITIONS, **values)


async def replay(tx: Transaction, event_id: str, *, actor: str) -> None:
    """Bring a failed or ignored delivery back to be read again with today's configuration."""
    event = await tx.session.get(InboundEvent, event_id)
    if event is None:
        raise NotFound("inbound_event_not_found", f"No inbound delivery {event_id}")
    await move(tx, event, InboundState.RECEIVED, table=TRANSITIONS, reason=None)
    await record(tx, actor=actor, action="inbound.replayed", subject=event.id)
    tx.emit("inbound.received", event.id)


def _delivery(event: InboundEvent) -> InboundDelivery:
    return InboundDelivery(
        delivery_id=event.delivery_id,
        event_type=event.event_type,
        body=event.body,
        headers=event.headers,
        verified_by=event.verified_by,
    )


async def _apply(
    tx: Transaction,
    event: InboundEvent,
    meaning: Meaning,
    known: Understanding,
    types: TaskTypes,
    usd_per_btc: Callable[[], Decimal],
) -> tuple[InboundState, dict[str, Any]]:
    match meaning:
        case Ignored(reason=reason):
            return InboundState.IGNORED, {"reason": reason}
        case Cancellation(ticket=ticket):
            return await _cancel(tx, event, ticket.id)
        case Escalation():
            await _no_loop(tx, event.connector, meaning.ticket.id, known.most_per_hour)
            new = known.new_task(meaning)
            prepared = prepare(new, types.get(new.task_type), known.plan, usd_per_btc())
            outcome = (await create_many(tx, [prepared]))[0]
            if isinstance(outcome, HubError):
                raise outcome
            return InboundState.ACCEPTED, {"task_id": outcome.id, "reason": f"route {meaning.route}"}


async def _no_loop(tx: Transaction, connector: str, ticket_id: str, most: int) -> None:
    """The fuse behind the loop guard: a ticket that keeps asking is probably answering itself. Raises Invalid, which
    keeps the delivery as failed, to be replayed by an operator."""
    hour_ago = clock.from_ms(await tx.now_ms() - 3_600_000)
    recent = await tx.session.scalars(
        select(Task.id)
        .where(Task.connector == connector, Task.ticket_id == ticket_id, Task.created_at > hour_ago)
        .limit(most)
    )
    if len(recent.all()) >= most:
        raise Invalid(
            "loop_fuse",
            f"Ticket {ticket_id} asked {most} times within an hour; see loop_guard.max_tasks_per_key_per_hour",
        )


async def _cancel(
    tx: Transaction, event: InboundEvent, ticket_id: str
) -> tuple[InboundState, dict[str, Any]]:
    """The source is over: its tasks that nobody has answered yet are withdrawn."""
    found = await tx.session.scalars(
        select(Task).where(
            Task.connector == event.connector, Task.ticket_id == ticket_id, Task.status.in_(list(CANCELLABLE))
        )
    )
    cancelled = list(found)
    for task in cancelled:
        await cancel(tx, task, actor=f"connector:{event.connector}")
    if not cancelled:
        return InboundState.IGNORED, {"reason": "the ticket ended and has no open task"}
    return InboundState.ACCEPTED, {
        "task_id": cancelled[0].id,
        "reason": f"cancelled {len(cancelled)} task(s)",
    }
