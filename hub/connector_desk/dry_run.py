"""Reads a delivery as the hub would, without writing anything anywhere: the route, the task, whether that exists
already, and what each ending would send into the ticket. Called by `hub connectors replay --dry-run`."""

from __future__ import annotations

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from connectors.config import ConnectorConfig
from core.errors import Invalid, Misconfigured
from core.intake.envelope import (
    Addition,
    Cancellation,
    Escalation,
    InboundDelivery,
    Meaning,
    Origin,
    Wanted,
)
from core.intake.process import OPEN, Understanding
from core.intake.tables import TicketRevision
from core.replies.states import ReplyState
from core.replies.tables import Reply
from core.tasks.creation import prepare
from core.tasks.model import NewTask
from core.tasks.tables import Task
from hub.connector_desk.endings import Sketch, WouldWrite, endings
from hub.services import Services
from hub.understanding import Connectors


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """What would happen. `fetched` names the context that was asked of the vendor; `new` is there for an escalation,
    `existing` is its task when that was made before; `open_tasks` are those that a cancellation or an addition would
    touch; `remarks` tell what would keep the event from having an effect now."""

    meaning: Meaning
    fetched: tuple[str, ...] = ()
    new: NewTask | None = None
    existing: Task | None = None
    open_tasks: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    writes: tuple[WouldWrite, ...] = ()


async def dry_run(
    services: Services,
    desk: Connectors,
    config: ConnectorConfig,
    delivery: InboundDelivery,
    *,
    offline: bool = False,
) -> DryRun:
    """`desk` holds `config` under its id. Raises Misconfigured or Invalid for what would make the delivery fail,
    Invalid when context is wanted and `offline` forbids to ask for it, and what fetching raises."""
    name = config.settings.id
    async with services.work.read() as session:
        known = await desk.understand(session, name)
    meaning, fetched = await _read(known, delivery, offline=offline)
    async with services.work.read() as session:
        if isinstance(meaning, Escalation):
            return await _escalation(services, desk, session, known, meaning, name, fetched)
        if isinstance(meaning, (Cancellation, Addition)):
            return DryRun(
                meaning=meaning,
                fetched=fetched,
                open_tasks=await _open(session, name, meaning.ticket.id),
                remarks=await _remarks(session, name, meaning.ticket.id, meaning.origin),
            )
        return DryRun(meaning=meaning, fetched=fetched)


async def _read(
    known: Understanding, delivery: InboundDelivery, *, offline: bool
) -> tuple[Meaning, tuple[str, ...]]:
    reading = known.normalize(delivery, None)
    if not isinstance(reading, Wanted):
        return reading, ()
    names = ", ".join(reading.names)
    if offline:
        raise Invalid(
            "context_wanted",
            f"Route {reading.route} wants {names} of ticket {reading.ticket.id}, which only the vendor can tell; "
            "leave --offline out",
        )
    meaning = known.normalize(delivery, await known.fetch(reading))
    if isinstance(meaning, Wanted):
        raise Misconfigured(
            "context_wanted", f"Route {reading.route} wants {names} again after it was fetched"
        )
    return meaning, reading.names


async def _escalation(
    services: Services,
    desk: Connectors,
    session: AsyncSession,
    known: Understanding,
    meaning: Escalation,
    name: str,
    fetched: tuple[str, ...],
) -> DryRun:
    new = known.new_task(meaning)
    prepare(new, services.types.get(new.task_type), known.plan, services.rates.to_reserve().usd_per_btc)
    existing = await session.scalar(
        select(Task).where(
            Task.connector == name, Task.ticket_id == meaning.ticket.id, Task.escalation_key == meaning.key
        )
    )
    sketch = Sketch(meaning=meaning, new=new, existing=existing, seal=known.seal)
    return DryRun(
        meaning=meaning,
        fetched=fetched,
        new=new,
        existing=existing,
        remarks=await _remarks(session, name, meaning.ticket.id, meaning.origin),
        writes=tuple(await endings(session, desk, name, sketch)),
    )


async def _open(session: AsyncSession, name: str, ticket_id: str) -> tuple[str, ...]:
    found = await session.scalars(
        select(Task.id).where(Task.connector == name, Task.ticket_id == ticket_id, Task.status.in_(OPEN))
    )
    return tuple(found)


async def _remarks(session: AsyncSession, name: str, ticket_id: str, origin: Origin) -> tuple[str, ...]:
    """What core/intake/guard.py would say, asked without leaving a trace."""
    said: list[str] = []
    if origin.item_ids:
        ours = await session.scalar(
            select(Reply.id)
            .where(Reply.connector == name, Reply.vendor_id.in_(list(origin.item_ids)))
            .limit(1)
        )
        if ours:
            said.append(f"it is the echo of our own reply {ours}: ignored")
    sending = await session.scalar(
        select(Reply.id)
        .where(
            Reply.connector == name,
            Reply.ticket_id == ticket_id,
            Reply.state.in_([ReplyState.SENDING, ReplyState.UNCERTAIN]),
        )
        .limit(1)
    )
    if sending:
        said.append(f"reply {sending} into this ticket is on its way: the event would wait for it")
    newest = await session.get(TicketRevision, (name, ticket_id))
    if origin.revision is not None and newest is not None and newest.revision > origin.revision:
        said.append(
            f"revision {newest.revision} of the ticket was seen, this is {origin.revision}: ignored when it comes in "
            "by itself, read when it is replayed"
        )
    return tuple(said)
