"""Marks that the evidence no longer bears out are dropped without an operator: an honest worker who had a bad week, or was
judged by people who were mistaken, is not marked for ever. Called by `review.py`. What an operator has confirmed stays, and so
do marks of a pair or of a shared address: those two are never asked together again, so that nothing can speak for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from core.db.unit_of_work import Transaction
from core.verification.anomaly.suspicion import MarkKind, Suspicion
from core.verification.anomaly.tables import WorkerMark
from core.workers.reliability import beta_share
from core.workers.tables import WorkerRecord

REVERSED_P = 0.2  # a mark is opened below .01 (a lack of skill below .07): who is close to that is not marked and let go in turns
LEAST_SINCE = 15.0  # certain answers since the alarm
SURE = 0.05
TESTED = frozenset(
    {
        MarkKind.FAST,
        MarkKind.REPEATS,
        MarkKind.COPIES,
        MarkKind.CONSTANT,
        MarkKind.UNSKILLED,
        MarkKind.TURNED,
    }
)
WORDS = "What was seen since does not bear it out"


def recovered(record: WorkerRecord, least: float) -> bool:
    """Whether the answers since the alarm show the worker (95 %) above `least`; the alarm counts afresh when it rings."""
    right, seen = record.alarm_right, record.alarm_seen
    return seen >= LEAST_SINCE and beta_share(least, 1 + right, 1 + seen - right) < SURE


async def borne_out_no_more(
    tx: Transaction, said: Mapping[tuple[str, str], Sequence[Suspicion]]
) -> list[WorkerMark]:
    """The open marks, by worker and kind, of which the tests say nothing any more. `said` by worker and task type, of those who
    were looked at just now."""
    workers = sorted({worker for worker, _ in said})
    found: list[WorkerMark] = []
    for start in range(0, len(workers), 500):
        rows = await tx.session.scalars(
            select(WorkerMark)
            .where(
                WorkerMark.worker_id.in_(workers[start : start + 500]),
                WorkerMark.closed_at.is_(None),
                WorkerMark.confirmed_at.is_(None),
                WorkerMark.kind.in_([str(kind) for kind in sorted(TESTED)]),
            )
            .order_by(WorkerMark.worker_id, WorkerMark.kind, WorkerMark.task_type)
        )
        found += [row for row in rows if _reversed(row, said.get((row.worker_id, row.task_type)))]
    return found


def _reversed(row: WorkerMark, said: Sequence[Suspicion] | None) -> bool:
    if said is None:
        return False
    return min((one.p for one in said if one.kind == row.kind), default=1.0) >= REVERSED_P
