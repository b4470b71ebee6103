"""Claiming from the queue, one extension, and saying no too often, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from core import clock
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict, HubError, NotFound
from core.routing import actions, pull, refusing
from core.routing.extend import extend
from core.routing.states import AssignmentState
from core.tasks.model import Environment
from core.tasks.states import TaskStatus
from core.workers import availability
from core.workers.tables import Worker
from tests.factories_routing import Hub, a_task, a_type, a_worker, an_organisation


async def test_the_queue_shows_what_somebody_may_take_and_nothing_else(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        owner = await an_organisation(tx)
        worker_id = await a_worker(tx, skills=frozenset({"law"}), price_floor_msat=500_000, capacity=3)
        mine = [await a_task(tx, owner, age=60 - n, skills=["law"]) for n in range(5)]
        await a_task(tx, owner, skills=["music"])
        await a_task(tx, owner, payout_msat=400_000)
        await a_task(tx, owner, funded=False)
    seen: list[str] = []
    after: str | None = None
    async with work.read() as session:
        for _ in range(4):
            page = await pull.browse(session, worker_id, hub.types, hub.policy, after=after, limit=2)
            seen += [task.id for task in page.tasks]
            if (after := page.after) is None:
                break
    assert seen == mine
    with pytest.raises(HubError, match="cursor"):
        async with work.read() as session:
            await pull.browse(session, worker_id, hub.types, hub.policy, after="x")


async def test_who_takes_a_task_has_it_at_once_and_only_once(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        owner = await an_organisation(tx)
        workers = [await a_worker(tx) for _ in range(4)]
        task_id = await a_task(tx, owner)

    async def take(worker_id: str) -> str:
        try:
            async with work.begin("routing.take") as tx:
                return (await pull.take(tx, task_id, worker_id, hub.types, hub.policy)).state
        except Conflict as error:
            return error.code

    assert sorted(await asyncio.gather(*(take(one) for one in workers))) == ["accepted"] + ["task_gone"] * 3
    [winner] = [one for one in workers if await take(one) == "accepted"]  # twice is once
    async with work.read() as session:
        assert (await session.get_one(Worker, winner)).load == 1
    assert (await hub.task(task_id)).status == TaskStatus.ASSIGNED


async def test_why_a_task_is_not_for_somebody(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        owner = await an_organisation(tx)
        worker_id = await a_worker(tx)
        real = await a_worker(tx, environment=Environment.LIVE)
        task_id = await a_task(tx, owner, skills=["law"])
        other = await a_task(tx, owner)
        third = await a_task(tx, owner)
    with pytest.raises(Conflict) as refused:
        async with work.begin("routing.take") as tx:
            await pull.take(tx, task_id, worker_id, hub.types, hub.policy)
    assert refused.value.facts == {"reasons": ["skills"]}
    with pytest.raises(NotFound):
        async with work.begin("routing.take") as tx:
            await pull.take(tx, task_id, real, hub.types, hub.policy)
    async with work.begin("routing.take") as tx:
        await pull.take(tx, other, worker_id, hub.types, hub.policy)
    with pytest.raises(Conflict, match="hands are full"):
        async with work.begin("routing.take") as tx:
            await pull.take(tx, third, worker_id, hub.types, hub.policy)


async def test_one_extension_moves_the_deadline_and_its_alarm(work: UnitOfWork) -> None:
    hub = Hub(work, a_type(hard_stop_factor=3))
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx)
        task_id = await a_task(tx, await an_organisation(tx), kind=a_type(hard_stop_factor=3))
    async with work.begin("routing.take") as tx:
        turn = await pull.take(tx, task_id, worker_id, hub.types, hub.policy)
    due = clock.to_ms(turn.due_at)
    async with work.begin("routing.extend") as tx:
        later = await extend(tx, turn.id, worker_id)
        [alarm] = [job for job in tx.jobs if job.topic == "task.at_100"]
    assert clock.to_ms(later.due_at) == due + 300_000
    assert later.extended_from == clock.from_ms(due)
    assert alarm.subject == task_id
    async with work.begin("routing.extend") as tx:
        again = await extend(tx, turn.id, worker_id)
        assert tx.jobs == []
    assert clock.to_ms(again.due_at) == due + 300_000
    with pytest.raises(NotFound):
        async with work.begin("routing.extend") as tx:
            await extend(tx, turn.id, "per_other")


async def test_three_refusals_in_a_row_pause_and_a_yes_between_them_does_not(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        owner = await an_organisation(tx)
        worker_id = await a_worker(tx, capacity=9)

    async def offered() -> str:
        async with work.begin("test.task") as tx:
            task_id = await a_task(tx, owner)
        await hub.drain("task.posted")
        async with work.read() as session:
            from core.routing import queries

            return next(
                one.assignment.id
                for one in await queries.offers(session, worker_id)
                if one.task.id == task_id
            )

    said: list[bool] = []
    for word in ("no", "no", "yes", "no", "no", "no"):
        assignment_id = await offered()
        if word == "yes":
            async with work.begin("routing.accept") as tx:
                await actions.accept(tx, assignment_id, worker_id)
                await availability.accepted(tx, worker_id)
            continue
        for _ in range(2):  # declining twice counts once
            async with work.begin("routing.decline") as tx:
                found, paused = await refusing.decline(tx, assignment_id, worker_id, 3)
                assert found.state == AssignmentState.DECLINED
                said.append(paused)
    assert said == [False] * 8 + [True, False]
    async with work.read() as session:
        assert not (await session.get_one(Worker, worker_id)).available
