"""What about payouts an operator should look at, as repair items: one open item per cause, closed by the next success.
Raised by the machine itself and by the watch (`hub/jobs/payout_watch.py`)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.db.unit_of_work import Transaction
from core.payouts.controls import rail_subject
from core.payouts.limits import PayoutLimits, clocks_apart
from core.payouts.states import PayoutState
from core.payouts.tables import Payout, PayoutAttempt
from core.repairs.actions import Kind, mended, needed
from core.repairs.tables import Repair

HUB = "hub"


def payout_subject(payout_id: str) -> str:
    return f"payout:{payout_id}"


async def low_rails(session: AsyncSession) -> set[str]:
    """Names of the rails with an open item about their balance."""
    found = await session.scalars(
        select(Repair.subject).where(Repair.kind == str(Kind.BALANCE), Repair.closed_at.is_(None))
    )
    return {subject.removeprefix("rail:") for subject in found}


async def attempts_used_up(tx: Transaction, payout: Payout, attempts: int, reason: str) -> None:
    words = (
        f"{attempts} attempts failed for good, the last one: {reason}. The money is the worker's and waits; "
        f"`hub payouts show {payout.id}`, then `hub payouts retry {payout.id}`."
    )
    await needed(tx, payout_subject(payout.id), Kind.ATTEMPTS, words)


async def taken_back(tx: Transaction, payout_id: str, again_id: str, reason: str) -> None:
    words = (
        f"The bank took it back: {reason}. {again_id} is owed in its place; ask the worker for other details, "
        f"then `hub payouts retry {again_id}`."
    )
    await needed(tx, payout_subject(payout_id), Kind.TAKEN_BACK, words)


async def fee_over(tx: Transaction, payout_id: str, attempt: PayoutAttempt, fee_msat: int) -> None:
    words = (
        f"Rail {attempt.rail} took {fee_msat} msat for {attempt.amount_msat} msat, over the limit of "
        f"{attempt.max_fee_msat}; see payouts.max_fee_sats and the rail's own fee limit."
    )
    await needed(tx, payout_subject(payout_id), Kind.FEE, words)


async def decided(tx: Transaction, payout_id: str, *, paid: bool) -> None:
    """The rail has spoken: nothing is stuck any more; and when it is paid, no operator is waited for."""
    kinds = (Kind.STUCK, Kind.ATTEMPTS) if paid else (Kind.STUCK,)
    await mended(tx, payout_subject(payout_id), *kinds, actor=HUB)


async def stuck(tx: Transaction, limits: PayoutLimits, slow_rails: Collection[str]) -> int:
    """Opens an item for each payment that is in doubt for too long; how many there are. A Lightning payment that stays
    under way for an hour is a hold invoice or a stuck channel; a bank takes days."""
    now = clock.from_ms(await tx.now_ms())
    fast_before = now - timedelta(minutes=limits.stuck_minutes)
    slow_before = now - timedelta(days=limits.slow_stuck_days)
    slow = PayoutAttempt.rail.in_(sorted(slow_rails))
    query = select(PayoutAttempt).where(
        PayoutAttempt.state.in_([str(PayoutState.SENDING), str(PayoutState.UNKNOWN)]),
        or_(
            and_(slow, PayoutAttempt.sent_at < slow_before),
            and_(~slow, PayoutAttempt.sent_at < fast_before),
        ),
    )
    found = (await tx.session.scalars(query.order_by(PayoutAttempt.id))).all()
    for attempt in found:
        words = (
            f"Sent over {attempt.rail} at {clock.iso(attempt.sent_at or attempt.created_at)} and not decided: "
            f"{attempt.error or 'no answer yet'}. It is looked up for as long as it takes and never paid a second "
            f"time; ask the rail about {attempt.payment_hash}."
        )
        await needed(tx, payout_subject(attempt.payout_id), Kind.STUCK, words)
    return len(found)


async def balance(tx: Transaction, rail: str, has_msat: int, limits: PayoutLimits) -> None:
    least = limits.low_balance(rail)
    if has_msat >= least:
        await mended(tx, rail_subject(rail), Kind.BALANCE, actor=HUB)
        return
    words = f"Rail {rail} can send {has_msat} msat, less than {least} (payouts.low_balance_sats): fill it up."
    await needed(tx, rail_subject(rail), Kind.BALANCE, words)


async def clocks(tx: Transaction, here_ms: int) -> None:
    """`here_ms` is this machine's clock, read beside the database's (both UTC)."""
    words = clocks_apart(here_ms=here_ms, database_ms=await tx.now_ms())
    if words is None:
        await mended(tx, HUB, Kind.CLOCK, actor=HUB)
        return
    await needed(tx, HUB, Kind.CLOCK, words)


async def books(tx: Transaction, problems: Collection[object]) -> None:
    """What the nightly `core.ledger.check` found."""
    if not problems:
        await mended(tx, HUB, Kind.BOOKS, actor=HUB)
        return
    first = "; ".join(str(problem) for problem in list(problems)[:3])
    await needed(
        tx, HUB, Kind.BOOKS, f"{len(problems)} rules of the books are broken: {first}. `hub ledger check`."
    )
