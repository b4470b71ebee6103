"""QA, spot checks and appeals, on both databases: an answer that waits for a reviewer, what the reviewer's word does, and
who may say it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, update

from core import clock, ids
from core.access.tables import Person
from core.billing.actions import balance, credit
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import Conflict, Forbidden, Invalid
from core.ledger import accounts
from core.ledger.check import check
from core.payouts.tables import Payout
from core.routing.tables import Submission
from core.tasks.model import Environment, RiskTier
from core.tasks.types import TaskTypes
from core.verification import reviewing
from core.verification.appeals import appeal, standing
from core.verification.policy import Checks, Level, Otherwise
from core.verification.ruling import Ruling, rule
from core.verification.tables import Audit, GoldItem, Review, VerdictRow
from core.workers.records import of_type
from tests.factories import balance as held
from tests.factories_routing import (
    FEE_MSAT,
    PAYOUT_MSAT,
    PLANS,
    Hub,
    a_task,
    a_type,
    a_worker,
    an_organisation,
)

GOOD = {"answer": "yes"}


async def an_operator(tx: Transaction) -> str:
    person = Person(
        id=ids.new("per"),
        role="operator",
        name="Otto",
        email=f"{ids.new('o')}@example.test",
        created_at=clock.now(),
    )
    tx.session.add(person)
    await tx.session.flush()
    return person.id


class Stage:
    """Live tasks (in the test environment nobody is asked) of one organisation, two workers, two operators."""

    def __init__(self, work: UnitOfWork, checks: Checks):
        kind = a_type(answers_limit=2)
        self.work, self.hub = work, Hub(work, kind)
        self.hub.types = TaskTypes([kind], checks)

    async def open(self) -> Stage:
        async with self.work.begin("test.seed") as tx:
            self.organisation = await an_organisation(tx)
            self.people = [
                await a_worker(tx, environment=Environment.LIVE, reliability=0.9 - 0.1 * n) for n in range(2)
            ]
            self.otto, self.olga = await an_operator(tx), await an_operator(tx)
            await credit(tx, self.organisation, "live", 10 * PAYOUT_MSAT, "first", "test")
        return self

    async def task(self, **values: Any) -> str:
        async with self.work.begin("test.task") as tx:
            task_id = await a_task(tx, self.organisation, environment=str(Environment.LIVE), **values)
        await self.hub.drain()
        return task_id

    async def answered(self, output: Any, **values: Any) -> str:
        task_id = await self.task(**values)
        await self.hub.answer(task_id, output)
        await self.hub.drain()
        return task_id

    async def rule(self, review: Review, who: str, **values: Any) -> Review:
        async with self.work.begin("reviews.decide") as tx:
            return await rule(tx, review.id, who, Ruling(**values), self.hub.types, PLANS, None)

    async def only_review(self) -> Review:
        async with self.work.read() as session:
            [(review, _)] = await reviewing.queue(session)
            return review

    async def submission(self, task_id: str) -> str:
        async with self.work.read() as session:
            found = await session.scalars(select(Submission.id).where(Submission.task_id == task_id))
            return found.one()

    async def paid(self, task_id: str) -> list[tuple[str, int]]:
        async with self.work.read() as session:
            assert not await check(session)
        async with self.work.read() as session:
            found = await session.scalars(select(Payout).where(Payout.task_id == task_id))
            return [(one.reason, one.amount_msat) for one in found]


ASKS = Checks(risk={RiskTier.LOW: Level(uncertified=Otherwise.QA)})
SPOT = Checks(risk={RiskTier.LOW: Level(spot_check=1.0)})


async def test_an_answer_waits_for_a_reviewer_and_one_of_two_decides(work: UnitOfWork) -> None:
    stage = await Stage(work, ASKS).open()
    task_id = await stage.answered(GOOD)
    assert (await stage.hub.task(task_id)).status == "submitted"
    assert await stage.paid(task_id) == []
    review = await stage.only_review()
    assert (review.kind, review.why[0]["code"]) == ("qa", "uncertified")
    right = [await stage.submission(task_id)]
    with pytest.raises(Forbidden, match="Only operators"):
        await stage.rule(review, stage.people[1], right=right)
    with pytest.raises(Invalid, match="not an answer"):
        await stage.rule(review, stage.otto, right=["sub_x"])
    both = await asyncio.gather(
        stage.rule(review, stage.otto, right=right),
        stage.rule(review, stage.olga, right=right),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in both) == ["Conflict", "Review"]
    task = await stage.hub.task(task_id)
    assert (task.status, task.output) == ("verified", GOOD)
    assert await stage.paid(task_id) == [("answer", PAYOUT_MSAT)]
    async with work.read() as session:
        [audit] = await session.scalars(select(Audit))
        assert (audit.right_answer, audit.chance, audit.task_id) == (1, 1.0, task_id)
        [item] = await session.scalars(select(GoldItem))
        assert (item.source_task_id, item.answer, item.state) == (task_id, GOOD, "active")
        [record] = (await of_type(session, "triage", stage.people)).values()
        assert (record.qa_seen, record.qa_agreed) == (1, 1)
        verdicts = await session.scalars(select(VerdictRow.stage).order_by(VerdictRow.id))
        assert list(verdicts) == ["schema", "rules", "qa"]


async def test_what_a_reviewer_refuses_is_asked_of_somebody_else_and_can_be_appealed(
    work: UnitOfWork,
) -> None:
    stage = await Stage(work, ASKS).open()
    task_id = await stage.answered(GOOD)
    await stage.rule(await stage.only_review(), stage.otto, note="It says no in line 3")
    await stage.hub.drain()
    refused, offered = await stage.hub.assignments(task_id)
    assert (refused.state, refused.reason, offered.state) == ("refused", "It says no in line 3", "offered")
    async with work.read() as session:
        assert await standing(session, refused.id, stage.hub.types.checks.review) == "possible"
    for _ in range(2):  # asking twice is asking once
        async with work.begin("reviews.appeal") as tx:
            await appeal(tx, refused.id, refused.worker_id, "Line 3 is a quote", stage.hub.types, PLANS)
    review = await stage.only_review()
    assert (review.kind, review.said, [one["code"] for one in review.why]) == (
        "appeal",
        "Line 3 is a quote",
        ["qa_refused"],
    )
    with pytest.raises(Forbidden, match="Somebody else"):
        await stage.rule(review, stage.otto, upheld=True)
    async with work.begin("test.before") as tx:
        before = await balance(tx, stage.organisation, "live")
    await stage.rule(review, stage.olga, upheld=True)
    assert await stage.paid(task_id) == [("appeal", PAYOUT_MSAT)]
    async with work.begin("test.after") as tx:  # the hub pays for its mistake, not the asker
        assert await balance(tx, stage.organisation, "live") == before
    assert await held(work, accounts.exchange("live").id) == -PAYOUT_MSAT
    assert (await stage.hub.assignments(task_id))[0].state == "counted"
    assert (await stage.hub.task(task_id)).reserved_msat == PAYOUT_MSAT + FEE_MSAT


async def test_nobody_reviews_in_time(work: UnitOfWork) -> None:
    stage = await Stage(work, ASKS).open()
    task_id = await stage.answered(GOOD)
    review = await stage.only_review()
    async with work.begin("test.time") as tx:
        await tx.session.execute(
            update(Review).values(due_at=clock.from_ms(clock.now_ms() - 1000)).where(Review.id == review.id)
        )
        tx.emit("review.due", review.id)
    await stage.hub.drain()
    task = await stage.hub.task(task_id)
    [turn] = await stage.hub.assignments(task_id)
    assert (task.status, task.reserved_msat) == ("expired", 0)
    assert (turn.state, turn.reason) == ("refused", "No reviewer looked at this in time")
    with pytest.raises(Conflict):
        await stage.rule(review, stage.otto, right=[await stage.submission(task_id)])


async def test_a_spot_check_changes_what_is_known_and_not_what_was_paid(work: UnitOfWork) -> None:
    stage = await Stage(work, SPOT).open()
    task_id = await stage.answered(GOOD)
    assert (await stage.hub.task(task_id)).status == "verified"
    await stage.rule(await stage.only_review(), stage.otto, note="It is no")
    assert await stage.paid(task_id) == [("answer", PAYOUT_MSAT)]
    async with work.read() as session:
        [audit] = await session.scalars(select(Audit))
        assert (audit.right_answer, audit.chance) == (0, 1.0)
        [record] = (await of_type(session, "triage", stage.people)).values()
        assert (record.qa_seen, record.qa_agreed) == (1, 0)
        assert list(await session.scalars(select(GoldItem))) == []
