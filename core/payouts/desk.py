"""Payouts and rails as the operator reads them: lists, one payout's whole trail, how each rail is. For `hub payouts`,
`hub rails` and the page of payouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.db.unit_of_work import UnitOfWork
from core.errors import NotFound, Retryable
from core.ledger.tables import LedgerTransfer
from core.outbox.tables import OutboxRow
from core.payouts.alarms import payout_subject
from core.payouts.controls import in_force, rail_subject
from core.payouts.rail import Funded, Rail, Recording
from core.payouts.reconcile import newest_of
from core.payouts.states import PayoutState
from core.payouts.tables import Payout, PayoutAttempt
from core.repairs.tables import Repair


class Trail(msgspec.Struct, frozen=True, kw_only=True):
    """All that is written down about one payout, oldest first."""

    payout: Payout
    attempts: Sequence[PayoutAttempt]
    transfers: Sequence[LedgerTransfer]
    jobs: Sequence[OutboxRow]
    repairs: Sequence[Repair]

    @property
    def note(self) -> str | None:
        """Why it waits: what its newest job said when it was put off, in the operator's words."""
        waiting = [job.last_error for job in self.jobs if job.state in ("pending", "leased", "dead")]
        return waiting[-1] if waiting else None


class RailLine(msgspec.Struct, frozen=True, kw_only=True):
    """How a rail is. `answers`: None when it was not asked, else "yes" or why not. `stopped`: what holds it back."""

    name: str
    real_money: bool
    pays: str
    answers: str | None
    balance_msat: int | None
    stopped: Sequence[str]
    in_doubt: int
    can_be_reconciled: bool
    reconciled_at: datetime | None
    findings: int


async def listing(
    session: AsyncSession, *, state: str = "", before: str = "", limit: int = 50
) -> tuple[Sequence[Payout], str | None]:
    """Newest first, of one state or all; and the cursor of the older ones, None at the end."""
    query = select(Payout)
    if state:
        query = query.where(Payout.state == state)
    if before:
        query = query.where(Payout.id < before)
    found = (await session.scalars(query.order_by(Payout.id.desc()).limit(limit + 1))).all()
    return found[:limit], found[limit - 1].id if len(found) > limit else None


async def trail(session: AsyncSession, payout_id: str) -> Trail:
    """Raises NotFound."""
    payout = await session.get(Payout, payout_id)
    if payout is None:
        raise NotFound("payout_not_found", "There is no such payout", payout=payout_id)
    attempts = select(PayoutAttempt).where(PayoutAttempt.payout_id == payout_id)
    transfers = select(LedgerTransfer).where(LedgerTransfer.subject == payout_id)
    jobs = select(OutboxRow).where(OutboxRow.subject == payout_id)
    repairs = select(Repair).where(Repair.subject == payout_subject(payout_id))
    return Trail(
        payout=payout,
        attempts=(await session.scalars(attempts.order_by(PayoutAttempt.number))).all(),
        transfers=(
            await session.scalars(transfers.order_by(LedgerTransfer.created_at, LedgerTransfer.id))
        ).all(),
        jobs=(await session.scalars(jobs.order_by(OutboxRow.id))).all(),
        repairs=(await session.scalars(repairs.order_by(Repair.id))).all(),
    )


async def rail_lines(work: UnitOfWork, rails: Mapping[str, Rail], *, ask: bool) -> list[RailLine]:
    """Every configured rail in its order. `ask` it for its balance, which shows whether it can be reached."""
    lines: list[RailLine] = []
    for name, rail in rails.items():
        answers, has_msat = await _asked(rail) if ask else (None, None)
        async with work.read() as session:
            lines.append(await _line(session, name, rail, answers, has_msat))
    return lines


async def _asked(rail: Rail) -> tuple[str | None, int | None]:
    if not isinstance(rail, Funded):
        return None, None
    try:
        return "yes", await rail.balance_msat()
    except Retryable as error:
        return error.message, None


async def _line(
    session: AsyncSession, name: str, rail: Rail, answers: str | None, has_msat: int | None
) -> RailLine:
    doubtful = select(func.count()).where(
        PayoutAttempt.rail == name,
        PayoutAttempt.state.in_([str(PayoutState.SENDING), str(PayoutState.UNKNOWN)]),
    )
    held = await in_force(session, clock.now_ms())
    newest = await newest_of(session, name)
    return RailLine(
        name=name,
        real_money=rail.capabilities.real_money,
        pays=str(rail.capabilities.pays),
        answers=answers,
        balance_msat=has_msat,
        stopped=[f"{one.cause}: {one.reason}" for one in held if one.subject == rail_subject(name)],
        in_doubt=await session.scalar(doubtful) or 0,
        can_be_reconciled=isinstance(rail, Recording),
        reconciled_at=newest.finished_at if newest else None,
        findings=len(newest.findings) if newest else 0,
    )
