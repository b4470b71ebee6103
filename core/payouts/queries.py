"""Payouts as the worker and the operator read them; the sentences are in `words.py`. Also: is a payment hash in our books."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.bank.tables import BankAccountRow
from core.billing.tables import TopUp
from core.outbox.tables import OutboxRow
from core.payouts.holds import of_payouts, still_held
from core.payouts.states import IN_CLEARING, OWED, PAID, PayoutState
from core.payouts.tables import Payout, PayoutAttempt
from core.payouts.words import Job, PayoutLine, Where, line
from core.workers.tables import Worker

__all__ = ["PayoutLine", "PayoutPage", "PayoutTotals", "known_hash", "payouts_of", "totals_of", "where_of"]


class PayoutPage(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first; `next_before` goes into `before` for the older ones, None at the end."""

    items: Sequence[PayoutLine]
    next_before: str | None


class PayoutTotals(msgspec.Struct, frozen=True, kw_only=True):
    """In msat: arrived, on its way, owed but not sent yet, and what banks, which carry whole cents, left over (it stays
    the worker's). `waiting_for_rate` counts payouts in dollars without a rate, `looked_at` those that wait until somebody has looked."""

    paid_msat: int
    paid_count: int
    on_its_way_msat: int
    owed_msat: int
    left_over_msat: int = 0
    looked_at: int = 0
    waiting_for_rate: int = 0


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
    where = await where_of(session, worker_id)
    attempts = await _newest_attempts(session, [row.id for row in rows])
    jobs = await _jobs(session, [row.id for row in rows if PayoutState(row.state) in OWED])
    now = clock.now()
    held = await of_payouts(session, [row.id for row in rows])
    items = [line(row, attempts.get(row.id), jobs.get(row.id), where, now, held.get(row.id)) for row in rows]
    return PayoutPage(items=items, next_before=rows[-1].id if len(found) > limit else None)


async def where_of(session: AsyncSession, worker_id: str) -> Where:
    """Where the worker is paid, as it stands now."""
    row: Any = (
        await session.execute(
            select(Worker.payout_address, Worker.payout_address_usable_at).where(Worker.id == worker_id)
        )
    ).first()
    banks = list(await session.scalars(select(BankAccountRow).where(BankAccountRow.worker_id == worker_id)))
    account = next((one for one in banks if one.removed_at is None), None)
    return Where(
        address=row[0] if row else None,
        address_from=row[1] if row else None,
        bank=account.label if account else None,
        bank_kind=account.kind if account else None,
        bank_from=account.usable_at if account else None,
        changes_until=max(
            (moment for moment in (row[1] if row else None, *(one.usable_at for one in banks)) if moment),
            default=None,
        ),
        ever=bool(row and (row[0] or row[1])) or bool(banks),
    )


async def totals_of(session: AsyncSession, worker_id: str) -> PayoutTotals:
    query = select(
        Payout.state, func.count(), func.sum(Payout.amount_msat), func.sum(Payout.remainder_msat)
    ).where(Payout.worker_id == worker_id)
    rows: Any = await session.execute(query.group_by(Payout.state))
    sums = {
        PayoutState(state): (int(count), int(total), int(left_over))
        for state, count, total, left_over in rows
    }
    nothing = (0, 0, 0)
    return PayoutTotals(
        paid_msat=sum(total - left for _, total, left in (sums.get(state, nothing) for state in PAID)),
        paid_count=sum(sums.get(state, nothing)[0] for state in PAID),
        on_its_way_msat=sum(sums.get(state, nothing)[1] for state in IN_CLEARING),
        owed_msat=sum(sums.get(state, nothing)[1] for state in OWED),
        left_over_msat=sum(left for _, _, left in sums.values()),
        looked_at=len(await still_held(session, worker_id=worker_id)),
        waiting_for_rate=sums.get(PayoutState.EARNED, nothing)[0],
    )


async def known_hash(session: AsyncSession, payment_hash: str) -> bool:
    """True for a hash that we tried to pay, or that pays one of our own invoices: it is never paid (again)."""
    tried = select(PayoutAttempt.id).where(PayoutAttempt.payment_hash == payment_hash)
    ours = select(TopUp.id).where(TopUp.payment_hash == payment_hash)
    return bool(await session.scalar(tried) or await session.scalar(ours))


async def _newest_attempts(session: AsyncSession, payout_ids: list[str]) -> dict[str, PayoutAttempt]:
    if not payout_ids:
        return {}
    query = select(PayoutAttempt).where(PayoutAttempt.payout_id.in_(payout_ids))
    return {one.payout_id: one for one in await session.scalars(query.order_by(PayoutAttempt.number))}


async def _jobs(session: AsyncSession, payout_ids: list[str]) -> dict[str, Job]:
    """What the payout's newest job said when it last gave up or was put off."""
    if not payout_ids:
        return {}
    query = (
        select(OutboxRow.subject, OutboxRow.last_error, OutboxRow.state)
        .where(
            OutboxRow.subject.in_(payout_ids),
            OutboxRow.topic == "payout.reserved",
            OutboxRow.state.in_(["pending", "leased", "dead"]),
        )
        .order_by(OutboxRow.id)
    )
    rows: Any = await session.execute(query)
    return {str(subject): Job(said=said, dead=state == "dead") for subject, said, state in rows}
