"""What is known of one worker: the evidence by task type with its trend, and what was paid by month. The worker's own page
and API and the operator's page of them read the same values from here."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import BigInteger, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession

from core.money import MSAT_PER_SAT
from core.payouts.states import PAID
from core.payouts.tables import Payout
from core.workers import records, standing
from core.workers.reliability import lower_bound
from core.workers.tables import Worker, WorkerRecordMonth

MONTHS = 12  # of a trend


class TypeLine(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence at one task type. `chance` is the figure that routing uses, `shown` the lower bound of this type;
    `months` (month, share right, weight), oldest first, is the trend."""

    task_type: str
    good: float
    bad: float
    chance: float
    shown: float
    months: list[tuple[str, float, float]]


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """What was paid in one month (UTC)."""

    month: str
    answers: int
    sats: int


async def months_of(session: AsyncSession, worker_id: str) -> list[Month]:
    """Newest first. By the moment at which the payout settled; what a bank left over is not in it."""
    settled_ms = type_coerce(Payout.settled_at, BigInteger)
    dialect = (await session.connection()).dialect.name
    month: Any = (
        func.to_char(func.timezone("UTC", func.to_timestamp(settled_ms / 1000)), "YYYY-MM")
        if dialect == "postgresql"
        else func.strftime("%Y-%m", settled_ms / 1000, "unixepoch")
    )
    by_month = (
        select(month.label("month"), Payout.amount_msat, Payout.remainder_msat)
        .where(
            Payout.worker_id == worker_id,
            Payout.state.in_([str(state) for state in PAID]),
            Payout.settled_at.is_not(None),
        )
        .subquery()
    )
    sums = select(
        by_month.c.month, func.count(), func.sum(by_month.c.amount_msat - by_month.c.remainder_msat)
    ).group_by(by_month.c.month)
    rows = await session.execute(sums.order_by(by_month.c.month.desc()))
    return [
        Month(month=name, answers=count, sats=int(total) // MSAT_PER_SAT) for name, count, total in rows.all()
    ]


async def type_lines(session: AsyncSession, worker: Worker) -> list[TypeLine]:
    """By task type."""
    found = await session.scalars(
        select(WorkerRecordMonth)
        .where(WorkerRecordMonth.worker_id == worker.id)
        .order_by(WorkerRecordMonth.month)
    )
    months: dict[str, list[tuple[str, float, float]]] = {}
    for one in found:
        if one.weight > 0:
            months.setdefault(one.task_type, []).append((one.month, one.right / one.weight, one.weight))
    return [
        TypeLine(
            task_type=row.task_type,
            good=row.good,
            bad=row.bad,
            chance=standing.at_type(row, worker.reliability),
            shown=lower_bound(standing.counts(row)),
            months=months.get(row.task_type, [])[-MONTHS:],
        )
        for row in await records.of_worker(session, worker.id)
    ]
