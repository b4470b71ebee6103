"""Gold on both databases: asked like any other question, paid, judged against the known answer, never to one person twice,
disputed, and gone when somebody lets it go."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, text

from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict
from core.ledger.check import check
from core.outbox.tables import OutboxRow
from core.payouts.tables import Payout
from core.routing import actions
from core.routing.house import GOLD_ORGANISATION
from core.routing.tables import Assignment, Submission
from core.tasks.model import Environment, RiskTier
from core.tasks.tables import Task
from core.tasks.types import TaskTypes
from core.verification import gold, gold_items
from core.verification.gold_items import NewItem
from core.verification.policy import Checks, Gold, Level
from core.verification.ruling import Ruling, rule
from core.verification.tables import GoldExposure, GoldItem
from core.workers.records import of_type
from core.workers.tables import Worker
from tests.factories_routing import PAYOUT_MSAT, PLANS, Hub, a_task, a_type, a_worker, an_organisation
from tests.integration.verification.test_reviews import an_operator

SCHEMA = {
    "type": "object",
    "properties": {"answer": {"enum": ["yes", "no"]}},
    "required": ["answer"],
}
YES, NO = {"answer": "yes"}, {"answer": "no"}
ALWAYS = Gold(highest=1.0, slope=0.0, early=0, longest_gap=1, most_exposures=2, reveal_hours=0)

ITEM = NewItem(
    task_type="triage", payload={"question": "Is water wet?"}, answer=YES, environment=Environment.TEST
)


async def seeded(
    work: UnitOfWork, *, workers: int = 1, address: str | None = None
) -> tuple[Hub, str, list[str]]:
    kind = a_type(output_schema=SCHEMA)
    hub = Hub(work, kind)
    level = Level(gold_floor=1.0, spot_check=0.0)
    hub.types = TaskTypes([kind], Checks(risk={RiskTier.LOW: level}, gold=ALWAYS))
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        people = [
            await a_worker(tx, reliability=0.9 - 0.1 * n, payout_address=address) for n in range(workers)
        ]
        await gold_items.add(tx, ITEM, hub.types, actor="test")
    return hub, organisation, people


async def real(hub: Hub, organisation: str, output: Any = YES) -> str:
    """A real task, answered."""
    async with hub.work.begin("test.task") as tx:
        task_id = await a_task(tx, organisation, output_schema=SCHEMA)
    await hub.drain("task.posted", "task.more", "worker.free")
    await hub.answer(task_id, output)
    await hub.drain()
    return task_id


async def soon(hub: Hub) -> None:
    """What was set to ring within the next minute rings."""
    async with hub.work.begin("test.soon") as tx:
        await tx.session.execute(text("UPDATE outbox SET due_at = created_at WHERE topic = 'gold.offer'"))
    await hub.drain()


async def gold_turns(hub: Hub) -> list[tuple[Assignment, Task]]:
    async with hub.work.read() as session:
        found = await session.execute(
            select(Assignment, Task)
            .join(Task, Task.id == Assignment.task_id)
            .where(Task.organisation_id == GOLD_ORGANISATION)
            .order_by(Assignment.id)
        )
        return [(row[0], row[1]) for row in found.all()]


async def test_gold_looks_like_any_other_is_paid_and_tells_of_the_worker(work: UnitOfWork) -> None:
    hub, organisation, [ana] = await seeded(work)
    real_id = await real(hub, organisation)
    await soon(hub)
    [(turn, task)] = await gold_turns(hub)
    like = await hub.task(real_id)
    [real_turn] = await hub.assignments(real_id)
    for name in ("task_type", "risk_tier", "sla_seconds", "payout_amount", "payout_currency", "skills"):
        assert getattr(task, name) == getattr(like, name)
    assert (turn.kind, turn.slot, turn.worker_id) == (real_turn.kind, real_turn.slot, ana)
    assert len(task.id) == len(like.id)
    await hub.accept(turn)
    await hub.submit(turn, NO)
    await hub.drain()
    assert (await hub.task(task.id)).status == "verified"  # right or wrong, it is paid
    async with work.read() as session:
        assert not await check(session)
    async with work.read() as session:
        payouts = await session.scalars(select(Payout.amount_msat).where(Payout.task_id == task.id))
        assert list(payouts) == [PAYOUT_MSAT]
        [exposure] = await session.scalars(select(GoldExposure))
        assert (exposure.state, exposure.worker_id, exposure.right_share) == ("judged", ana, 0.0)
        record = (await of_type(session, "triage", [ana]))[ana]
        assert (record.gold_seen, record.gold_right) == (1, 0)
        [missed] = await gold_items.missed(session, ana, hub.types.checks.gold)
        assert (missed.given, missed.known) == (NO, YES)
    await real(hub, organisation)
    await soon(hub)
    assert len(await gold_turns(hub)) == 1  # never the same item twice


async def test_gold_is_judged_as_late_as_what_the_worker_answered_before(work: UnitOfWork) -> None:
    """Where real answers wait for others, or a reviewer, gold does not stand out by being accepted at once."""
    hub, organisation, [ana] = await seeded(work)
    real_id = await real(hub, organisation)
    async with work.begin("test.wait") as tx:  # it was accepted five minutes after it came
        await tx.execute(f"UPDATE assignments SET ended_at = ended_at + 300000 WHERE task_id = '{real_id}'")
    await soon(hub)
    [(turn, task)] = await gold_turns(hub)
    await hub.accept(turn)
    await hub.submit(turn, YES)
    await hub.drain()
    assert (await hub.task(task.id)).status == "submitted"
    async with work.read() as session:
        statement = select(OutboxRow.due_at, Submission.created_at).join(
            Submission, Submission.id == OutboxRow.subject
        )
        [(due, came)] = await session.execute(
            statement.where(OutboxRow.topic == "submission.received", Submission.task_id == task.id)
        )
    assert 225 <= (due - came).total_seconds() <= 376
    await hub.pass_time(380)
    await hub.drain()
    assert (await hub.task(task.id)).status == "verified"
    async with work.read() as session:
        [exposure] = await session.scalars(select(GoldExposure))
        assert (exposure.worker_id, exposure.right_share) == (ana, 1.0)


async def test_gold_reaches_a_worker_whose_hands_are_always_full(work: UnitOfWork) -> None:
    """It takes the place that an answer frees, in the same transaction: no waiting question can be faster."""
    hub, organisation, [ana] = await seeded(work)
    async with work.begin("test.capacity") as tx:
        await tx.session.execute(text("UPDATE workers SET capacity = 1"))
        tasks = [await a_task(tx, organisation, output_schema=SCHEMA) for _ in range(3)]
    await hub.drain()
    for number in range(2):
        await hub.answer(tasks[number], YES)
        assert len(await gold_turns(hub)) == number  # the second answer's hand is filled before anybody looks
        await hub.drain("worker.free", "task.posted", "submission.received")
        await soon(hub)
    [(turn, task)] = await gold_turns(hub)
    assert (turn.worker_id, turn.state, task.status) == (ana, "offered", "assigned")
    assert (await hub.task(tasks[2])).status == "posted"
    worker = await hub.worker(ana)
    assert worker.load == 1
    await hub.accept(turn)
    await hub.submit(turn, YES)
    await hub.drain()
    assert (await hub.task(tasks[2])).status == "assigned"


async def test_two_answers_at_once_are_given_what_is_owed_once(work: UnitOfWork) -> None:
    hub, organisation, [ana] = await seeded(work)
    like = await real(hub, organisation)
    async with work.begin("test.owed") as tx:
        await gold_items.add(
            tx, msgspec.structs.replace(ITEM, payload={"question": "Is ice cold?"}), hub.types, actor="test"
        )
        worker = await tx.session.get_one(Worker, ana)
        worker.capacity, worker.gold_owed = 3, {"like": like, "pick": 0}
    read = (
        asyncio.Barrier(2) if work.database.dialect == "postgresql" else None
    )  # SQLite has one writer at a time

    async def answered() -> Task | None:
        async with work.begin("test.answer") as tx:
            await tx.session.get_one(Worker, ana)
            if read is not None:
                await read.wait()
            return await gold.offer_owed(tx, ana, hub.types, hub.policy)

    found = await asyncio.gather(answered(), answered())
    assert sorted(task is None for task in found) == [False, True]
    assert len(await gold_turns(hub)) == 1
    assert (await hub.worker(ana)).gold_owed is None


async def test_a_dispute_that_is_upheld_undoes_the_evidence_and_retires_the_item(work: UnitOfWork) -> None:
    hub, organisation, [ana] = await seeded(work)
    await real(hub, organisation)
    await soon(hub)
    [(turn, _)] = await gold_turns(hub)
    await hub.accept(turn)
    await hub.submit(turn, NO)
    await hub.drain()
    async with work.read() as session:
        before = (await of_type(session, "triage", [ana]))[ana].bad
        [exposure] = await session.scalars(select(GoldExposure))
    async with work.begin("gold.dispute") as tx:
        review = await gold_items.dispute(tx, exposure.id, ana, "Ice is not", hub.types, PLANS)
        otto = await an_operator(tx)
    async with work.begin("reviews.decide") as tx:
        await rule(tx, review.id, otto, Ruling(upheld=True), hub.types, PLANS, None)
    async with work.read() as session:
        [item] = await session.scalars(select(GoldItem))
        assert item.state == "retired"
        [exposure] = await session.scalars(select(GoldExposure))
        assert exposure.state == "undone"
        assert (await of_type(session, "triage", [ana]))[ana].bad == pytest.approx(before - 1.0, abs=1e-9)
    async with work.begin("gold.dispute") as tx:  # a second word about it changes nothing
        assert (await gold_items.dispute(tx, exposure.id, ana, "again", hub.types, PLANS)).id == review.id


async def test_gold_that_is_let_go_is_asked_of_nobody_else(work: UnitOfWork) -> None:
    hub, organisation, [_, _] = await seeded(work, workers=2, address=None)
    await real(hub, organisation)
    await soon(hub)
    [(turn, task)] = await gold_turns(hub)
    async with work.begin("routing.decline") as tx:
        await actions.decline(tx, turn.id, turn.worker_id)
    await hub.drain()
    assert (await hub.task(task.id)).status == "cancelled"
    assert len(await gold_turns(hub)) == 1
    async with work.read() as session:
        assert not await check(session)


async def test_two_accounts_of_one_person_never_see_the_same_item(work: UnitOfWork) -> None:
    hub, organisation, people = await seeded(work, workers=2, address="one@example.test")
    await real(hub, organisation)
    await soon(hub)
    [(turn, _)] = await gold_turns(hub)
    async with work.begin("test.swap") as tx:  # now the other account answers
        await tx.session.execute(
            text("UPDATE workers SET available = :no WHERE id = :worker"),
            {"no": False, "worker": turn.worker_id},
        )
    await real(hub, organisation)
    await soon(hub)
    assert {one.worker_id for one, _ in await gold_turns(hub)} == {turn.worker_id}
    assert len(people) == 2


async def test_a_dispute_needs_something_to_dispute(work: UnitOfWork) -> None:
    hub, organisation, [ana] = await seeded(work)
    await real(hub, organisation)
    await soon(hub)
    [(turn, _)] = await gold_turns(hub)
    await hub.accept(turn)
    await hub.submit(turn, YES)
    await hub.drain()
    async with work.read() as session:
        [exposure] = await session.scalars(select(GoldExposure))
        assert exposure.right_share == 1.0
    with pytest.raises(Conflict):
        async with work.begin("gold.dispute") as tx:
            await gold_items.dispute(tx, exposure.id, ana, "", hub.types, PLANS)
