"""The policy simulator: the same seed gives the same, its worlds are what they say, and the policies differ as they should."""

from __future__ import annotations

import pytest

from core.routing.model import Policy
from core.routing.simulator.engine import Simulation, simulate
from core.routing.simulator.figures import gini
from core.routing.simulator.ways import PEERS, by_policy, peer
from core.routing.simulator.world import Job, Person, Population, World, world
from core.tasks.states import ENDED, TaskStatus

SMALL = Population(workers=60, tasks=300, skills=4)


def a_person(number: int, **values: object) -> Person:
    given = {
        "id": f"per_{number}",
        "skills": frozenset({"a"}),
        "speed": 0.0,
        "spread": 0.01,
        "honesty": 1.0,
        "accepts": 1.0,
        "gone": 0.0,
        "price_msat": 1_000,
        "response_seconds": 0.001,
        "experience": 50,
        **values,
    }
    return Person(**given)  # pyright: ignore[reportArgumentType] - a test's shorthand


def a_job(number: int, at: float = 0.0, median: float = 100.0) -> Job:
    return Job(
        id=f"task_{number}",
        at=at,
        kind="a",
        skills=frozenset({"a"}),
        sla_seconds=300,
        payout_msat=2_000,
        median=median,
    )


def test_the_same_seed_gives_the_same_and_another_another() -> None:
    way = by_policy(Policy())
    assert simulate(world(SMALL, 1), way) == simulate(world(SMALL, 1), way)
    assert simulate(world(SMALL, 1), way) != simulate(world(SMALL, 2), way)


@pytest.mark.parametrize("name", sorted(PEERS))
def test_every_task_ends_and_nobody_has_more_than_their_hands(name: str) -> None:
    run = Simulation(world(SMALL, 3), peer(name, backups=True))
    run.run()
    assert len(run.all) == SMALL.tasks
    assert {live.status for live in run.all} <= ENDED
    assert all(len({turn.person.id for turn in live.turns}) == len(live.turns) for live in run.all)


def test_one_who_is_there_answers_one_task_in_time() -> None:
    found = simulate(World(seed=1, people=(a_person(1),), jobs=(a_job(1),)), by_policy(Policy()))
    assert (found.hits, found.hits_right, found.accuracy, found.cost_msat) == (1, 1, 1, 1_000)


def test_who_never_answers_is_taken_back_and_the_next_one_does_it() -> None:
    people = (a_person(1, gone=1.0), a_person(2, price_msat=1_900))
    run = Simulation(World(seed=1, people=people, jobs=(a_job(1),)), by_policy(Policy(), backups=False))
    found = run.run()
    [live] = run.all
    assert live.status == TaskStatus.VERIFIED
    assert [turn.person.id for turn in live.turns] == ["per_1", "per_2"]
    assert (found.hits, found.answered) == (0, 1)


def test_a_backup_saves_what_would_have_been_late() -> None:
    """The first never answers; somebody else is free at 80 % of 300 s and needs 40 s."""
    people = (a_person(1, gone=1.0), a_person(2, price_msat=1_900))
    job = a_job(1, median=40.0)
    found = simulate(World(seed=1, people=people, jobs=(job,)), by_policy(Policy()))
    assert (found.hits, found.backups) == (1, 0.5)


def test_nobody_there_is_nobody_hit() -> None:
    found = simulate(World(seed=1, people=(), jobs=(a_job(1),)), by_policy(Policy()))
    assert (found.hits, found.answered, found.utilisation) == (0, 0, 0)


def test_the_hub_keeps_more_deadlines_than_chance() -> None:
    crowded = world(Population(workers=60, tasks=900, skills=4, load=1.0), 5)
    ours, chance = simulate(crowded, by_policy(Policy())), simulate(crowded, peer("random", backups=True))
    assert ours.hits_right > chance.hits_right
    assert ours.hits > chance.hits


def test_gini() -> None:
    assert gini([1, 1, 1, 1]) == pytest.approx(0)
    assert gini([0, 0, 0, 1]) == pytest.approx(0.75)
    assert gini([]) == 0
