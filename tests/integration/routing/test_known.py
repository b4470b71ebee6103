"""What is known of a worker at one task type: in memory as it is in the database, before and after a change, and used."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from sqlalchemy import text

from core import clock
from core.db.unit_of_work import UnitOfWork
from core.routing.directory.follow import Follower
from core.routing.directory.registry import followers
from core.routing.lineup import Lineup, Three, lineup_of
from core.routing.model import Question
from core.routing.people import named_workers
from core.routing.times import predicted
from core.workers import records
from core.workers.reliability import Counts, shrunk
from tests.factories_routing import Hub, a_task, a_type, a_worker, an_organisation

TYPES = ("triage", "law")


async def judged(work: UnitOfWork, worker_id: str, task_type: str, right: list[int]) -> None:
    async with work.begin("test.judged") as tx:
        for one in right:
            await records.add_evidence(tx, worker_id, task_type, "gold", one)


async def timed(work: UnitOfWork, whose: str, task_type: str, part: str, mu: float) -> None:
    """As `times._add` leaves it, with the worker's row that goes with it."""
    async with work.begin("test.timed") as tx:
        values = {"whose": whose, "type": task_type, "part": part, "mu": mu}
        await tx.session.execute(
            text(
                "INSERT INTO completion_times (whose, task_type, part, keep, n, total, square, count) "
                "VALUES (:whose, :type, :part, 0, :mu, 0.5, 0.03, 0) "
                "ON CONFLICT (whose, task_type, part) DO UPDATE SET n = excluded.n"
            ),
            values,
        )
        await tx.session.execute(
            text("UPDATE workers SET answers = answers + 1 WHERE id = :whose"), {"whose": whose}
        )


class Seen(NamedTuple):
    speed: Three | None
    right: float


async def in_database(work: UnitOfWork, ids: list[str], task_type: str) -> dict[str, Seen]:
    async with work.read() as session:
        read = await named_workers(session, question(task_type), ids, clock.now_ms())
        return seen(lineup_of(await predicted(session, "test", task_type, read)))


def in_memory(follower: Follower, task_type: str) -> dict[str, Seen]:
    return seen(follower.select(question(task_type), clock.now_ms(), 600.0, 64).people)


def seen(people: Lineup) -> dict[str, Seen]:
    """How fast they are, and how often right."""
    return dict(zip(people.worker_ids, map(Seen, people.speeds, people.right), strict=True))


def question(task_type: str) -> Question:
    return Question(
        task_id="t",
        environment="test",
        skills=frozenset(),
        minimum_tier=0,
        payout_msat=10**9,
        task_type=task_type,
    )


async def test_in_memory_as_in_the_database(work: UnitOfWork) -> None:
    async with work.begin("test.people") as tx:
        first, second, third = [await a_worker(tx, reliability=0.7) for _ in range(3)]
    ids = [first, second, third]
    await judged(work, first, "triage", [1, 1, 1, 0])
    await timed(work, first, "triage", "pair:known", 4.0)
    await timed(work, second, "", "worker:known", 5.0)
    await timed(work, "test", "triage", "kind:known", 6.0)
    follower = Follower(work)
    await follower.rebuild()

    async def same() -> dict[str, dict[str, Seen]]:
        found = {name: in_memory(follower, name) for name in TYPES}
        for name in TYPES:
            assert set(found[name]) == set(ids)
            assert found[name] == await in_database(work, ids, name)
        return found

    found = await same()
    assert [found["triage"][one].right == 0.7 for one in ids] == [False, True, True]
    assert [speed and speed[0] for speed, _ in map(found["triage"].__getitem__, ids)] == [4.0, 5.0, 6.0]
    assert found["law"][third].speed is None  # nothing is known of anybody at it

    await judged(work, first, "law", [0, 0])
    await judged(work, second, "triage", [1])
    await timed(work, first, "triage", "pair:known", 4.5)
    await timed(work, third, "law", "pair:known", 3.0)
    before = follower.rebuilds
    await follower.catch_up()
    changed = await same()
    assert changed["triage"][first].speed != found["triage"][first].speed
    assert changed["law"][first].right == pytest.approx(shrunk(Counts(bad=1.985), 0.7))
    assert follower.rebuilds == before
    await follower.rebuild()
    await same()


@pytest.mark.parametrize("remembered", [True, False], ids=["directory", "scan"])
async def test_who_is_better_at_the_type_gets_it(work: UnitOfWork, remembered: bool) -> None:
    """Two who are right alike over all; one is good at this type and bad at the other."""
    async with work.begin("test.people") as tx:
        organisation = await an_organisation(tx)
        one, other = [await a_worker(tx, reliability=0.8) for _ in range(2)]
        tasks = [await a_task(tx, organisation, kind=a_type(name=name)) for name in TYPES]
    for good, bad in ((0, 1), (1, 0)):
        await judged(work, (one, other)[good], TYPES[good], [1] * 12)
        await judged(work, (one, other)[bad], TYPES[good], [0] * 12)
    if remembered:
        follower = Follower(work)
        await follower.rebuild()
        followers[work.database] = follower
    hub = Hub(work, *(a_type(name=name) for name in TYPES))
    try:
        await hub.drain("task.posted")
        assert [(await hub.assignments(task))[0].worker_id for task in tasks] == [one, other]
    finally:
        followers.pop(work.database, None)
