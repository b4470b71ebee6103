"""The jobs around several answers and gold are idempotent on both databases: the same job in two hands does its work once,
and a second job of the same kind beside it adds nothing."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from core.db.unit_of_work import UnitOfWork
from core.errors import LeaseLost
from core.ledger.check import check
from core.outbox import rows
from core.outbox.rows import Lease
from core.payouts.tables import Payout
from core.routing.tables import Assignment
from core.verification.tables import DecisionRow, GoldExposure, GoldItem
from tests.factories_routing import Hub, a_worker
from tests.integration.verification import test_gold, test_several_answers
from tests.integration.verification.test_several_answers import YES, give, seeded, three


async def leases(hub: Hub, topic: str, subject: str, copies: int = 1) -> list[Lease]:
    """The waiting jobs of that topic, taken; with further ones of the same kind as another transaction would emit."""
    async with hub.work.begin("test.copies") as tx:
        for _ in range(copies - 1):
            tx.emit(topic, subject)
    async with hub.work.begin("test.leases") as tx:
        found = [await rows.lease(tx, job) for job in await rows.due(tx, "default")]
    return [one for one in found if one is not None and one.topic == topic]


async def in_two_hands(hub: Hub, taken: list[Lease]) -> None:
    """Every job is run by two at once, all of them side by side: of the two, one does it and one finds it done."""
    ends = await asyncio.gather(*(hub.handle(lease) for lease in [*taken, *taken]), return_exceptions=True)
    lost = [end for end in ends if isinstance(end, LeaseLost)]
    assert [end for end in ends if end is not None and end not in lost] == []
    assert len(lost) == len(taken)


async def test_further_people_are_asked_once(work: UnitOfWork) -> None:
    hub, _, task_id, people = await seeded(work, three(least=3), workers=2, most=3)
    async with work.begin("test.worker") as tx:
        people += [await a_worker(tx) for _ in range(3)]
    async with work.begin("test.more") as tx:
        tx.emit("task.more", task_id)
    await in_two_hands(hub, await leases(hub, "task.more", task_id, copies=3))
    turns = await hub.assignments(task_id)
    assert len({turn.worker_id for turn in turns}) == len(turns) == 3
    assert sorted(turn.slot for turn in turns) == [0, 1, 2]


async def test_the_end_is_decided_once(work: UnitOfWork) -> None:
    hub, _, task_id, [only] = await seeded(work, three(), workers=1, most=3)
    await give(hub, task_id, only, YES)
    await hub.drain()
    await hub.pass_time(1300)
    await hub.drain("task.hard_stop")
    taken = await leases(hub, "task.decide", task_id, copies=3)
    assert len(taken) >= 3
    await in_two_hands(hub, taken)
    assert (await hub.task(task_id)).status == "verified"
    assert list(await test_several_answers.paid(work, task_id)) == [only]
    async with work.read() as session:
        decisions = await session.scalars(select(DecisionRow.decision).where(DecisionRow.task_id == task_id))
        assert sum('"step":"verified"' in one for one in decisions) == 1


@pytest.mark.parametrize("workers", [1, 2])
async def test_gold_is_asked_once(work: UnitOfWork, workers: int) -> None:
    """Also of two people at once, who may both see the item."""
    hub, organisation, people = await test_gold.seeded(work, workers=workers)
    for _ in people:
        await test_gold.real(hub, organisation)
    async with work.begin("test.soon") as tx:
        await tx.execute("UPDATE outbox SET due_at = created_at WHERE topic = 'gold.offer'")
    taken = await leases(hub, "gold.offer", people[0])
    await in_two_hands(hub, taken)
    async with work.read() as session:
        asked = list(await session.scalars(select(GoldExposure.worker_id)))
        item = (await session.scalars(select(GoldItem))).one()
        turns = await session.scalars(
            select(Assignment.worker_id).join(GoldExposure, GoldExposure.task_id == Assignment.task_id)
        )
        assert sorted(asked) == sorted(turns.all()) == sorted({lease.subject for lease in taken})
        assert item.exposures == len(asked) > 0
        assert item.state == ("retired" if item.exposures == item.most_exposures else "active")
        assert len(list(await session.scalars(select(Payout.id)))) == len(people)
    async with work.read() as session:
        assert not await check(session)
