"""What becomes of the work of somebody who is suspended; on both databases."""

from __future__ import annotations

import pytest

from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict
from core.workers import suspensions
from core.workers.actions import resume
from tests.factories_routing import Hub, a_task, a_worker, an_organisation

ANSWER = {"answer": "yes"}


async def test_offers_go_to_somebody_else_and_what_is_in_hand_is_finished(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        worker_id = await a_worker(tx, capacity=3)
        tasks = [await a_task(tx, organisation) for _ in range(3)]
    await hub.drain("task.posted")
    in_hand, offered, late = [(await hub.assignments(one))[0] for one in tasks]
    await hub.accept(in_hand)
    async with work.begin("operator.worker") as tx:
        await suspensions.suspend(tx, worker_id, "Two accounts", actor="person:op")
        other = await a_worker(tx, capacity=3)
    with pytest.raises(Conflict) as refused:  # before the job has run
        await hub.accept(offered)
    assert refused.value.code == "suspended"
    await hub.drain("worker.suspended", "task.posted")
    states = [
        [(one.worker_id, one.state, one.reason) for one in await hub.assignments(task_id)]
        for task_id in tasks
    ]
    lost = (worker_id, "lapsed", "suspended")
    assert states == [
        [(worker_id, "accepted", None)],
        [lost, (other, "offered", None)],
        [lost, (other, "offered", None)],
    ]
    suspended = await hub.worker(worker_id)
    assert (suspended.load, suspended.offers_missed) == (1, 0)  # it was not they who let it run out
    await hub.submit(in_hand, ANSWER)
    assert (await hub.worker(worker_id)).load == 0
    assert (await hub.assignments(late.task_id))[0].ended_at is not None


async def test_a_suspension_that_was_lifted_at_once_takes_nothing_away(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx)
        task_id = await a_task(tx, await an_organisation(tx))
    await hub.drain("task.posted")
    async with work.begin("operator.worker") as tx:
        await suspensions.suspend(tx, worker_id, "Somebody else was meant", actor="person:op")
    async with work.begin("operator.worker") as tx:
        await suspensions.lift(tx, worker_id, actor="person:op")
    await hub.drain("worker.suspended")
    [turn] = await hub.assignments(task_id)
    await hub.accept(turn)
    async with work.begin("workers.resume") as tx:
        assert (await resume(tx, worker_id, actor="x")).available
