"""The directory of workers on both databases: what it holds is what the database says, within a look."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgspec
from sqlalchemy import select, text

from core import clock
from core.access.tables import Person
from core.db.unit_of_work import UnitOfWork
from core.routing.directory import follow
from core.routing.directory.bitmaps import Directory
from core.routing.directory.entry import Entry
from core.routing.directory.follow import Follower, following
from core.routing.directory.registry import followers
from core.routing.directory.select import count_free, feasible
from core.routing.directory.select import select as ask
from core.routing.eligible import falls_at, may_take
from core.routing.lineup import Lineup, lineup_of
from core.routing.model import Candidate, Question
from core.routing.people import everybody
from core.routing.tables import OrganisationWorker, WorkerChange
from core.tasks.model import Environment
from core.workers import actions as workers
from core.workers.model import ProfileChange
from core.workers.tables import Worker
from tests.factories_routing import a_worker, an_organisation
from tests.wait import wait_until

SKILLS = ("german", "law", "medicine")
LANGUAGES = ("de", "en", "pt")


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
        assert rows(found.people) == rows(lineup_of(one for one in people if one.worker_id in able))
        assert found.able == len(able)
        falls = Counter(reason for one in people if (reason := falls_at(question, one)) is not None)
        assert found.falls == falls
        assert feasible(directory, question, now) == bool(able)
    hands = [one for one in people if one.available and one.environment == "test" and one.load < one.capacity]
    assert count_free(directory, "test") == len(hands)


def rows(people: Lineup) -> list[tuple[Any, ...]]:
    """Row by row, in the order of their ids; 0 usual seconds are none."""
    columns = [list(column) for column in msgspec.structs.astuple(people)]
    columns[4] = [seconds or None for seconds in columns[4]]
    return sorted(zip(*columns, strict=True))


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


def test_a_million_rows_would_fit_the_columns() -> None:
    """The widest values that the tables allow."""
    entry = Entry(
        "w", "test", True, 4, 1.0, 2**62, 100, 100, "a@b.test", 2**42, "[]", None, False, None, 2**31 - 1, 0, 0, 0, None, None
    )  # fmt: skip
    directory = Directory()
    directory.put(entry)
    assert directory.price[0] == 2**62
