"""What a simulation is about: people with a speed, an honesty and habits, and tasks that arrive. Made from a seed
(`population`), or from a hub's records (`hub/cli/simulate.py`). Pure; the same seed gives the same world, and the same
person takes the same time for the same task under every policy, so that policies differ by their choices alone."""

from __future__ import annotations

import math
import random
from typing import Annotated

import msgspec
from msgspec import Meta

from core.routing.model import Question
from core.routing.predict import CURVE

_Part = Annotated[float, Meta(ge=0, le=0.95)]
_CURVE_STEPS = [*CURVE[:3], *[CURVE[3]] * 3, *[CURVE[4]] * 5]


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """`speed` is added to ln(seconds), `spread` is its sigma; `honesty` the chance of a right answer, `accepts` that they
    take an offer, `gone` that they take it and never answer. `online` are times (seconds) at which they come and go."""

    id: str
    skills: frozenset[str]
    speed: float
    spread: float
    honesty: float
    accepts: float
    gone: float
    price_msat: int
    tier: int = 1
    capacity: int = 1
    experience: int = 0  # answers of each type that they gave before, elsewhere
    response_seconds: float = 12.0
    online: tuple[float, ...] = (0.0,)
    languages: frozenset[str] = frozenset()
    expert: bool = False
    allowed_by: frozenset[str] = frozenset()  # organisations that have named them
    blocked_by: frozenset[str] = frozenset()

    def word_of(self, organisation_id: str) -> str | None:
        """As routing reads it of an organisation's lists."""
        if organisation_id in self.blocked_by:
            return "block"
        return "allow" if organisation_id in self.allowed_by else None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A task that arrives at `at` (seconds); half of all people need `median` seconds for its type."""

    id: str
    at: float
    kind: str
    skills: frozenset[str]
    sla_seconds: int
    payout_msat: int
    median: float
    minimum_tier: int = 0
    risk: str = "low"
    max_reroutes: int = 3
    hard_stop_factor: int = 2
    offer_seconds: int = 60
    language: str | None = None
    experts_from: int | None = None
    organisation_id: str = ""
    allow_listed: bool = False

    def question(self, had: frozenset[str] = frozenset()) -> Question:
        """As routing asks it, of people who are made up."""
        return Question(
            task_id=self.id,
            environment="test",
            skills=self.skills,
            minimum_tier=self.minimum_tier,
            payout_msat=self.payout_msat,
            task_type=self.kind,
            risk=self.risk,
            organisation_id=self.organisation_id,
            language=self.language,
            experts_from=self.experts_from,
            allow_listed=self.allow_listed,
            had=had,
        )


class World(msgspec.Struct, frozen=True, kw_only=True):
    """`seed` decides every draw in it."""

    seed: int
    people: tuple[Person, ...]
    jobs: tuple[Job, ...]


class Population(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A made-up crowd. Variances are those of ln(seconds) between and within people, as they were measured on real
    assignments (27 % between), scaled to people who know their trade. `online` is the share of them who are there, in sessions of `session_seconds`; 1:
    all of them, all the time. `load` 1 is as much work as the hands that are there
    can do when tasks are given to anybody, offers and refusals included."""

    workers: Annotated[int, Meta(ge=1, le=100_000)] = 250
    tasks: Annotated[int, Meta(ge=1, le=1_000_000)] = 6_000
    skills: Annotated[int, Meta(ge=1, le=1_000)] = 12
    load: Annotated[float, Meta(gt=0, le=100)] = 0.7
    online: Annotated[float, Meta(gt=0, le=1)] = 0.5
    session_seconds: Annotated[float, Meta(ge=1, le=1e7)] = 7_200.0
    declines: _Part = 0.25
    gone: _Part = 0.03
    experience: Annotated[int, Meta(ge=0, le=10_000)] = 30
    between: Annotated[float, Meta(ge=0, le=3)] = 0.35
    within: Annotated[float, Meta(gt=0, le=3)] = 0.5
    honesty: Annotated[float, Meta(ge=0, le=1)] = 0.8
    honesty_spread: Annotated[float, Meta(ge=0, le=1)] = 0.1
    median_seconds: Annotated[float, Meta(ge=1, le=1e6)] = 180.0
    sla_factors: Annotated[tuple[Annotated[float, Meta(gt=0, le=1_000)], ...], Meta(min_length=1)] = (
        2.0,
        3.0,
        5.0,
    )
    sla_extra_seconds: Annotated[float, Meta(ge=0, le=1e6)] = 60.0
    payout_msat: Annotated[int, Meta(ge=1, le=2**53)] = 2_000_000


def world(population: Population, seed: int) -> World:
    draw = random.Random(f"world:{seed}")  # noqa: S311 - a seeded simulation
    skills = [f"skill_{n}" for n in range(population.skills)]
    medians = {skill: population.median_seconds * math.exp(draw.gauss(0, 0.4)) for skill in skills}
    people = tuple(_person(population, n, skills, draw) for n in range(population.workers))
    rate = _rate(population, people, medians)
    jobs: list[Job] = []
    now = 0.0
    for n in range(population.tasks):
        now += draw.expovariate(rate)
        skill = draw.choice(skills)
        factor = draw.choice(population.sla_factors)
        jobs.append(
            Job(
                id=f"task_{n:06}",
                at=now,
                kind=skill,
                skills=frozenset({skill}),
                sla_seconds=round(factor * medians[skill] + population.sla_extra_seconds),
                payout_msat=population.payout_msat,
                median=medians[skill],
            )
        )
    horizon = now + 4 * 3600
    sessions = tuple(_with_sessions(population, one, horizon, draw) for one in people)
    return World(seed=seed, people=sessions, jobs=tuple(jobs))


def work_seconds(world: World, job: Job, person: Person, answers: int) -> float | None:
    """How long this person takes for this task, having given `answers` of its type; None when they never answer."""
    draw = random.Random(f"work:{world.seed}:{job.id}:{person.id}")  # noqa: S311 - a seeded simulation
    if draw.random() < person.gone:
        return None
    answers += person.experience
    curve = _CURVE_STEPS[answers] if answers < len(_CURVE_STEPS) else 0.0
    return job.median * math.exp(person.speed + curve + draw.gauss(0, person.spread))


def response(world: World, job: Job, person: Person) -> tuple[float, bool]:
    """After how many seconds they answer the offer, and whether they take it."""
    draw = random.Random(f"offer:{world.seed}:{job.id}:{person.id}")  # noqa: S311 - a seeded simulation
    return draw.expovariate(1 / person.response_seconds), draw.random() < person.accepts


def right(world: World, job: Job, person: Person) -> bool:
    draw = random.Random(f"answer:{world.seed}:{job.id}:{person.id}")  # noqa: S311 - a seeded simulation
    return draw.random() < person.honesty


def _person(population: Population, n: int, skills: list[str], draw: random.Random) -> Person:
    own = frozenset(draw.sample(skills, min(len(skills), draw.choice((2, 3, 3, 4)))))
    return Person(
        id=f"per_{n:05}",
        skills=own,
        speed=draw.gauss(0, population.between),
        spread=population.within * math.exp(draw.gauss(0, 0.15)),
        honesty=min(0.99, max(0.3, draw.gauss(population.honesty, population.honesty_spread))),
        accepts=min(0.99, max(0.2, draw.gauss(1 - population.declines, 0.12))),
        gone=population.gone,
        experience=draw.randrange(population.experience + 1),
        price_msat=round(1_000_000 * math.exp(draw.gauss(0, 0.15))),
    )


def _rate(population: Population, people: tuple[Person, ...], medians: dict[str, float]) -> float:
    """Arrivals a second that fill the hands `load` times over."""
    speed = sum(math.exp(one.speed + one.spread**2 / 2) for one in people) / len(people)
    median = sum(medians.values()) / len(medians)
    factor = sum(population.sla_factors) / len(population.sla_factors)
    lost = population.gone * (factor * median + population.sla_extra_seconds)  # held until it is taken back
    work = speed * median + lost
    offers = 1 / (1 - population.declines)
    overhead = offers * sum(one.response_seconds for one in people) / len(people)
    return population.load * population.workers * population.online / (work + overhead)


def _with_sessions(population: Population, one: Person, horizon: float, draw: random.Random) -> Person:
    """Times of coming and going, in turn; the first is a coming, at 0 for those who are there when it begins."""
    if population.online >= 1:
        return msgspec.structs.replace(one, online=(0.0,))
    length = population.session_seconds
    away = length * (1 - population.online) / population.online
    now = 0.0 if draw.random() < population.online else draw.expovariate(1 / away)
    times = [now]
    while now < horizon:
        now += draw.expovariate(1 / length) if len(times) % 2 else draw.expovariate(1 / away)
        times.append(now)
    return msgspec.structs.replace(one, online=tuple(times))
