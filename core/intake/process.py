"""Turns a stored delivery into a task, a cancellation or an addition, once. Called by the job of topic
`inbound.received`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.billing.plans import NOTHING, Plan
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import HubError, Invalid, Misconfigured, Rejected, Retryable, Uncertain
from core.intake.actions import delivery_of
from core.intake.envelope import Addition, Cancellation, Escalation, Ignored, InboundDelivery, Reading, Wanted
from core.intake.guard import STOPPED_SECONDS, in_order, no_loop, own_echo, refuse_while_sending
from core.intake.states import TRANSITIONS, InboundState
from core.intake.tables import InboundEvent, TaskMessage, TaskSource
from core.outbox.rows import Lease
from core.repairs.actions import Kind, needed
from core.repairs.queries import stopped
from core.routing.endings import cancel
from core.tasks.creation import create_many, prepare
from core.tasks.model import NewTask
from core.tasks.states import CANCELLABLE, TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskTypes

FETCH_SECONDS = 30.0  # until a vendor that did not answer is asked again for what a route wants
OPEN = [str(TaskStatus.POSTED), str(TaskStatus.ASSIGNED)]

Outcome = tuple[InboundState, dict[str, Any]]


class Understanding(msgspec.Struct, frozen=True):
    """What the hub knows of one configured connector when it reads a delivery: how to read it and whose it is.
    `fetch` asks the vendor for what a reading wants. `new_task` maps an escalation to a request for a task, with the
    checks that the API makes too; `most_per_hour` tasks of one ticket within an hour are believed, more look like a
    loop; `seal` keeps what was redacted."""

    normalize: Callable[[InboundDelivery, Mapping[str, Any] | None], Reading]
    fetch: Callable[[Wanted], Awaitable[dict[str, Any]]]
    new_task: Callable[[Escalation], NewTask]
    plan: Plan
    most_per_hour: int
    seal: Callable[[Mapping[str, str]], str]


class _WantsContext(Exception):
    """Leaves the transaction: what the route needs is fetched outside."""

    def __init__(self, known: Understanding, wanted: Wanted, connector: str):
        super().__init__(wanted.route)
        self.known, self.wanted, self.connector = known, wanted, connector


Understand = Callable[[AsyncSession, str], Awaitable[Understanding]]


async def process(
    work: UnitOfWork,
    lease: Lease,
    understand: Understand,
    types: TaskTypes,
    usd_per_btc: Callable[[], Decimal],
    spread_percent: Decimal = NOTHING,
) -> None:
    """Read the delivery once and make, cancel, add or ignore. What our own configuration cannot read is kept as
    `failed` with the reason, to be replayed when it is mended. Raises Retryable while `usd_per_btc` does."""
    reader = _Reader(understand, types, usd_per_btc, spread_percent)
    try:
        await reader.read(work, lease, None)
    except _WantsContext as needs:
        context = await _fetched(work, lease, needs)
        if context is not None:
            await reader.read(work, lease, context)


async def _fetched(work: UnitOfWork, lease: Lease, needs: _WantsContext) -> dict[str, Any] | None:
    """What the vendor has to say; None when it refuses for good, which the delivery then keeps. Raises Retryable."""
    async with work.read() as session:
        repair = await stopped(session, f"connector:{needs.connector}")
    if repair is not None:
        message = f"Connector {needs.connector} is stopped ({repair.id}): {repair.message}"
        raise Retryable("connector_stopped", message, after=STOPPED_SECONDS)
    try:
        return await needs.known.fetch(needs.wanted)
    except Misconfigured as error:
        async with work.begin("intake.stop") as tx:
            subject = f"connector:{needs.connector}"
            await needed(
                tx,
                subject,
                Kind.CREDENTIALS,
                f"{error.message} Mend them, then run `hub connectors resume {needs.connector}`.",
            )
        raise Retryable(error.code, error.message, after=STOPPED_SECONDS) from error
    except (Retryable, Uncertain) as error:  # as long as it takes: the queue gives up its own pace in an hour
        after = error.after if isinstance(error, Retryable) else None
        raise Retryable(error.code, error.message, after=after or FETCH_SECONDS) from error
    except Rejected as error:
        async with work.finishing(lease, "intake.process") as tx:
            event = await tx.session.get_one(InboundEvent, lease.subject)
            reason = f"route {needs.wanted.route}: the context could not be fetched: {error.message}"
            await move(tx, event, InboundState.FAILED, table=TRANSITIONS, reason=reason)
        return None


class _Reader(msgspec.Struct, frozen=True):
    """One reading of a delivery, in one transaction."""

    understand: Understand
    types: TaskTypes
    usd_per_btc: Callable[[], Decimal]
    spread_percent: Decimal

    async def read(self, work: UnitOfWork, lease: Lease, context: Mapping[str, Any] | None) -> None:
        async with work.finishing(lease, "intake.process") as tx:
            event = await tx.session.get(InboundEvent, lease.subject)
            if event is None or event.state != InboundState.RECEIVED:
                return
            try:
                known = await self.understand(tx.session, event.connector)
                reading = known.normalize(delivery_of(event), context)
                if isinstance(reading, Wanted):
                    raise _WantsContext(known, reading, event.connector)
                state, values = await self._apply(tx, event, reading, known, bool(lease.body.get("replayed")))
            except (Invalid, Misconfigured) as error:
                if error.code == "loop_fuse":
                    await needed(tx, f"connector:{event.connector}", Kind.LOOP, error.message)
                detail = "; ".join(f"{field}: {what}" for field, what in error.field_errors.items())
                state, values = (
                    InboundState.FAILED,
                    {"reason": f"{error.message}{': ' if detail else ''}{detail}"},
                )
            await move(tx, event, state, table=TRANSITIONS, **values)

    async def _apply(
        self, tx: Transaction, event: InboundEvent, meaning: Reading, known: Understanding, replayed: bool
    ) -> Outcome:
        if isinstance(meaning, (Escalation, Addition)):
            echo = await own_echo(tx, event.connector, meaning.origin)
            if echo:
                return InboundState.IGNORED, {"reason": echo}
            await refuse_while_sending(tx, event, meaning.ticket.id)
        if isinstance(meaning, (Escalation, Cancellation)) and not replayed:
            late = await in_order(tx, event.connector, meaning.ticket.id, meaning.origin)
            if late:
                return InboundState.IGNORED, {"reason": late}
        match meaning:
            case Ignored(reason=reason):
                return InboundState.IGNORED, {"reason": reason}
            case Cancellation(ticket=ticket):
                return await _cancel(tx, event, ticket.id)
            case Addition():
                return await _add(tx, event, meaning)
            case Escalation():
                return await self._create(tx, event, meaning, known)
            case Wanted():
                raise _WantsContext(known, meaning, event.connector)

    async def _create(
        self, tx: Transaction, event: InboundEvent, meaning: Escalation, known: Understanding
    ) -> Outcome:
        new = known.new_task(meaning)
        kind = self.types.get(new.task_type)
        prepared = prepare(new, kind, known.plan, self.usd_per_btc(), self.spread_percent, self.types.checks)
        await no_loop(tx, event.connector, meaning.ticket.id, meaning.key, known.most_per_hour)
        outcome = (await create_many(tx, [prepared]))[0]
        if isinstance(outcome, HubError):
            raise outcome
        if not outcome.replayed:
            source = TaskSource(
                task_id=outcome.id,
                route=meaning.route,
                ticket_url=meaning.ticket.url,
                ticket_summary=meaning.ticket.summary,
                redacted=known.seal(meaning.redacted) if meaning.redacted else None,
            )
            tx.session.add(source)
        return InboundState.ACCEPTED, {"task_id": outcome.id, "reason": f"route {meaning.route}"}


async def _add(tx: Transaction, event: InboundEvent, meaning: Addition) -> Outcome:
    """The people on the ticket's open tasks get to read it; once, however many events tell of it."""
    open_tasks = await tx.session.scalars(
        select(Task.id).where(
            Task.connector == event.connector, Task.ticket_id == meaning.ticket.id, Task.status.in_(OPEN)
        )
    )
    item = meaning.origin.item_ids[0] if meaning.origin.item_ids else event.delivery_id
    added: list[str] = []
    for task_id in open_tasks.all():
        known = await tx.session.scalar(
            select(TaskMessage.id).where(TaskMessage.task_id == task_id, TaskMessage.item_id == item)
        )
        if known is None:
            message = TaskMessage(
                id=ids.new("msg"),
                task_id=task_id,
                item_id=item,
                author=meaning.author,
                text=meaning.text,
                at=clock.from_ms(await tx.now_ms()),
            )
            tx.session.add(message)
            added.append(task_id)
    if not added:
        return InboundState.IGNORED, {"reason": "the ticket has no open task, or the message is known"}
    return InboundState.ACCEPTED, {"task_id": added[0], "reason": f"route {meaning.route}: message added"}


async def _cancel(tx: Transaction, event: InboundEvent, ticket_id: str) -> Outcome:
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
