"""What a mark does, on both databases: its worker's pay waits until an operator has looked; cleared, it is sent once;
confirmed, the answer is refused, the asker has the money back and the worker may appeal; nobody looks, it is sent."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select, update

from core.billing.actions import balance
from core.db.unit_of_work import UnitOfWork
from core.errors import Invalid
from core.ledger.check import check
from core.payouts import holds
from core.payouts.convert import convert
from core.payouts.queries import payouts_of, totals_of
from core.payouts.tables import Payout, PayoutHold
from core.verification import gold_rate, marked
from core.verification.anomaly import marks
from core.verification.anomaly.suspicion import MarkKind, Suspicion
from core.verification.appeals import appeal, standing
from core.verification.policy import Checks, Gold, Level, Marks
from core.workers.tables import Worker
from tests.factories import RATE
from tests.factories_routing import PAYOUT_MSAT, PLANS
from tests.integration.verification.test_reviews import GOOD, Stage
from tests.payout_lab import Lab

WHY = Suspicion(kind=MarkKind.FAST, p=1e-9, words="10 of 10 too fast", evidence={"times": 10, "of": 10})


class Case(Stage):
    """Live answers of one worker, and a money worker with the sandbox rail."""

    def __init__(self, work: UnitOfWork, folder: Path):
        super().__init__(work, Checks())
        self.lab = Lab(work, folder)

    async def mark(self) -> str:
        async with self.work.begin("anomaly.workers") as tx:
            found = await marks.opened(tx, self.people[0], "triage", WHY)
            assert found is not None
            await marked.hold_unpaid(tx, self.people[0], "live", self.hub.types.checks.marks)
            return found.id

    async def earned(self, *, marked_first: bool) -> tuple[str, str]:
        """(task, mark) with an answer whose pay is held; marked before the answer, or when its pay is owed already."""
        await self.open()
        await self.address()
        mark = await self.mark() if marked_first else ""
        task = await self.answered(GOOD)
        assert (await self.hub.task(task)).status == "verified"  # the asker has the answer at once
        return task, mark or await self.mark()

    async def address(self) -> None:
        async with self.work.begin("test.address") as tx:
            await tx.session.execute(
                update(Worker).where(Worker.id == self.people[0]).values(payout_address="ana@sandbox.test")
            )

    async def payouts(self) -> list[tuple[str, str]]:
        async with self.work.read() as session:
            assert not await check(session)
        async with self.work.read() as session:
            found = await session.scalars(select(Payout).order_by(Payout.id))
            return [(one.reason, one.state) for one in found]

    async def reads(self) -> tuple[str, str | None]:
        async with self.work.read() as session:
            [line] = (await payouts_of(session, self.people[0])).items
            return line.words, line.note


@pytest.fixture
def case(work: UnitOfWork, tmp_path: Path) -> Case:
    return Case(work, tmp_path)


@pytest.mark.parametrize("marked_first", [True, False])
async def test_held_then_cleared_it_is_sent_once(case: Case, marked_first: bool) -> None:
    _, mark = await case.earned(marked_first=marked_first)
    await case.lab.run_job()
    assert await case.payouts() == [("answer", "reserved")]
    words, note = await case.reads()
    assert words == "held while somebody looks at it"
    assert note is not None
    assert note.startswith("Something about your recent answers is looked at. It is decided by ")
    async with case.work.read() as session:
        assert (await totals_of(session, case.people[0])).looked_at == 1
    with pytest.raises(Invalid):
        async with case.work.begin("operator.close") as tx:
            await marked.clear(tx, mark, actor=f"person:{case.otto}", note=" ")

    async def clear(actor: str) -> None:
        async with case.work.begin("operator.close") as tx:
            await marked.clear(tx, mark, actor=f"person:{actor}", note="A fast reader")

    both = await asyncio.gather(clear(case.otto), clear(case.olga), return_exceptions=True)
    assert sorted(type(one).__name__ for one in both) == ["Conflict", "NoneType"]
    assert await case.lab.waiting("payout.reserved") == 1
    await case.lab.run_job()
    assert await case.payouts() == [("answer", "settled")]
    assert case.lab.really_paid() == [1]


async def test_confirmed_the_answer_is_refused_and_an_upheld_appeal_pays(case: Case) -> None:
    task, mark = await case.earned(marked_first=True)
    async with case.work.begin("test.before") as tx:
        before = await balance(tx, case.organisation, "live")
    async with case.work.begin("operator.confirm") as tx:
        refused = await marked.confirm(tx, mark, actor=f"person:{case.otto}", note="Nobody reads that fast")
    assert refused == 1
    assert await case.payouts() == [("answer", "withheld")]
    async with case.work.begin("test.after") as tx:
        assert await balance(tx, case.organisation, "live") == before + PAYOUT_MSAT
    async with case.work.begin("operator.confirm") as tx:  # again: nothing is left to refuse
        assert await marked.confirm(tx, mark, actor=f"person:{case.otto}", note="Still") == 0
    [turn] = await case.hub.assignments(task)
    assert turn.state == "refused"
    assert turn.reason is not None
    assert turn.reason.endswith("Nobody reads that fast")
    words, note = await case.reads()
    assert words == "not paid: the answer was not accepted"
    assert (
        note
        == "An operator looked at it: Nobody reads that fast. You may ask for another look, from your history."
    )
    rules = case.hub.types.checks.review
    async with case.work.read() as session:
        assert await standing(session, turn.id, rules) == "possible"
    async with case.work.begin("reviews.appeal") as tx:
        review = await appeal(tx, turn.id, turn.worker_id, "I knew it by heart", case.hub.types, PLANS)
    assert [one["code"] for one in review.why] == [marked.CONFIRMED]
    assert review.not_by == [case.otto]
    await case.rule(review, case.olga, upheld=True)
    assert await case.payouts() == [("answer", "withheld"), ("appeal", "reserved")]
    [turn] = await case.hub.assignments(task)
    assert turn.state == "counted"
    async with case.work.begin("test.end") as tx:  # the appeal is paid by the hub, not by the asker
        assert await balance(tx, case.organisation, "live") == before + PAYOUT_MSAT
    while await case.lab.waiting("payout.reserved"):
        await case.lab.pay()
    assert await case.payouts() == [("answer", "withheld"), ("appeal", "settled")]
    assert case.lab.really_paid() == [1]


async def test_confirmed_before_there_is_a_rate_and_all_that_was_reserved_goes_back(case: Case) -> None:
    await case.open()
    mark = await case.mark()
    async with case.work.begin("test.before") as tx:
        before = await balance(tx, case.organisation, "live")
    task = await case.answered(GOOD, payout_currency="USD", payout_amount=Decimal("0.50"))
    assert await case.payouts() == [("answer", "earned")]
    async with case.work.begin("operator.confirm") as tx:
        assert await marked.confirm(tx, mark, actor=f"person:{case.otto}", note="Pasted") == 1
    assert await case.payouts() == [("answer", "withheld")]
    async with case.work.begin("test.after") as tx:
        assert await balance(tx, case.organisation, "live") == before
    job = await case.lab.take("payout.earned")
    assert job is not None
    assert (
        await convert(case.work, job, PLANS, lambda: RATE) == "withheld"
    )  # a rate comes, and nothing is owed
    assert await case.payouts() == [("answer", "withheld")]
    [turn] = await case.hub.assignments(task)
    assert turn.state == "refused"


async def test_nobody_looks_in_time_and_it_is_sent(case: Case) -> None:
    await case.earned(marked_first=True)
    async with case.work.read() as session:
        [(hold, payout)] = await holds.still_held(session)
    assert (hold.until - hold.since).total_seconds() == case.hub.types.checks.marks.hold_hours * 3600
    for _ in range(2):  # the second finds it ended
        async with case.work.begin("test.due") as tx:
            tx.emit("payout.hold_over", payout.id, queue="money")
        lease = await case.lab.take("payout.hold_over")
        assert lease is not None
        async with case.work.finishing(lease, "payouts.hold_over") as tx:
            await holds.over(tx, lease)
    async with case.work.read() as session:
        ended = await session.get_one(PayoutHold, payout.id)
    assert (ended.outcome, ended.ended_by) == ("over", "hub")
    while await case.lab.waiting("payout.reserved"):
        await case.lab.pay()
    assert await case.payouts() == [("answer", "settled")]
    assert case.lab.really_paid() == [1]


async def test_what_was_committed_to_a_rail_is_not_held(case: Case) -> None:
    await case.open()
    await case.address()
    await case.answered(GOOD)
    await case.lab.ready()
    await case.mark()
    async with case.work.read() as session:
        assert await holds.still_held(session) == []
    async with case.work.read() as session:
        assert await session.scalar(select(Payout.state)) == "ready"


async def test_a_hold_and_a_payment_at_once_are_one_after_the_other(case: Case) -> None:
    """Whoever is first: held and not sent, or sent and not held; never both."""
    await case.open()
    await case.address()
    await case.answered(GOOD)
    lease = await case.lab.take("payout.reserved")
    assert lease is not None
    await asyncio.gather(case.lab.run_pay(lease), case.mark())
    async with case.work.read() as session:
        waiting = len(await holds.still_held(session))
    [(_, state)] = await case.payouts()
    assert (waiting, state, case.lab.really_paid()) in [(1, "reserved", []), (0, "settled", [1])]


async def test_the_policy_may_hold_nothing(case: Case) -> None:
    case.hub.types.checks = Checks(marks=Marks(hold_pay=[]))
    await case.open()
    await case.mark()
    await case.answered(GOOD)
    async with case.work.read() as session:
        assert await holds.still_held(session) == []


def test_a_mark_raises_the_rate_of_gold() -> None:
    known = {"lower_bound": 0.95, "gold_seen": 40, "since_gold": 3, "alarmed": False}
    level = Level(gold_floor=0.02)
    assert gold_rate.rate(Gold(), level, **known) == 0.02
    assert gold_rate.rate(Gold(), level, **known, marked=0.5) == 0.5
    assert gold_rate.rate(Gold(), level, **{**known, "alarmed": True}, marked=0.5) == 0.5
