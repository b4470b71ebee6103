"""Keeps what was seen of each worker at each task type, and says when a change of heart is likely. Called by the
verification for gold, consensus and QA; `standing.py` turns it into reliability and trust."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.errors import Invalid
from core.workers.reliability import Alarm, Counts, Sign, added, listened
from core.workers.tables import WorkerRecord


class Kind(StrEnum):
    """Where a piece of evidence comes from."""

    GOLD = "gold"  # the answer was known before
    CONSENSUS = "consensus"  # what the others said; weigh it by how much they know (0 to 1)
    QA = "qa"  # a reviewer judged it


_OPEN = "INSERT INTO worker_records (worker_id, task_type, updated_at) VALUES ($1, $2, $3::bigint) ON CONFLICT DO NOTHING"
_MONTH = """
    INSERT INTO worker_record_months (worker_id, task_type, month, right_weight, weight)
    VALUES ($1, $2, $3, $4::float8, $5::float8)
    ON CONFLICT (worker_id, task_type, month) DO UPDATE SET
        right_weight = worker_record_months.right_weight + excluded.right_weight,
        weight = worker_record_months.weight + excluded.weight"""


async def add_evidence(
    tx: Transaction,
    worker_id: str,
    task_type: str,
    kind: Kind | Literal["gold", "consensus", "qa"],
    right: float,
    weight: float = 1.0,
    sign: Sign | None = None,
) -> WorkerRecord:
    """One answer of this worker was right (1), wrong (0) or likely so (between), known with `weight` 0 to 1. The record
    is changed here; the worker's reliability and tier follow in a job of their own (`worker.evidence`), so that no
    worker's row is locked in the transaction that moves money. For several workers: call in the order of their ids.
    `sign` is what the alarm is told, where more is known than right and weight (the answer itself has no part in it).
    Raises Invalid for a value outside 0 to 1."""
    source = Kind(kind)
    if not (0 <= right <= 1 and 0 <= weight <= 1):
        raise Invalid("bad_evidence", "`right` and `weight` of a piece of evidence must be 0 to 1")
    row = await _held(tx, worker_id, task_type)
    _listen(row, sign or Sign(right=weight * right + (1 - weight) * 0.5))
    counts = added(Counts(good=row.good, bad=row.bad), right, weight)
    row.good, row.bad = counts.good, counts.bad
    row.seen += weight
    row.seen_right += right * weight
    row.answers += 1
    if source is Kind.GOLD:
        row.gold_seen += 1
        row.gold_right += right >= 0.5
    if source is Kind.QA:
        row.qa_seen += 1
        row.qa_agreed += right >= 0.5
    if alarm(row).rings:
        row.cusum = row.calm_right = row.calm_seen = row.alarm_right = row.alarm_seen = 0.0  # counts afresh
        row.alarmed_at = clock.from_ms(await tx.now_ms())
    await _ended(tx, row, right * weight, weight)
    return row


async def take_back_evidence(
    tx: Transaction, worker_id: str, task_type: str, right: float, weight: float
) -> None:
    """Undo an `add_evidence` that a better judge overrules (the consensus of a task that QA then decided). What was
    forgotten meanwhile stays forgotten; no count goes below nothing."""
    row = await _held(tx, worker_id, task_type)
    row.good, row.bad = max(0.0, row.good - right * weight), max(0.0, row.bad - (1 - right) * weight)
    row.seen = max(0.0, row.seen - weight)
    row.seen_right = min(row.seen, max(0.0, row.seen_right - right * weight))
    row.answers = max(0, row.answers - 1)
    await _ended(tx, row, -right * weight, -weight)


async def of_worker(session: AsyncSession, worker_id: str) -> list[WorkerRecord]:
    """By task type."""
    statement = (
        select(WorkerRecord).where(WorkerRecord.worker_id == worker_id).order_by(WorkerRecord.task_type)
    )
    return list(await session.scalars(statement))


async def of_type(session: AsyncSession, task_type: str, worker_ids: list[str]) -> dict[str, WorkerRecord]:
    """By worker; who has none is no key."""
    statement = select(WorkerRecord).where(
        WorkerRecord.task_type == task_type, WorkerRecord.worker_id.in_(worker_ids)
    )
    return {row.worker_id: row for row in await session.scalars(statement)}


def alarm(row: WorkerRecord) -> Alarm:
    return Alarm(
        sum=row.cusum,
        calm_right=row.calm_right,
        calm_seen=row.calm_seen,
        right=row.alarm_right,
        seen=row.alarm_seen,
    )


def _listen(row: WorkerRecord, sign: Sign) -> None:
    now = listened(alarm(row), sign)
    row.cusum, row.alarm_right, row.alarm_seen = now.sum, now.right, now.seen
    row.calm_right, row.calm_seen = now.calm_right, now.calm_seen


async def _held(tx: Transaction, worker_id: str, task_type: str) -> WorkerRecord:
    """The record, made when there is none, under its lock until the end of the transaction."""
    opened = (worker_id, task_type, await tx.now_ms())
    await tx.execute(for_dialect(_OPEN, tx.dialect), opened)
    key: Any = (worker_id, task_type)
    return await tx.session.get_one(WorkerRecord, key, with_for_update=True, populate_existing=True)


async def _ended(tx: Transaction, row: WorkerRecord, right: float, weight: float) -> None:
    now = clock.from_ms(await tx.now_ms())
    row.updated_at = now
    await tx.session.flush()
    month = (row.worker_id, row.task_type, f"{now:%Y-%m}", right, weight)
    await tx.execute(for_dialect(_MONTH, tx.dialect), month)
    tx.emit("worker.evidence", row.worker_id)
