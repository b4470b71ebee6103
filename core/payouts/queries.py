"""Payouts as the worker and the operator read them. While a payment is in doubt nobody reads "failed": a person who
does so asks for a second payment (ZEUS #3165, #4317)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.outbox.tables import OutboxRow
from core.payouts.states import IN_CLEARING, OWED, PAID, PayoutState
from core.payouts.tables import Payout, PayoutAttempt
from core.workers.tables import Worker

WORDS: dict[PayoutState, str] = {
    PayoutState.EARNED: "earned, waits for an exchange rate",
    PayoutState.RESERVED: "about to be sent",
    PayoutState.READY: "on its way",
    PayoutState.SENDING: "on its way",
    PayoutState.UNKNOWN: "on its way",
    PayoutState.SETTLED: "paid",
    PayoutState.FAILED: "not delivered, still yours",
    PayoutState.REVERSED: "taken back by the bank, owed again",
}
NO_ADDRESS = "waits for your payout address"


class PayoutLine(msgspec.Struct, frozen=True, kw_only=True):
    """One payout for its worker. `amount` in `currency` is what was promised, `amount_msat` what is sent. `words` may
    be shown as they are; `note` says why it waits, when something holds it. With `settled_at`: the payment hash and the
    preimage, by which the worker's wallet finds it."""

    id: str
    task_id: str
    state: PayoutState
    words: str
    note: str | None
    amount: Decimal
    currency: str
    amount_msat: int
    rail: str | None
    created_at: datetime
    settled_at: datetime | None
    payment_hash: str | None
    preimage: str | None


class PayoutPage(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first; `next_before` goes into `before` for the older ones, None at the end."""

    items: Sequence[PayoutLine]
    next_before: str | None


class PayoutTotals(msgspec.Struct, frozen=True, kw_only=True):
    """In msat: arrived, on its way, and owed but not sent yet."""

    paid_msat: int
    paid_count: int
    on_its_way_msat: int
    owed_msat: int


async def payouts_of(
    session: AsyncSession,
    worker_id: str,
    *,
    before: str | None = None,
    limit: int = 50,
    task_ids: Sequence[str] | None = None,
) -> PayoutPage:
    """The worker's payouts, `limit` at a time; with `task_ids` only those for these tasks."""
    query = select(Payout).where(Payout.worker_id == worker_id)
    if task_ids is not None:
        query = query.where(Payout.task_id.in_(task_ids))
    if before is not None:
        query = query.where(Payout.id < before)
    found = list(await session.scalars(query.order_by(Payout.id.desc()).limit(limit + 1)))
    rows = found[:limit]
    address = await session.scalar(select(Worker.payout_address).where(Worker.id == worker_id))
    proofs = await _proofs(session, rows)
    notes = await _notes(session, [row.id for row in rows if PayoutState(row.state) in OWED])
    items = [
        _line(row, proofs.get(row.id), notes.get(row.id), has_address=address is not None) for row in rows
    ]
    return PayoutPage(items=items, next_before=rows[-1].id if len(found) > limit else None)


async def totals_of(session: AsyncSession, worker_id: str) -> PayoutTotals:
    query = select(Payout.state, func.count(), func.sum(Payout.amount_msat)).where(
        Payout.worker_id == worker_id
    )
    rows: Any = await session.execute(query.group_by(Payout.state))
    sums = {PayoutState(state): (int(count), int(total)) for state, count, total in rows}
    return PayoutTotals(
        paid_msat=sum(sums.get(state, (0, 0))[1] for state in PAID),
        paid_count=sum(sums.get(state, (0, 0))[0] for state in PAID),
        on_its_way_msat=sum(sums.get(state, (0, 0))[1] for state in IN_CLEARING),
        owed_msat=sum(sums.get(state, (0, 0))[1] for state in OWED),
    )


async def _proofs(session: AsyncSession, rows: list[Payout]) -> dict[str, PayoutAttempt]:
    paid = [row.id for row in rows if PayoutState(row.state) in PAID]
    if not paid:
        return {}
    query = select(PayoutAttempt).where(
        PayoutAttempt.payout_id.in_(paid), PayoutAttempt.state == str(PayoutState.SETTLED)
    )
    return {attempt.payout_id: attempt for attempt in await session.scalars(query)}


async def _notes(session: AsyncSession, payout_ids: list[str]) -> dict[str, str]:
    """What the payout's job said when it last gave up or was put off."""
    if not payout_ids:
        return {}
    query = (
        select(OutboxRow.subject, OutboxRow.last_error)
        .where(
            OutboxRow.subject.in_(payout_ids),
            OutboxRow.topic == "payout.reserved",
            OutboxRow.state.in_(["pending", "dead"]),
            OutboxRow.last_error.is_not(None),
        )
        .order_by(OutboxRow.id)
    )
    return {str(subject): str(error) for subject, error in await session.execute(query)}


def _line(row: Payout, proof: PayoutAttempt | None, note: str | None, *, has_address: bool) -> PayoutLine:
    state = PayoutState(row.state)
    waits = state in OWED and not has_address
    return PayoutLine(
        id=row.id,
        task_id=row.task_id,
        state=state,
        words=NO_ADDRESS if waits else WORDS[state],
        note=None if waits else note,
        amount=row.amount,
        currency=row.currency,
        amount_msat=row.amount_msat,
        rail=row.rail,
        created_at=row.created_at,
        settled_at=row.settled_at,
        payment_hash=proof.payment_hash if proof else None,
        preimage=proof.preimage if proof else None,
    )
