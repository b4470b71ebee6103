"""What left within the last day, for the limits. Read before an invoice is fetched, and again under the lock that two
preparations share."""

from __future__ import annotations

from sqlalchemy import and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.payouts.limits import DAY_MS, HOUR_MS, Sent
from core.payouts.states import IN_CLEARING, PAID
from core.payouts.tables import Payout, PayoutAttempt


async def sent_lately(session: AsyncSession, payout: Payout, now_ms: int) -> Sent:
    """What left or is about to leave in this environment, by attempts made in the last 24 hours. Their ids sort by
    time, so it reads that range of the primary key."""
    mine = case((Payout.worker_id == payout.worker_id, PayoutAttempt.amount_msat), else_=0)
    hour = case((PayoutAttempt.id >= _first_id(now_ms - HOUR_MS), PayoutAttempt.amount_msat), else_=0)
    row = (
        await session.execute(
            select(
                func.coalesce(func.sum(mine), 0),
                func.coalesce(func.sum(PayoutAttempt.amount_msat), 0),
                func.coalesce(func.sum(hour), 0),
            )
            .join(Payout, Payout.id == PayoutAttempt.payout_id)
            .where(
                and_(
                    PayoutAttempt.id >= _first_id(now_ms - DAY_MS),
                    PayoutAttempt.state.in_(sorted(IN_CLEARING | PAID)),
                    Payout.environment == payout.environment,
                )
            )
        )
    ).one()
    return Sent(worker_msat=int(row[0]), hub_msat=int(row[1]), hour_msat=int(row[2]))


def _first_id(ms: int) -> str:
    return f"att_{ms:012x}"  # the first 48 bits of an id are its milliseconds, see core/ids.py
