"""Many at once, on both databases: no slot has two holders, nobody has too much in hand, and whoever loses leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select

from core import clock, ids
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import Conflict, NotFound
from core.outbox import rows
from core.outbox.rows import Lease
from core.outbox.tables import OutboxRow
from core.routing import actions, endings
from core.routing.assignments import claim
from core.routing.tables import Assignment
from core.workers import actions as actions_of_workers
from tests.factories_routing import Hub, a_task, a_worker, an_organisation


async def test_many_who_are_free_at_once_get_what_waits_and_all_of_their_jobs_end(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        worker_ids = [await a_worker(tx, available=False) for _ in range(6)]
        task_ids = [await a_task(tx, organisation) for _ in range(6)]
    await hub.drain("task.posted")
    leases: list[Lease] = []
    for worker_id in worker_ids:
        async with work.begin("test.resume") as tx:
            await actions_of_workers.resume(tx, worker_id, actor=f"person:{worker_id}")
    async with work.begin("test.lease") as tx:
        wanted = select(OutboxRow.id).where(OutboxRow.topic == "worker.free", OutboxRow.state == "pending")
        for job_id in await tx.session.scalars(wanted):
            lease = await rows.lease(tx, job_id)
            assert lease is not None
            leases.append(lease)
    assert len(leases) == 6
    counts = await asyncio.gather(
        *(actions.offer_waiting(work, lease, hub.types, hub.policy) for lease in leases)
    )
    assert sum(counts) == 6
    assert {(await hub.task(task_id)).status for task_id in task_ids} == {"assigned"}
    async with work.read() as session:
        states = await session.scalars(select(OutboxRow.state).where(OutboxRow.topic == "worker.free"))
        assert set(states) == {"done"}


async def test_sixteen_offers_race_for_few_hands(work: UnitOfWork) -> None:
    """Three workers with five hands between them, sixteen tasks at once: five are given, nobody gets too much."""
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        capacity = {await a_worker(tx, capacity=size): size for size in (1, 1, 3)}
        task_ids = [await a_task(tx, organisation) for _ in range(16)]

    async def offer(task_id: str) -> bool:
        async with work.begin("routing.offer") as tx:
            return await actions.offer(tx, task_id, hub.types, hub.policy) is not None

    given = await asyncio.gather(*(offer(task_id) for task_id in task_ids))
    assert sum(given) == 5
    assert {worker_id: (await hub.worker(worker_id)).load for worker_id in capacity} == capacity
    for task_id, has in zip(task_ids, given, strict=True):
        assert len(await hub.assignments(task_id)) == int(has)
        assert (await hub.task(task_id)).status == ("assigned" if has else "posted")


async def test_the_same_task_offered_by_sixteen_at_once_is_offered_once(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        workers = [await a_worker(tx, capacity=3) for _ in range(3)]
        task_id = await a_task(tx, organisation)

    async def offer() -> bool:
        async with work.begin("routing.offer") as tx:
            return await actions.offer(tx, task_id, hub.types, hub.policy) is not None

    assert sum(await asyncio.gather(*(offer() for _ in range(16)))) == 1
    assert sum([(await hub.worker(worker_id)).load for worker_id in workers]) == 1


async def test_offers_and_endings_that_cross_do_not_wait_in_a_ring(work: UnitOfWork) -> None:
    """Tasks end, which frees workers, while others are offered to the same workers and workers decline."""
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        workers = [await a_worker(tx, capacity=3) for _ in range(4)]
        task_ids = [await a_task(tx, organisation) for _ in range(12)]
    await hub.drain("task.posted")
    held = [one for task_id in task_ids for one in await hub.assignments(task_id)]
    assert len(held) == 12
    async with work.begin("test.seed") as tx:
        more = [await a_task(tx, organisation) for _ in range(6)]

    async def cancel(task_id: str) -> None:
        async with work.begin("tasks.cancel") as tx:
            await endings.cancel(tx, await actions.task_for_update(tx, task_id), "hub")

    async def decline(number: int) -> None:
        async with work.begin("routing.decline") as tx:
            await actions.decline(tx, held[number].id, held[number].worker_id)

    async def offer(task_id: str) -> None:
        async with work.begin("routing.offer") as tx:
            await actions.offer(tx, task_id, hub.types, hub.policy)

    await asyncio.gather(
        *(cancel(one.task_id) for one in held[:6]),
        *(decline(number) for number in range(6, 12)),
        *(offer(task_id) for task_id in more),
    )
    live = [
        one
        for task_id in (*task_ids, *more)
        for one in await hub.assignments(task_id)
        if one.state == "offered"
    ]
    for worker_id in workers:
        assert (await hub.worker(worker_id)).load == len([a for a in live if a.worker_id == worker_id])


async def test_two_accept_at_once_and_twice_is_once(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        worker_id, stranger = await a_worker(tx), await a_worker(tx, available=False)
        task_id = await a_task(tx, organisation)
    await hub.drain()
    [offered] = await hub.assignments(task_id)

    async def accept(who: str) -> object:
        async with work.begin("routing.accept") as tx:
            return (await actions.accept(tx, offered.id, who)).state

    with pytest.raises(NotFound):
        await accept(stranger)
    assert await asyncio.gather(*(accept(worker_id) for _ in range(4))) == ["accepted"] * 4
    assert (await hub.worker(worker_id)).load == 1
    [assignment] = await hub.assignments(task_id)
    assert assignment.accepted_at is not None


async def test_accept_and_decline_race_has_one_winner(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        worker_id = await a_worker(tx)
        task_id = await a_task(tx, organisation)
    await hub.drain()
    [offered] = await hub.assignments(task_id)

    async def act(deed: Callable[[Transaction, str, str], Awaitable[Assignment]]) -> str:
        async with work.begin("routing.deed") as tx:
            try:
                return (await deed(tx, offered.id, worker_id)).state
            except Conflict as error:
                return error.code

    outcome = sorted(await asyncio.gather(act(actions.accept), act(actions.decline)))
    assert outcome in (["accepted", "wrong_state"], ["declined", "wrong_state"])
    assert (await hub.worker(worker_id)).load == (1 if "accepted" in outcome else 0)


async def test_a_claim_that_is_lost_leaves_nothing_and_the_transaction_goes_on(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        paused, full, good = (
            await a_worker(tx, available=False),
            await a_worker(tx, capacity=0),
            await a_worker(tx, capacity=2),
        )
        task_id, other_id = await a_task(tx, organisation), await a_task(tx, organisation)
        now = clock.now()

        def turn(task: str, worker: str, slot: int) -> Assignment:
            return Assignment(
                id=ids.new("asg"), task_id=task, worker_id=worker, slot=slot, kind="primary", state="offered",
                score=0.0, offered_at=now, expires_at=now, due_at=now,
            )  # fmt: skip

        assert not await claim(tx, turn(task_id, paused, 0))
        assert not await claim(tx, turn(task_id, full, 0))
        assert await claim(tx, turn(task_id, good, 0))
        assert not await claim(tx, turn(task_id, good, 1))  # had it
        assert await claim(tx, turn(other_id, good, 0))
    hub = Hub(work)
    assert len(await hub.assignments(task_id)) == len(await hub.assignments(other_id)) == 1
    assert [(await hub.worker(w)).load for w in (paused, full, good)] == [0, 0, 2]
    async with work.begin("test.slot") as tx:
        late = await a_worker(tx)
        assert not await claim(tx, turn(task_id, late, 0))  # the slot is taken
    assert (await hub.worker(late)).load == 0
