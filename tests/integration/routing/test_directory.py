"""The directory of workers on both databases: what it holds is what the database says, within a look; the claim asks the
database all the same; and nobody is an answer with its reason."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import select, text

from core import clock
from core.access.tables import Person
from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.outbox import rows
from core.outbox.rows import Lease
from core.outbox.tables import OutboxRow
from core.routing import actions, decisions
from core.routing.directory import follow
from core.routing.directory.bitmaps import Directory
from core.routing.directory.entry import Entry
from core.routing.directory.follow import Follower, following
from core.routing.directory.registry import followers
from core.routing.directory.select import count_free, feasible
from core.routing.directory.select import select as ask
from core.routing.eligible import falls_at, may_take
from core.routing.model import Candidate, Policy, Question, Weights
from core.routing.people import everybody
from core.routing.score import row_of
from core.routing.tables import OrganisationWorker, WorkerChange
from core.tasks.model import Environment
from core.workers import actions as workers
from core.workers.model import ProfileChange
from core.workers.tables import Worker
from tests.conftest import new_postgres_database
from tests.factories_routing import Hub, a_task, a_worker, an_organisation
from tests.wait import wait_until

SKILLS = ("german", "law", "medicine")
LANGUAGES = ("de", "en", "pt")


@pytest.fixture
async def follower(work: UnitOfWork) -> AsyncGenerator[Follower]:
    """One that looks when it is told to."""
    made = Follower(work)
    await made.rebuild()
    followers[work.database] = made
    yield made
    followers.pop(work.database, None)


def some_question(chance: random.Random, organisation: str, had: list[Candidate]) -> Question:
    return Question(
        task_id=f"task{chance.random()}",
        environment=chance.choice(["test", "test", "live"]),
        skills=frozenset(chance.sample(SKILLS, chance.choice([0, 1, 1, 2]))),
        minimum_tier=chance.choice([0, 0, 1, 3]),
        payout_msat=chance.choice([0, 999, 1_000_000, 1_031_000, 5_000_000]),
        organisation_id=organisation,
        language=chance.choice([None, None, "de", "xx"]),
        experts_from=chance.choice([None, None, 2]),
        allow_listed=chance.random() < 0.2,
        had=frozenset(one.worker_id for one in had),
        addresses=frozenset(one.payout_address for one in had if one.payout_address),
        clusters=frozenset(one.cluster_id for one in had if one.cluster_id),
    )


async def some_change(work: UnitOfWork, chance: random.Random, ids: list[str], organisation: str) -> None:
    """Whatever changes a worker, by whichever hand."""
    async with work.begin("test.change") as tx:
        worker_id = chance.choice(ids)
        session = tx.session
        worker = await session.get_one(Worker, worker_id)
        match chance.randrange(9):
            case 0:
                await (workers.pause if worker.available else workers.resume)(tx, worker_id, actor="hub")
            case 1:
                skills = frozenset(chance.sample(SKILLS, chance.randrange(4)))
                await workers.change(tx, worker_id, ProfileChange(skills=skills), actor="hub")
            case 2:
                change = ProfileChange(
                    tier=chance.randrange(5),
                    price_floor_msat=chance.choice([0, 1_000_000, 1_030_000]),
                    reliability=chance.random(),
                )
                await workers.change(tx, worker_id, change, actor="hub")
            case 3:
                worker.load = chance.randint(0, worker.capacity)
            case 4:
                person = await session.get_one(Person, worker_id)
                person.blocked_at = clock.now() if person.blocked_at is None else None
            case 5:
                found = await session.get(OrganisationWorker, (organisation, worker_id))
                if found is None:
                    kind = chance.choice(["allow", "block"])
                    row = OrganisationWorker(organisation_id=organisation, worker_id=worker_id, kind=kind)
                    row.reason, row.created_at = "", clock.now()
                    session.add(row)
                else:
                    await session.delete(found)
            case 6:
                worker.cluster_id = chance.choice([None, "ring"])
                worker.expert = chance.random() < 0.5
            case 7:
                worker.languages = chance.sample(LANGUAGES, chance.randrange(3))
                worker.cool_off_until = chance.choice([None, clock.from_ms(clock.now_ms() + 3_600_000)])
            case _:
                ids.append(
                    await a_worker(tx, capacity=2, payout_address=chance.choice([None, "one@wallet.test"]))
                )


async def same(work: UnitOfWork, directory: Directory, chance: random.Random, organisation: str) -> None:
    """Every answer of the directory is the one that the rules give on the rows of the database."""
    now = clock.now_ms()
    async with work.read() as session:
        plain = Question(
            task_id="", environment="test", skills=frozenset(), minimum_tier=0, payout_msat=0, organisation_id=organisation
        )  # fmt: skip
        people = await everybody(session, plain, now, 1000)
    assert len(directory) == len(people)
    for _ in range(12):
        question = some_question(chance, organisation, chance.sample(people, 2))
        found = ask(directory, question, now, 600, 1000)
        able = {one.worker_id for one in people if may_take(question, one)}
        rows = [row_of(one) for one in people if one.worker_id in able]
        assert sorted((*row[:4], row[4] or None, *row[5:]) for row in found.rows) == sorted(rows)
        assert found.able == len(able)
        falls = Counter(reason for one in people if (reason := falls_at(question, one)) is not None)
        assert found.falls == falls
        assert feasible(directory, question, now) == bool(able)
    hands = [one for one in people if one.available and one.environment == "test" and one.load < one.capacity]
    assert count_free(directory, "test") == len(hands)


async def test_it_holds_what_the_database_holds(work: UnitOfWork, follower: Follower) -> None:
    chance = random.Random(7)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        ids = [
            await a_worker(
                tx,
                skills=frozenset(chance.sample(SKILLS, chance.randrange(4))),
                tier=chance.randrange(5),
                reliability=chance.random(),
                price_floor_msat=chance.choice([0, 500_000, 1_000_000, 1_031_001, 9_000_000]),
                capacity=chance.randrange(3),
                environment=chance.choice([Environment.TEST, Environment.TEST, Environment.LIVE]),
                payout_address=chance.choice([None, "one@wallet.test", "two@wallet.test"]),
            )
            for _ in range(30)
        ]
    assert follower.directory is not None
    for _ in range(25):
        await follower.catch_up()
        await same(work, follower.directory, chance, organisation)
        for _ in range(3):
            await some_change(work, chance, ids, organisation)
    assert follower.rebuilds == 1
    await follower.rebuild()
    await same(work, follower.directory, chance, organisation)


async def test_a_change_that_commits_late_is_not_missed(work: UnitOfWork, follower: Follower) -> None:
    """On PostgreSQL a transaction may take its numbers early and commit after others whose numbers are higher."""
    async with work.begin("test.seed") as tx:
        slow, quick = await a_worker(tx, tier=1), await a_worker(tx, tier=1)
    await follower.catch_up()
    assert follower.directory is not None
    if work.database.dialect == "postgresql":
        async with work.database.engine.connect() as late:
            await late.execute(text(f"UPDATE workers SET tier = 4 WHERE id = '{slow}'"))
            async with work.begin("test.quick") as tx:
                await workers.change(tx, quick, ProfileChange(tier=2), actor="hub")
            await follower.catch_up()
            await late.commit()
    else:
        async with work.begin("test.change") as tx:
            await workers.change(tx, slow, ProfileChange(tier=4), actor="hub")
            await workers.change(tx, quick, ProfileChange(tier=2), actor="hub")
    await follower.catch_up()
    directory = follower.directory
    assert [directory.tier[directory.rank_of[one]] for one in (slow, quick)] == [4, 2]


async def test_it_follows_by_itself_within_a_second(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx, capacity=3)
    async with following(work) as follower:
        await wait_until(lambda: follower.fresh, timeout=10)
        assert follower.directory is not None
        async with work.begin("test.change") as tx:
            await workers.change(tx, worker_id, ProfileChange(capacity=1), actor="hub")
        directory = follower.directory
        await wait_until(lambda: directory.capacity[0] == 1, timeout=5, every=0.02)
    assert followers.get(work.database) is None


async def test_forgotten_changes_mean_reading_everything_anew(work: UnitOfWork, follower: Follower) -> None:
    async with work.begin("test.seed") as tx:
        await a_worker(tx)
        await tx.session.execute(text("DELETE FROM worker_changes"))
    follower.place = follower.place._replace(seen_ms=clock.now_ms() - follow.FORGOTTEN_MS - 1000)
    await follower.catch_up()
    assert follower.directory is None
    await follower._round()
    assert follower.directory is not None
    assert len(follower.directory) == 1


async def test_old_changes_are_pruned_and_new_ones_kept(work: UnitOfWork, follower: Follower) -> None:
    async with work.begin("test.seed") as tx:
        await a_worker(tx)
        old = clock.now_ms() - follow.KEEP_MS - 60_000
        await tx.session.execute(text(f"UPDATE worker_changes SET at_ms = {old}"))
        newer = await a_worker(tx)
    await follower._prune()
    async with work.read() as session:
        assert set(await session.scalars(select(WorkerChange.worker_id))) == {newer}


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


def test_a_million_rows_would_fit_the_columns() -> None:
    """The widest values that the tables allow."""
    entry = Entry(
        "w", "test", True, 4, 1.0, 2**62, 100, 100, "a@b.test", 2**42, "[]", None, False, None, 2**31 - 1, 0, 0, 0, None, None
    )  # fmt: skip
    directory = Directory()
    directory.put(entry)
    assert directory.price[0] == 2**62
