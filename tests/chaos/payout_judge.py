"""The judge of every crash run: the receiver's history against the hub's books, after everything has come to its end. Used
by the matrix, by the seeded schedules and by the run on real nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import select

from core.db.unit_of_work import UnitOfWork
from core.ledger.seal import seal_all
from core.payouts.states import PayoutState
from core.payouts.tables import Payout, PayoutAttempt
from core.payouts.words import WORDS
from tests.factories import problems

ON_ITS_WAY = WORDS[PayoutState.UNKNOWN]
WEEK_MS = 7 * 86_400_000
FAILED_WORDS = WORDS[PayoutState.FAILED]


class Paid(msgspec.Struct, frozen=True, kw_only=True):
    """What the receiver has for good: `times` settlements of one hash, each of `amount_msat`."""

    payment_hash: str
    amount_msat: int
    times: int = 1


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`problem` is empty when the payout arrived once and everybody knows; `times` is how often it arrived. `person`: it
    waits for one, with all its money still owed."""

    problem: str
    times: int = 0
    person: bool = False
    attempts: int = 0


async def judge(
    work: UnitOfWork,
    task_id: str,
    paid: Sequence[Paid],
    *,
    problem: str = "",
    attempts: int | None = None,
    doubted: bool = False,
    seen: Collection[PayoutState] = (),
    words: Collection[str] = (),
) -> Verdict:
    """`attempts`: how many invoices it may have taken (None: any). `doubted`: the worker must have read "on its way"."""
    async with work.read() as session:
        payouts = list(await session.scalars(select(Payout).where(Payout.task_id == task_id)))
        tried = list(
            await session.scalars(
                select(PayoutAttempt).where(PayoutAttempt.payout_id.in_([one.id for one in payouts]))
            )
        )
    times = sum(one.times for one in paid)
    if len(payouts) != 1:
        return Verdict(problem=f"{len(payouts)} payouts; {problem}", times=times)
    found = [problem, *_arrived(payouts[0], tried, paid), *await _books(work)]
    if attempts is not None and len(tried) != attempts:
        found.append(f"{len(tried)} invoices, not {attempts}: {[(one.state, one.error) for one in tried]}")
    if doubted and ON_ITS_WAY not in words:
        found.append(f"in doubt the worker read {sorted(words)}")
    person = payouts[0].state == PayoutState.FAILED and times == 0
    if not person and (PayoutState.FAILED in seen or FAILED_WORDS in words):
        found.append("the worker read that it failed")
    return Verdict(
        problem="; ".join(one for one in found if one), times=times, person=person, attempts=len(tried)
    )


def _arrived(payout: Payout, tried: Sequence[PayoutAttempt], paid: Sequence[Paid]) -> list[str]:
    """The receiver's word against the payout's."""
    found: list[str] = []
    settled = {one.payment_hash: one for one in tried if one.state == PayoutState.SETTLED}
    arrived: Counter[str] = Counter()
    for one in paid:
        arrived[one.payment_hash] += one.times
        attempt = settled.get(one.payment_hash)
        if attempt is None:
            found.append(f"paid {one.payment_hash[:8]}, which no settled attempt has")
        elif attempt.amount_msat != one.amount_msat:
            found.append(f"paid {one.amount_msat} msat, not {attempt.amount_msat}")
    if arrived.total() > 1:
        found.append(f"PAID {arrived.total()} TIMES")
    if payout.state == PayoutState.SETTLED and (arrived.total() != 1 or set(settled) != set(arrived)):
        found.append(f"the payout is settled, the receiver has {arrived.total()} payments")
    if payout.state not in (PayoutState.SETTLED, PayoutState.FAILED):
        found.append(f"the payout ended as {payout.state}")
    return found


async def _books(work: UnitOfWork) -> list[str]:
    await seal_all(work, look_back_ms=WEEK_MS)  # what another process of a hub does each second
    return [str(one) for one in await problems(work)]
