"""Marks: opened by the review, read by the stage and the operator's page, closed by an operator who has looked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.audit.record import record
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.errors import Conflict, Invalid, NotFound
from core.verification.anomaly.suspicion import MarkKind, Suspicion
from core.verification.anomaly.tables import WorkerMark

HUB = "hub"  # closes what the evidence no longer bears out
QUIET = timedelta(days=14)  # after an operator's word the same is not said again
# What an answer is not doubted for: it says who should not be asked together.
MILD = frozenset({MarkKind.SHARED})


async def opened(tx: Transaction, worker_id: str, task_type: str, why: Suspicion) -> WorkerMark | None:
    """The open mark of this kind, new or with the newest numbers. None while an operator's word on it is fresh."""
    same = (
        WorkerMark.worker_id == worker_id,
        WorkerMark.kind == str(why.kind),
        WorkerMark.task_type == task_type,
    )
    now = clock.from_ms(await tx.now_ms())
    row = await tx.session.scalar(
        select(WorkerMark).where(*same).order_by(WorkerMark.opened_at.desc()).limit(1)
    )
    if row is not None and row.closed_at is not None:
        if row.closed_by != HUB and now - row.closed_at < QUIET:
            return None
        if why.kind is MarkKind.TURNED and why.evidence["alarmed_at"] <= clock.to_ms(row.closed_at):
            return None
        row = None
    if row is not None:
        if (row.words, row.evidence) != (why.words, why.evidence):
            row.words, row.evidence, row.p_value = why.words, why.evidence, why.p
            row.times += 1
        row.seen_at = now
        return row
    row = WorkerMark(
        id=ids.new("mrk"),
        worker_id=worker_id,
        kind=str(why.kind),
        task_type=task_type,
        words=why.words,
        evidence=why.evidence,
        p_value=why.p,
        times=1,
        opened_at=now,
        seen_at=now,
    )
    tx.session.add(row)
    await record(tx, actor="hub", action="mark.opened", subject=worker_id, kind=row.kind, words=row.words)
    await tx.session.flush()
    return row


async def close(tx: Transaction, mark_id: str, *, actor: str, note: str) -> WorkerMark:
    """An operator has looked. Raises NotFound, Conflict when it is closed already, Invalid without a note."""
    if not note.strip():
        raise Invalid("no_note", "Say in a sentence why", field_errors={"note": "Required"})
    row = await tx.session.get(WorkerMark, mark_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound("mark_not_found", "There is no such mark")
    if row.closed_at is not None:
        raise Conflict("mark_closed", "This mark is closed already")
    row.closed_at, row.closed_by, row.note = clock.from_ms(await tx.now_ms()), actor, note.strip()[:500]
    await record(tx, actor=actor, action="mark.closed", subject=row.worker_id, kind=row.kind, note=row.note)
    await tx.session.flush()
    return row


async def confirmed(tx: Transaction, mark_id: str, *, actor: str, note: str) -> WorkerMark:
    """An operator has looked, and it is true. The mark stays open. Raises NotFound, Conflict when it is closed."""
    row = await tx.session.get(WorkerMark, mark_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound("mark_not_found", "There is no such mark")
    if row.closed_at is not None:
        raise Conflict("mark_closed", "This mark is closed already")
    row.confirmed_at, row.note = clock.from_ms(await tx.now_ms()), note.strip()[:500]
    await record(
        tx, actor=actor, action="mark.confirmed", subject=row.worker_id, kind=row.kind, note=row.note
    )
    await tx.session.flush()
    return row


async def of_worker(session: AsyncSession, worker_id: str, limit: int = 100) -> list[WorkerMark]:
    """Open ones first, then the newest."""
    statement = (
        select(WorkerMark)
        .where(WorkerMark.worker_id == worker_id)
        .order_by(WorkerMark.closed_at.is_not(None), WorkerMark.id.desc())
        .limit(limit)
    )
    return list(await session.scalars(statement))


async def still_open(session: AsyncSession, limit: int = 200) -> list[WorkerMark]:
    """Newest first."""
    statement = (
        select(WorkerMark).where(WorkerMark.closed_at.is_(None)).order_by(WorkerMark.id.desc()).limit(limit)
    )
    return list(await session.scalars(statement))


async def doubtful(tx: Transaction, worker_ids: Sequence[str]) -> dict[str, list[str]]:
    """The kinds of their open marks for which answers are looked at more closely; who has none is no key."""
    places = ", ".join(f"${number}" for number in range(1, len(worker_ids) + 1))
    sql = f"SELECT worker_id, kind FROM worker_marks WHERE closed_at IS NULL AND worker_id IN ({places})"  # noqa: S608 - places
    found: dict[str, list[str]] = {}
    if worker_ids:
        for worker_id, kind in await tx.execute(for_dialect(sql, tx.dialect), tuple(worker_ids)):
            if kind not in MILD:
                found[worker_id] = sorted({*found.get(worker_id, []), kind})
    return found
