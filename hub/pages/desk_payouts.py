"""What became of a worker's money, payout by payout and in sum, in the worker's words."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.payouts.states import PayoutState
from core.payouts.tables import Payout, PayoutAttempt

_WORDS = {
    PayoutState.RESERVED: ("Being prepared", "warn"),
    PayoutState.READY: ("On its way", "warn"),
    PayoutState.SENDING: ("On its way", "warn"),
    PayoutState.UNKNOWN: ("On its way", "warn"),
    PayoutState.SETTLED: ("Paid", "good"),
    PayoutState.FAILED: ("Could not be paid yet", "bad"),
    PayoutState.REVERSED: ("Taken back", "bad"),
}


class PayoutLine(msgspec.Struct, frozen=True, kw_only=True):
    """One payout with the proof of its last attempt."""

    id: str
    state: str
    words: str
    mood: str
    amount_msat: int
    rail: str | None
    payment_hash: str | None
    preimage: str | None
    settled_at: datetime | None


class Earnings(msgspec.Struct, frozen=True, kw_only=True):
    """In msat: paid out, and earned but not paid yet."""

    paid_msat: int
    owed_msat: int
    payouts: int


async def payouts_of(session: AsyncSession, worker_id: str, task_ids: list[str]) -> dict[str, PayoutLine]:
    """The payouts of this worker for these tasks, by task."""
    if not task_ids:
        return {}
    found = list(
        await session.scalars(
            select(Payout).where(Payout.task_id.in_(task_ids), Payout.worker_id == worker_id)
        )
    )
    attempts = await session.scalars(
        select(PayoutAttempt)
        .where(PayoutAttempt.payout_id.in_([payout.id for payout in found]))
        .order_by(PayoutAttempt.number)
    )
    last = {attempt.payout_id: attempt for attempt in attempts}
    return {payout.task_id: _line(payout, last.get(payout.id)) for payout in found}


def _line(payout: Payout, attempt: PayoutAttempt | None) -> PayoutLine:
    words, mood = _WORDS[PayoutState(payout.state)]
    return PayoutLine(
        id=payout.id,
        state=payout.state,
        words=words,
        mood=mood,
        amount_msat=payout.amount_msat,
        rail=payout.rail or (attempt.rail if attempt else None),
        payment_hash=attempt.payment_hash if attempt else None,
        preimage=attempt.preimage if attempt else None,
        settled_at=payout.settled_at,
    )


async def earnings(session: AsyncSession, worker_id: str) -> Earnings:
    """Sums by state over the worker's own payouts (one index range)."""
    rows = await session.execute(
        select(Payout.state, func.count(), func.sum(Payout.amount_msat))
        .where(Payout.worker_id == worker_id)
        .group_by(Payout.state)
    )
    sums = {PayoutState(state): (int(count), int(total)) for state, count, total in rows}
    gone = (PayoutState.SETTLED, PayoutState.REVERSED)
    return Earnings(
        paid_msat=sums.get(PayoutState.SETTLED, (0, 0))[1],
        owed_msat=sum(total for state, (_, total) in sums.items() if state not in gone),
        payouts=sum(count for count, _ in sums.values()),
    )
