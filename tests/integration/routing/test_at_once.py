"""The offer in three statements (PostgreSQL): it writes what the long way writes, and gives way whenever anybody was
quicker."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, text

from core import clock, ids
from core.callbacks.tables import CallbackEndpoint
from core.db.unit_of_work import UnitOfWork
from core.errors import LeaseLost
from core.outbox import rows
from core.outbox.rows import Lease
from core.outbox.tables import OutboxRow
from core.routing import actions
from core.routing.at_once import offer_at_once
from core.tasks.tables import TaskEvent
from tests.conftest import new_postgres_database
from tests.factories_routing import Hub, a_task, a_worker, an_organisation


@pytest.fixture
async def database_url(postgres_server: str, postgres_template: str) -> str:
    """On SQLite there is the long way alone."""
    return await new_postgres_database(postgres_server, postgres_template)


async def leased(work: UnitOfWork, task_id: str) -> Lease:
    """A job `task.posted` of the task, in hand."""
    async with work.begin("test.lease") as tx:
        wanted = select(OutboxRow.id).where(
            OutboxRow.subject == task_id, OutboxRow.topic == "task.posted", OutboxRow.state == "pending"
        )
        job_id = (await tx.session.scalars(wanted.limit(1))).one()
        lease = await rows.lease(tx, job_id)
    assert lease is not None
    return lease


async def written(work: UnitOfWork, task_id: str) -> dict[str, Any]:
    """All that an offer leaves behind, without ids and times."""
    async with work.read() as session:
        [event] = await session.scalars(select(TaskEvent).where(TaskEvent.task_id == task_id))
        jobs = list(await session.scalars(select(OutboxRow).where(OutboxRow.topic != "task.posted")))
        task = await Hub(work).task(task_id)
        [turn] = await Hub(work).assignments(task_id)
    shown = msgspec.json.decode(event.snapshot)
    own = ("id", "idempotencyKey", "createdAt", "updatedAt", "expiresAt")
    assert [shown.pop(name) for name in own] == [
        task.id,
        task.idempotency_key,
        *(clock.iso(at) for at in (task.created_at, task.updated_at, task.expires_at)),
    ]
    start = task.created_at
    return {
        "event": (event.version, event.type, event.actor, shown, event.created_at == task.updated_at),
        "task": (task.status, task.version, task.updated_at == turn.offered_at),
        "turn": (turn.slot, turn.kind, turn.state, turn.expires_at - turn.offered_at, turn.due_at - start),
        "jobs": sorted(
            (job.topic, (job.key or "").replace(task_id, ""), job.state)
            for job in jobs
            if job.subject in (task_id, turn.id, event.id)
        ),
    }


@pytest.mark.parametrize("listens", [False, True])
async def test_it_writes_what_the_long_way_writes(work: UnitOfWork, listens: bool) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        await a_worker(tx, capacity=2)
        if listens:
            tx.session.add(
                CallbackEndpoint(
                    id=ids.new("wh"),
                    organisation_id=organisation,
                    environment="test",
                    url="https://asker.example/hook",
                    description="",
                    events=[],
                    secret="sealed",
                    created_at=clock.now(),
                )
            )
        one, other = await a_task(tx, organisation), await a_task(tx, organisation)
    lease = await leased(work, one)
    assert await offer_at_once(work, lease, hub.types, hub.policy)
    async with work.finishing(await leased(work, other), "routing.offer") as tx:
        assert await actions.offer(tx, other, hub.types, hub.policy) is not None
    short, long = await written(work, one), await written(work, other)
    assert short == long
    assert ("task.event", "", "pending") in short["jobs"] or not listens
    assert len(short["jobs"]) == (5 if listens else 4)
    async with work.read() as session:
        job = await session.get_one(OutboxRow, lease.id)
        assert (job.state, job.lease_until) == ("done", None)


async def test_many_at_once_for_few_hands(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        capacity = {await a_worker(tx, capacity=size): size for size in (1, 1, 3)}
        task_ids = [await a_task(tx, organisation) for _ in range(16)]
    leases = [await leased(work, task_id) for task_id in task_ids]
    await asyncio.gather(*(actions.offer_posted(work, one, hub.types, hub.policy) for one in leases))
    turns = [await hub.assignments(task_id) for task_id in task_ids]
    assert sorted(map(len, turns)) == [0] * 11 + [1] * 5
    assert {worker_id: (await hub.worker(worker_id)).load for worker_id in capacity} == capacity
    for task_id, given in zip(task_ids, turns, strict=True):
        assert (await hub.task(task_id)).status == ("assigned" if given else "posted")


async def test_the_best_has_it_and_the_next_while_the_better_are_held(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        # made dearest first, and further apart than the draw that equals take turns by
        dear, middle, cheap = [
            await a_worker(tx, capacity=2, price_floor_msat=msat) for msat in (900_000, 450_000, 0)
        ]
        task_ids = [await a_task(tx, organisation) for _ in range(3)]
    leases = [await leased(work, task_id) for task_id in task_ids]
    given: list[str] = []
    for held, task_id, lease in zip([[], [cheap], [cheap, middle]], task_ids, leases, strict=True):
        async with work.read() as session:
            sql = text("SELECT 1 FROM workers WHERE id = ANY(:held) FOR UPDATE")
            await session.execute(sql, {"held": held})
            assert await offer_at_once(work, lease, hub.types, hub.policy)
        given += [turn.worker_id for turn in await hub.assignments(task_id)]
    assert given == [cheap, middle, dear]


async def test_the_same_task_by_many_jobs_is_offered_once(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        workers = [await a_worker(tx, capacity=3) for _ in range(3)]
        task_id = await a_task(tx, organisation)
        for _ in range(7):
            tx.emit("task.posted", task_id)
    leases = [await leased(work, task_id) for _ in range(8)]
    await asyncio.gather(*(actions.offer_posted(work, one, hub.types, hub.policy) for one in leases))
    assert len(await hub.assignments(task_id)) == 1
    assert sum([(await hub.worker(one)).load for one in workers]) == 1
    async with work.read() as session:
        states = await session.scalars(select(OutboxRow.state).where(OutboxRow.topic == "task.posted"))
        assert set(states) == {"done"}
        events = await session.scalars(select(TaskEvent.type).where(TaskEvent.task_id == task_id))
        assert list(events) == ["task.assigned"]


async def test_a_lost_lease_writes_nothing(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        worker_id = await a_worker(tx)
        task_id = await a_task(tx, organisation)
    lease = await leased(work, task_id)
    async with work.begin("test.later") as tx:
        await rows.later(tx, lease, delay=0, error=None)
    assert await leased(work, task_id) is not None
    assert not await offer_at_once(work, lease, hub.types, hub.policy)
    with pytest.raises(LeaseLost):
        await actions.offer_posted(work, lease, hub.types, hub.policy)
    assert await hub.assignments(task_id) == []
    assert (await hub.worker(worker_id)).load == 0
    assert (await hub.task(task_id)).status == "posted"


@pytest.mark.parametrize("task", [{"funded": False}, {"age": 1300}, {"skills": ["welsh"]}])
async def test_what_is_special_goes_the_long_way(work: UnitOfWork, task: dict[str, Any]) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        await a_worker(tx)
        task_id = await a_task(tx, organisation, **task)
    lease = await leased(work, task_id)
    assert not await offer_at_once(work, lease, hub.types, hub.policy)
    async with work.read() as session:
        assert (await session.get_one(OutboxRow, lease.id)).state == "leased"
    assert await hub.assignments(task_id) == []


async def test_many_together_are_written_like_one_alone(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        for _ in range(12):  # while one group holds four of them, the other finds eight
            await a_worker(tx, capacity=5)
        one, *others = [await a_task(tx, organisation) for _ in range(9)]
    assert await offer_at_once(work, await leased(work, one), hub.types, hub.policy)
    alone = await written(work, one)
    leases = [await leased(work, task_id) for task_id in others]
    assert all(await asyncio.gather(*(offer_at_once(work, lease, hub.types, hub.policy) for lease in leases)))
    assert [await written(work, task_id) for task_id in others] == [alone] * 8
    async with work.read() as session:
        [loads] = await session.execute(text("SELECT sum(load), max(load) FROM workers"))
        assert loads[0] == 9
        ended = await session.scalars(select(OutboxRow.state).where(OutboxRow.topic == "task.posted"))
        assert list(ended) == ["done"] * 9


async def test_together_each_has_an_answer_of_its_own(work: UnitOfWork) -> None:
    """Offered, nobody able, taken over by another process, ended meanwhile, refused by the database: whatever happens to one, its
    neighbours have what they asked for."""
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        for _ in range(8):
            await a_worker(tx, capacity=9)
        fine, other = await a_task(tx, organisation), await a_task(tx, organisation)
        lost, ended, broken = [await a_task(tx, organisation) for _ in range(3)]
    leases = {task_id: await leased(work, task_id) for task_id in (fine, other, lost, ended, broken)}
    async with work.begin("test.meanwhile") as tx:
        await rows.later(tx, leases[lost], delay=0, error=None)
        await tx.session.execute(text("UPDATE tasks SET status = 'cancelled' WHERE id = :id"), {"id": ended})
        check = f"ALTER TABLE assignments ADD CONSTRAINT ck_not_this CHECK (task_id <> '{broken}')"
        await tx.session.execute(text(check))
    found = await asyncio.gather(
        *(offer_at_once(work, lease, hub.types, hub.policy) for lease in leases.values())
    )
    assert found == [True, True, False, False, False]
    for task_id, status in ((fine, "assigned"), (other, "assigned"), (lost, "posted"), (broken, "posted")):
        assert (await hub.task(task_id)).status == status
    given = [len(await hub.assignments(task_id)) for task_id in leases]
    assert given == [1, 1, 0, 0, 0]
    async with work.read() as session:
        [load] = (await session.execute(text("SELECT sum(load) FROM workers"))).one()
        assert load == 2
        job = await session.get_one(OutboxRow, leases[broken].id)
        assert job.state == "leased"
