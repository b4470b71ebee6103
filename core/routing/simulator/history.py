"""The world of a simulation as this hub's records have it: the tasks of the last days as they arrived, and its workers with
what has been learnt of them. Called by `hub simulate --history`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.routing import times
from core.routing.candidates import Asker
from core.routing.eligible import Refusal, falls_at
from core.routing.model import Candidate, Policy, Question
from core.routing.predict import Prediction, predict, typical
from core.routing.simulator.world import Job, Person, World
from core.routing.statements import askers
from core.routing.tables import OrganisationWorker
from core.tasks.tables import Task
from core.tasks.types import TaskTypes
from core.workers.tables import Worker, WorkerSkill

MOST_TASKS, MOST_WORKERS = 20_000, 5_000
DAY_MS = 86_400_000


async def recorded(
    session: AsyncSession,
    types: TaskTypes,
    policy: Policy,
    *,
    days: int,
    seed: int,
    environment: str,
) -> World:
    """At most `MOST_TASKS` tasks, the newest, and `MOST_WORKERS` workers, the most reliable. When somebody was there is not
    recorded: those who are available now count as there all the time. Times and refusals are drawn by what was learnt."""
    since = clock.from_ms(clock.now_ms() - days * DAY_MS)
    statement = (
        select(Task)
        .where(Task.environment == environment, Task.created_at >= since)
        .order_by(Task.id.desc())
        .limit(MOST_TASKS)
    )
    tasks = sorted(await session.scalars(statement), key=lambda task: task.created_at)
    workers = list(
        await session.scalars(
            select(Worker)
            .where(Worker.environment == environment, Worker.available)
            .order_by(Worker.reliability.desc(), Worker.id)
            .limit(MOST_WORKERS)
        )
    )
    prior = policy.weights.typical_seconds
    medians = {
        kind: typical((await times.states(session, environment, kind, [""], prior))[""])
        for kind in {task.task_type for task in tasks}
    }
    known = {
        row[0]: Asker(row[1], bool(row[2]))
        for row in await askers(session, sorted({t.organisation_id for t in tasks}))
    }
    jobs = tuple(
        _job(task, tasks[0], types, policy, medians[task.task_type], known[task.organisation_id])
        for task in tasks
    )
    return World(seed=seed, people=await _people(session, workers, environment, prior), jobs=jobs)


def nobody_for(world: World) -> tuple[int, Counter[Refusal]]:
    """How many of its tasks none of its people may ever take, and the rule at which most of them fall, by the tasks."""
    found: dict[Question, Refusal | None] = {}
    reasons: Counter[Refusal] = Counter()
    for job in world.jobs:
        asked = msgspec.structs.replace(job.question(), task_id="", task_type="", risk="")
        if asked not in found:
            falls = [falls_at(asked, _as_candidate(one, job.organisation_id)) for one in world.people]
            most = Counter(reason for reason in falls if reason is not None).most_common(1)
            found[asked] = None if None in falls or not most else most[0][0]
        reason = found[asked]
        if reason is not None:
            reasons[reason] += 1
    return reasons.total(), reasons


def _as_candidate(person: Person, organisation_id: str) -> Candidate:
    """With both hands free."""
    return Candidate(
        worker_id=person.id,
        environment="test",
        available=True,
        skills=person.skills,
        tier=person.tier,
        reliability=person.honesty,
        price_floor_msat=person.price_msat,
        capacity=person.capacity,
        load=0,
        payout_address=None,
        idle_seconds=0.0,
        languages=person.languages,
        expert=person.expert,
        word=person.word_of(organisation_id),
    )


def _job(task: Task, first: Task, types: TaskTypes, policy: Policy, median: float, asker: Asker) -> Job:
    kind = types.of(task.task_type)
    return Job(
        id=task.id,
        at=(task.created_at - first.created_at).total_seconds(),
        kind=task.task_type,
        skills=frozenset(task.skills) | frozenset(kind.skills),
        sla_seconds=task.sla_seconds,
        payout_msat=task.payout_msat,
        median=median,
        minimum_tier=policy.tier_for(task.risk_tier),
        risk=task.risk_tier,
        max_reroutes=kind.max_reroutes,
        hard_stop_factor=kind.hard_stop_factor,
        offer_seconds=kind.offer_seconds,
        language=task.language or kind.language,
        experts_from=policy.expert_tier if asker.plan in policy.of_experts else None,
        organisation_id=task.organisation_id,
        allow_listed=asker.allow_listed,
    )


async def _people(
    session: AsyncSession, workers: Sequence[Worker], environment: str, prior: float
) -> tuple[Person, ...]:
    ids = [one.id for one in workers]
    skills: dict[str, set[str]] = {}
    for start in range(0, len(ids), 500):
        rows = await session.execute(
            select(WorkerSkill.worker_id, WorkerSkill.skill).where(
                WorkerSkill.worker_id.in_(ids[start : start + 500])
            )
        )
        for worker_id, skill in rows.all():
            skills.setdefault(worker_id, set()).add(skill)
    words: dict[str, dict[str, set[str]]] = {"allow": {}, "block": {}}
    for start in range(0, len(ids), 500):
        listed = await session.execute(
            select(
                OrganisationWorker.worker_id, OrganisationWorker.kind, OrganisationWorker.organisation_id
            ).where(OrganisationWorker.worker_id.in_(ids[start : start + 500]))
        )
        for worker_id, word, organisation_id in listed.all():
            words[word].setdefault(worker_id, set()).add(organisation_id)
    known = await times.states(session, environment, "", ids, prior)
    found: list[Person] = []
    for one in workers:
        state = known[one.id]
        prediction: Prediction = predict(state)
        effect = state.of("worker:time")
        found.append(
            Person(
                id=one.id,
                skills=frozenset(skills.get(one.id, ())),
                speed=effect.total / (effect.n + 3),
                spread=prediction.sigma,
                honesty=one.reliability,
                accepts=prediction.takes,
                gone=prediction.gone,
                price_msat=one.price_floor_msat,
                tier=one.tier,
                capacity=one.capacity,
                experience=effect.count,
                languages=frozenset(one.languages),
                expert=one.expert,
                allowed_by=frozenset(words["allow"].get(one.id, ())),
                blocked_by=frozenset(words["block"].get(one.id, ())),
            )
        )
    return tuple(found)
