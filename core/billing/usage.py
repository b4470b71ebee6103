"""What an organisation used in a period, for `GET /v1/usage` and the operator's pages. Reads one index range of tasks
and the payouts of those tasks."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec
from sqlalchemy import BigInteger, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession

from core.money import MSAT_PER_SAT, Currency, from_msat
from core.payouts.states import PayoutState
from core.payouts.tables import Payout
from core.tasks.states import TaskStatus
from core.tasks.tables import Task


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Of the tasks created in the period: how many, how they ended, and what was paid for them so far.
    `average_completion_seconds` is from posted to verified, None without a verified task. `total_usd` (cents) counts a
    payout in dollars as promised and one in bitcoin at the rate of its day; one without a rate is in `total_sats` alone."""

    total: int
    verified: int
    failed: int
    cancelled: int
    expired: int
    average_completion_seconds: Decimal | None
    total_usd: Decimal
    total_sats: int
    payout_count: int


async def usage(
    session: AsyncSession, organisation_id: str, environment: str, start: datetime, end: datetime
) -> Usage:
    """`start` inclusive, `end` exclusive, both aware."""
    mine = (
        Task.organisation_id == organisation_id,
        Task.environment == str(environment),
        Task.created_at >= start,
        Task.created_at < end,
    )
    spent_ms = type_coerce(Task.ended_at, BigInteger) - type_coerce(Task.created_at, BigInteger)
    statuses = await session.execute(
        select(Task.status, func.count(), func.sum(spent_ms)).where(*mine).group_by(Task.status)
    )
    counts: dict[str, tuple[int, int]] = {
        status: (int(count), int(total or 0)) for status, count, total in statuses
    }
    verified, verified_ms = counts.get(TaskStatus.VERIFIED, (0, 0))
    paid = await session.execute(
        select(Payout.currency, Payout.amount, Payout.usd_per_btc, func.count(), func.sum(Payout.amount_msat))
        .join(Task, Task.id == Payout.task_id)
        .where(*mine, Payout.state == str(PayoutState.SETTLED))
        .group_by(Payout.currency, Payout.amount, Payout.usd_per_btc)
    )
    groups: list[Any] = list(paid)
    return Usage(
        total=sum(count for count, _ in counts.values()),
        verified=verified,
        failed=counts.get(TaskStatus.FAILED, (0, 0))[0],
        cancelled=counts.get(TaskStatus.CANCELLED, (0, 0))[0],
        expired=counts.get(TaskStatus.EXPIRED, (0, 0))[0],
        average_completion_seconds=_seconds(verified_ms, verified),
        total_usd=sum((_usd(*group) for group in groups), Decimal(0)).quantize(
            Decimal("0.01"), ROUND_HALF_EVEN
        ),
        total_sats=sum(int(group[4]) for group in groups) // MSAT_PER_SAT,
        payout_count=sum(int(group[3]) for group in groups),
    )


def _seconds(total_ms: int, count: int) -> Decimal | None:
    return (Decimal(total_ms) / count / 1000).quantize(Decimal("0.001")) if count else None


def _usd(currency: str, amount: Decimal, usd_per_btc: Decimal | None, count: int, total_msat: int) -> Decimal:
    if currency == Currency.USD:
        return amount * count
    return Decimal(0) if usd_per_btc is None else from_msat(int(total_msat), Currency.USD, usd_per_btc)
