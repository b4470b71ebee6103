"""Suspending a worker, and appeals against a suspension or a demotion. A suspended worker is offered nothing, can accept
and claim nothing and sees why; what they have in hand they may finish, and what they are owed is paid all the same. An appeal is
decided by another operator than the one it is against, within the hours of `config/trust.yaml`; after those it is a
repair item until it is decided. Called by the operator's and the worker's pages, the API and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.audit.record import record
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.repairs.actions import Kind, mended, needed
from core.workers.availability import refresh, settings_of, suspension_of
from core.workers.row import locked
from core.workers.standing import restore_tier
from core.workers.states import APPEAL_TRANSITIONS, SUSPENSION_TRANSITIONS, AppealState, SuspensionState
from core.workers.tables import Suspension, TierChange, WorkerAppeal
from core.workers.tiers import Trust

MOST_TEXT = 4_000


class About(StrEnum):
    SUSPENSION = "suspension"
    TIER = "tier"


async def suspend(tx: Transaction, worker_id: str, reason: str, *, actor: str) -> Suspension:
    """Raises Invalid without a reason, NotFound, Conflict when the worker is suspended already."""
    told = _text(reason, "reason")
    worker = await locked(tx, worker_id)
    await settings_of(tx, worker)  # keeps what they had wished
    row = Suspension(
        id=ids.new("sus"),
        worker_id=worker_id,
        state=str(SuspensionState.IN_FORCE),
        reason=told,
        made_by=actor,
        made_at=clock.from_ms(await tx.now_ms()),
    )
    try:
        async with tx.session.begin_nested():
            tx.session.add(row)
    except IntegrityError as error:
        raise Conflict("suspended", "This worker is suspended already") from error
    await record(tx, actor=actor, action="worker.suspended", subject=worker_id, reason=told)
    await refresh(tx, worker)
    tx.emit("worker.suspended", worker_id)  # routing takes back what they are offered
    return row


async def lift(tx: Transaction, worker_id: str, *, actor: str) -> Suspension:
    """The worker gets offers again, if they wish. Raises NotFound, Conflict when there is nothing to lift."""
    worker = await locked(tx, worker_id)
    row = await suspension_of(tx.session, worker_id)
    if row is None:
        raise Conflict("not_suspended", "This worker is not suspended")
    now = clock.from_ms(await tx.now_ms())
    await move(tx, row, SuspensionState.LIFTED, table=SUSPENSION_TRANSITIONS, lifted_by=actor, lifted_at=now)
    await record(tx, actor=actor, action="worker.unsuspended", subject=worker_id)
    await refresh(tx, worker)
    return row


async def appeal(
    tx: Transaction, worker_id: str, about: About, subject: str, text: str, trust: Trust
) -> WorkerAppeal:
    """The worker's word against the suspension or the demotion with the id `subject`. Raises Invalid without a text,
    NotFound for somebody else's, Conflict for a second one or for what is over."""
    told = _text(text, "text")
    against = await _against(tx, worker_id, about, subject)
    now = await tx.now_ms()
    row = WorkerAppeal(
        id=ids.new("apl"),
        worker_id=worker_id,
        about=str(about),
        subject=subject,
        against=against,
        state=str(AppealState.OPEN),
        text=told,
        made_at=clock.from_ms(now),
        due_at=clock.from_ms(now + trust.appeal_hours * 3_600_000),
    )
    try:
        async with tx.session.begin_nested():
            tx.session.add(row)
    except IntegrityError as error:
        raise Conflict("appealed", "You have appealed against this already") from error
    await record(tx, actor=f"person:{worker_id}", action="appeal.made", subject=row.id, about=str(about))
    tx.emit("appeal.due", row.id, delay=trust.appeal_hours * 3_600)
    return row


async def decide(
    tx: Transaction, appeal_id: str, *, grant: bool, answer: str, actor: str, trust: Trust
) -> WorkerAppeal:
    """Grant or refuse; the worker reads `answer`. Raises Invalid without one, NotFound, Conflict when it is decided,
    Forbidden for the operator whom it is against."""
    told = _text(answer, "answer")
    row = await tx.session.get(WorkerAppeal, appeal_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound("unknown_appeal", "There is no such appeal")
    if row.against == actor:
        raise Forbidden("own_decision", "Another operator than the one who decided must decide the appeal")
    state = AppealState.GRANTED if grant else AppealState.REFUSED
    now = clock.from_ms(await tx.now_ms())
    await move(tx, row, state, table=APPEAL_TRANSITIONS, answer=told, decided_by=actor, decided_at=now)
    await record(tx, actor=actor, action=f"appeal.{state}", subject=row.id, worker=row.worker_id)
    await mended(tx, f"appeal:{row.id}", Kind.APPEAL, actor=actor)
    if grant and row.about == About.SUSPENSION:
        standing = await suspension_of(tx.session, row.worker_id)
        if standing is not None and standing.id == row.subject:
            await lift(tx, row.worker_id, actor=actor)
    elif grant:
        change = await tx.session.get_one(TierChange, row.subject)
        await restore_tier(tx, row.worker_id, change.from_tier, trust, actor=actor)
    return row


async def overdue(tx: Transaction, appeal_id: str) -> None:
    """Topic `appeal.due`: nobody decided in time. It stays open, and in front of the operators."""
    row = await tx.session.get(WorkerAppeal, appeal_id)
    if row is None or row.state != AppealState.OPEN:
        return
    left = clock.to_ms(row.due_at) - await tx.now_ms()
    if left > 0:
        tx.emit("appeal.due", appeal_id, delay=left / 1000)
        return
    message = f"The appeal of {row.worker_id} waits longer than promised: decide it under /operator/people"
    await needed(tx, f"appeal:{appeal_id}", Kind.APPEAL, message)


async def appeals_of(session: AsyncSession, worker_id: str) -> dict[str, WorkerAppeal]:
    """By what they are against."""
    statement = select(WorkerAppeal).where(WorkerAppeal.worker_id == worker_id)
    return {row.subject: row for row in await session.scalars(statement)}


async def open_appeals(session: AsyncSession, limit: int = 100) -> list[WorkerAppeal]:
    """The one that is due first at the top."""
    statement = select(WorkerAppeal).where(WorkerAppeal.state == str(AppealState.OPEN))
    return list(await session.scalars(statement.order_by(WorkerAppeal.due_at, WorkerAppeal.id).limit(limit)))


async def suspensions_of(session: AsyncSession, worker_id: str) -> list[Suspension]:
    """Newest first."""
    statement = select(Suspension).where(Suspension.worker_id == worker_id)
    return list(await session.scalars(statement.order_by(Suspension.id.desc()).limit(20)))


async def in_force(session: AsyncSession, worker_ids: Sequence[str]) -> dict[str, Suspension]:
    """By worker; who is not suspended is no key."""
    statement = select(Suspension).where(
        Suspension.worker_id.in_(worker_ids), Suspension.state == str(SuspensionState.IN_FORCE)
    )
    return {row.worker_id: row for row in await session.scalars(statement)}


async def _against(tx: Transaction, worker_id: str, about: About, subject: str) -> str:
    found: Any
    if about is About.SUSPENSION:
        found = await tx.session.get(Suspension, subject)
        over = found is not None and found.state != SuspensionState.IN_FORCE
        by = "" if found is None else found.made_by
    else:
        found = await tx.session.get(TierChange, subject)
        over = found is not None and found.to_tier >= found.from_tier
        by = "" if found is None else found.actor
    if found is None or found.worker_id != worker_id:
        raise NotFound("unknown_subject", "There is nothing of that name to appeal against")
    if over:
        raise Conflict("nothing_to_appeal", "There is nothing left to appeal against")
    return by


def _text(text: str, field: str) -> str:
    tidy = text.strip()
    if not tidy or len(tidy) > MOST_TEXT or "\0" in tidy:
        raise Invalid(
            "text_needed",
            "Please write why",
            field_errors={field: f"1 to {MOST_TEXT} characters; the other side reads it"},
        )
    return tidy
