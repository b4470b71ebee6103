"""Whom the directory chooses, on both databases: the claim asks the database all the same, and nobody is an answer with its
reason."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from core import clock
from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.outbox import rows
from core.outbox.rows import Lease
from core.outbox.tables import OutboxRow
from core.routing import actions, decisions
from core.routing.directory.follow import Follower
from core.routing.directory.registry import followers
from core.routing.model import Policy, Weights
from core.workers import actions as workers
from core.workers.tables import Worker
from tests.conftest import new_postgres_database
from tests.factories_routing import Hub, a_task, a_worker, an_organisation

SKILLS = ("german", "law", "medicine")


async def test_who_is_full_in_the_database_is_not_given_more_whatever_the_directory_says(
    work: UnitOfWork, follower: Follower
) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        best, paused, other = [await a_worker(tx, reliability=r) for r in (0.9, 0.8, 0.5)]
        task_id = await a_task(tx, organisation)
    await follower.catch_up()
    async with work.begin("test.change") as tx:  # which the directory has not seen
        (await tx.session.get_one(Worker, best)).load = 1
        await workers.pause(tx, paused, actor="hub")
    await hub.drain("task.posted")
    [turn] = await hub.assignments(task_id)
    assert turn.worker_id == other
    async with work.read() as session:
        [(row, decision)] = await decisions.of_task(session, task_id)
    assert (row.assignment_id, decision.source) == (turn.id, "directory")
    assert decision.candidates[-1].worker_id == other


async def test_somebody_who_came_a_moment_ago_is_found(work: UnitOfWork, follower: Follower) -> None:
    """Nobody is said only after a look at what was committed by then."""
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        task_id = await a_task(tx, organisation)
        worker_id = await a_worker(tx)
    assert follower.directory is not None
    assert len(follower.directory) == 0
    await hub.drain("task.posted")
    assert [one.worker_id for one in await hub.assignments(task_id)] == [worker_id]


async def test_who_comes_after_the_last_look_is_found_by_the_job_that_announces_them(
    work: UnitOfWork, follower: Follower
) -> None:
    """A task that stood there at that look is not looked for again: whoever is free since then has announced it."""
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        early = await a_task(tx, organisation)
    await follower.catch_up()
    async with work.begin("test.later") as tx:
        worker_id = await a_worker(tx, capacity=2)
    async with work.begin("test.last") as tx:
        late = await a_task(tx, organisation)
    looks_again = work.database.dialect == "sqlite"
    [first, second] = [await _leased(work, task_id) for task_id in (early, late)]
    await actions.offer_posted(work, first, hub.types, hub.policy)
    assert (await hub.task(early)).status == ("assigned" if looks_again else "posted")
    await hub.drain("worker.free")
    await actions.offer_posted(work, second, hub.types, hub.policy)
    for task_id in (early, late):
        assert [one.worker_id for one in await hub.assignments(task_id)] == [worker_id]


async def _leased(work: UnitOfWork, task_id: str) -> Lease:
    async with work.begin("test.lease") as tx:
        wanted = select(OutboxRow.id).where(OutboxRow.subject == task_id, OutboxRow.topic == "task.posted")
        lease = await rows.lease(tx, (await tx.session.scalars(wanted)).one())
    assert lease is not None
    return lease


async def test_many_at_once_for_few_hands_with_a_directory(work: UnitOfWork, follower: Follower) -> None:
    """Sixteen jobs of one process, each of which sees the same best: five are given, nobody holds too much."""
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        capacity = {await a_worker(tx, capacity=size): size for size in (1, 1, 3)}
        task_ids = [await a_task(tx, organisation) for _ in range(16)]
    leases: list[Lease] = []
    async with work.begin("test.lease") as tx:
        for job_id in await rows.due(tx, "default"):
            lease = await rows.lease(tx, job_id)
            if lease is not None and lease.topic == "task.posted":
                leases.append(lease)
    assert len(leases) == 16
    await follower.catch_up()
    await asyncio.gather(*(actions.offer_posted(work, one, hub.types, hub.policy) for one in leases))
    given = [await hub.assignments(task_id) for task_id in task_ids]
    assert sorted(map(len, given)) == [0] * 11 + [1] * 5
    assert {worker_id: (await hub.worker(worker_id)).load for worker_id in capacity} == capacity
    assert follower.is_asking is False


@pytest.mark.parametrize("with_directory", [True, False])
async def test_nobody_and_why(work: UnitOfWork, follower: Follower, with_directory: bool) -> None:
    if not with_directory:
        followers.pop(work.database)
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        for tier, skills in ((0, {"law"}), (1, {"law"}), (4, set[str]()), (4, {"law"})):
            await a_worker(
                tx, tier=tier, skills=frozenset(skills), capacity=1, available=tier < 4 or not skills
            )
        task_id = await a_task(tx, organisation, skills=["law"], risk_tier="high")
    await hub.drain("task.posted")
    await hub.pass_time(31)
    await hub.drain("task.posted")
    async with work.read() as session:
        [(row, decision)] = await decisions.of_task(session, task_id)
    assert (row.assignment_id, row.kind, row.times >= 2) == (None, "primary", True)
    assert decision.falls == {"unavailable": 1, "skills": 1, "tier": 2}
    assert decision.binds == "tier"
    assert decision.without == {"unavailable": 1, "skills": 1, "tier": 2}
    assert (decision.candidates, decision.able, decision.total) == ([], 0, 4)
    assert (await hub.task(task_id)).status == "posted"


async def test_both_databases_choose_the_same(
    tmp_path: Path, sqlite_template: Path, postgres_server: str, postgres_template: str
) -> None:
    """Ninety people, forty tasks, one after the other: the same people in the same order, with a directory."""
    shutil.copy(sqlite_template, tmp_path / "hub.db")
    urls = [f"sqlite:///{tmp_path}/hub.db", await new_postgres_database(postgres_server, postgres_template)]
    chosen = [await _choices(url) for url in urls]
    assert chosen[0] == chosen[1]
    assert len(set(chosen[0])) > 10


async def _choices(url: str) -> list[str | None]:
    database = Database(url)
    work, chance = UnitOfWork(database), random.Random(11)
    hub = Hub(work, policy=Policy(weights=Weights(exploration=0)))  # a draw by ids, which differ
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        rows: list[Worker] = []
        for _ in range(90):
            worker_id = await a_worker(
                tx,
                reliability=chance.randrange(400, 990) / 1000,
                tier=chance.randrange(4),
                skills=frozenset(chance.sample(SKILLS, 2)),
                price_floor_msat=chance.randrange(900_000),
                capacity=chance.randint(1, 2),
            )
            row = await tx.session.get_one(Worker, worker_id)
            row.idle_since = clock.from_ms(clock.now_ms() - 7_200_000)
            row.usual_seconds, row.answers = chance.choice([None, 40, 400, 4000]), chance.randrange(50)
            rows.append(row)
        tasks = [
            await a_task(
                tx, organisation, id=f"task-{number:03}", skills=chance.sample(SKILLS, 1), sla_seconds=600_000
            )
            for number in range(40)
        ]
        numbers = {row.id: str(number) for number, row in enumerate(rows)}
    follower = Follower(work)
    await follower.rebuild()
    followers[database] = follower
    chosen: list[str | None] = []
    await hub.drain("task.posted")
    for task_id in tasks:
        turns = await hub.assignments(task_id)
        chosen.append(numbers[turns[0].worker_id] if turns else None)
    followers.pop(database)
    await database.close()
    return chosen
