"""What the records come to: a worker's reliability and their trust tier. `reconsider` is what the job `worker.evidence`
runs after each piece of evidence; the pages show `standing_of`; an operator's word goes through `set_tier`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.access.tables import Person
from core.audit.record import record
from core.db.unit_of_work import Transaction
from core.errors import Invalid, NotFound
from core.outbox.rows import Lease
from core.workers.availability import settings_of
from core.workers.model import MAX_TIER
from core.workers.records import of_worker
from core.workers.reliability import Counts, lower_bound, shrunk, together
from core.workers.row import announce_free, locked
from core.workers.tables import TierChange, Worker, WorkerRecord, WorkerSettings
from core.workers.tiers import Standing, Trust, step

OPERATOR = "operator"  # the rule of a step that an operator has made
CLOSE = 1e-9  # a change of the figure that is worth no write


async def on_evidence(tx: Transaction, lease: Lease, trust: Trust) -> None:
    """Topic `worker.evidence`."""
    await reconsider(tx, lease.subject, trust)


async def reconsider(tx: Transaction, worker_id: str, trust: Trust) -> TierChange | None:
    """Reliability and tier as the evidence has them now. Gives the change of tier, if any."""
    worker = await locked(tx, worker_id)
    rows = await of_worker(tx.session, worker_id)
    standing = await standing_of(tx.session, worker, rows, await tx.now_ms())
    wanted = step(await tx.now_ms(), standing, trust)
    made = (
        None
        if wanted is None
        else await _changed(tx, worker, wanted.to, wanted.rule, evidence_of(standing), actor="hub")
    )
    figure = reliability_of(rows, worker.tier, trust)  # shrunk to the tier that they have now
    if abs(worker.reliability - figure) > CLOSE:
        worker.reliability = figure
        await tx.session.flush()
    return made


async def set_tier(tx: Transaction, worker_id: str, tier: int, reason: str, *, actor: str) -> TierChange:
    """An operator's word: any tier at once, with a reason that the worker reads. Straight to 0 on fraud. Raises Invalid,
    NotFound."""
    if not 0 <= tier <= MAX_TIER or not reason.strip():
        told = {"tier": f"Must be 0 to {MAX_TIER}"} if reason.strip() else {"reason": "The worker reads it"}
        raise Invalid("bad_tier", "A tier and a reason are needed", field_errors=told)
    worker = await locked(tx, worker_id)
    made = await _changed(tx, worker, tier, OPERATOR, {"reason": reason.strip()}, actor=actor)
    tx.emit("worker.evidence", worker_id)  # reliability is shrunk to the tier
    return made


async def restore_tier(tx: Transaction, worker_id: str, tier: int, trust: Trust, *, actor: str) -> None:
    """An appeal was right: back to where the worker was, and no rule touches that for a while."""
    worker = await locked(tx, worker_id)
    kept = await settings_of(tx, worker)
    kept.tier_floor = tier
    kept.tier_floor_until = clock.from_ms(await tx.now_ms() + trust.restored_days * 86_400_000)
    if worker.tier < tier:
        await _changed(tx, worker, tier, "appeal", {}, actor=actor)


def reliability_of(rows: Sequence[WorkerRecord], tier: int, trust: Trust) -> float:
    """The shrunk mean over all task types: the chance that the next answer is right."""
    return shrunk(together(counts(row) for row in rows), trust.usual(tier))


def at_type(row: WorkerRecord | None, overall: float) -> float:
    """The chance at one task type: its own counts, shrunk to the worker's overall mean (which `workers.reliability` is).
    A separate quality for each type without that loses to one for all."""
    return overall if row is None else shrunk(counts(row), overall)


def counts(row: WorkerRecord) -> Counts:
    return Counts(good=row.good, bad=row.bad)


async def standing_of(
    session: AsyncSession, worker: Worker, rows: Sequence[WorkerRecord], now_ms: int
) -> Standing:
    """What the rules look at. Raises NotFound for a worker who is no person."""
    person = await session.get(Person, worker.id)
    if person is None:
        raise NotFound("unknown_worker", "There is no such worker")
    changes = list(
        await session.execute(
            select(TierChange.at, TierChange.from_tier, TierChange.to_tier, TierChange.rule)
            .where(TierChange.worker_id == worker.id)
            .order_by(TierChange.id.desc())
            .limit(50)
        )
    )
    kept = await session.get(WorkerSettings, worker.id)
    floor_until = None if kept is None else kept.tier_floor_until
    alarms = [clock.to_ms(row.alarmed_at) for row in rows if row.alarmed_at is not None]
    together_ = together(counts(row) for row in rows)
    return Standing(
        tier=worker.tier,
        lower=lower_bound(together_),
        weight=together_.weight,
        evidence=sum(row.seen for row in rows),
        gold=sum(row.gold_seen for row in rows),
        qa_seen=sum(row.qa_seen for row in rows),
        qa_agreed=sum(row.qa_agreed for row in rows),
        member_since_ms=clock.to_ms(person.created_at),
        changed_at_ms=clock.to_ms(changes[0][0]) if changes else None,
        promoted_at_ms=next((clock.to_ms(at) for at, before, after, _ in changes if after > before), None),
        lowered_at_ms=_lowered(changes[0]) if changes else None,
        alarmed_at_ms=max(alarms, default=None),
        floor=kept.tier_floor
        if kept is not None and floor_until is not None and clock.to_ms(floor_until) > now_ms
        else 0,
    )


def _lowered(change: Any) -> int | None:
    """When an operator lowered them, if that was the last word."""
    at, before, after, rule = change
    return clock.to_ms(at) if rule == OPERATOR and after < before else None


def evidence_of(standing: Standing) -> dict[str, float | int | None]:
    """The figures that are kept with a change, as the rules saw them."""
    return {
        "lower_bound": round(standing.lower, 6),
        "weight": round(standing.weight, 3),
        "evidence": round(standing.evidence, 3),
        "gold": standing.gold,
        "qa_seen": standing.qa_seen,
        "qa_agreed": standing.qa_agreed,
        "alarmed_at_ms": standing.alarmed_at_ms,
    }


async def tier_changes(session: AsyncSession, worker_id: str, limit: int = 20) -> list[TierChange]:
    """Newest first."""
    statement = select(TierChange).where(TierChange.worker_id == worker_id)
    return list(await session.scalars(statement.order_by(TierChange.id.desc()).limit(limit)))


async def _changed(
    tx: Transaction, worker: Worker, to: int, rule: str, evidence: Mapping[str, object], *, actor: str
) -> TierChange:
    row = TierChange(
        id=ids.new("tch"),
        worker_id=worker.id,
        from_tier=worker.tier,
        to_tier=to,
        rule=rule,
        evidence=dict(evidence),
        actor=actor,
        at=clock.from_ms(await tx.now_ms()),
    )
    tx.session.add(row)
    await record(
        tx, actor=actor, action="worker.tier_changed", subject=worker.id, to=to, rule=rule, was=worker.tier
    )
    worker.tier = to
    await tx.session.flush()
    if worker.available:
        announce_free(tx, worker.environment)
    return row
