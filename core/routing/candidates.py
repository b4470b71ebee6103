"""Loads what `eligible` and `score` decide on, in a few queries that already leave out most who cannot take the task.
Used by `core/routing/offering.py` and `core/routing/waiting.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.access.tables import Person
from core.routing.eligible import may_take
from core.routing.model import Candidate, Policy, Question
from core.routing.tables import Assignment
from core.tasks.tables import Task
from core.tasks.types import TaskType
from core.workers.queries import skills_of
from core.workers.tables import Worker, WorkerSkill


async def questions(
    session: AsyncSession, tasks: Sequence[tuple[Task, TaskType]], policy: Policy
) -> list[Question]:
    """What each task asks, with the people who had it before; in the order given, one query for all."""
    had: dict[str, set[str]] = {task.id: set() for task, _ in tasks}
    addresses: dict[str, set[str]] = {task.id: set() for task, _ in tasks}
    statement = (
        select(Assignment.task_id, Assignment.worker_id, Worker.payout_address)
        .join(Worker, Worker.id == Assignment.worker_id)
        .where(Assignment.task_id.in_(list(had)))
    )
    for task_id, worker_id, address in (await session.execute(statement)).all():
        had[task_id].add(worker_id)
        if address is not None:
            addresses[task_id].add(address)
    return [
        Question(
            task_id=task.id,
            environment=task.environment,
            skills=frozenset(task.skills) | frozenset(kind.skills),
            minimum_tier=policy.tier_for(task.risk_tier),
            payout_msat=task.payout_msat,
            had=frozenset(had[task.id]),
            addresses=frozenset(addresses[task.id]),
        )
        for task, kind in tasks
    ]


async def able(session: AsyncSession, question: Question, now_ms: int, policy: Policy) -> list[Candidate]:
    """Who may take the task. Beyond `policy.candidates` people only the most reliable are looked at."""
    statement = _free(question.environment).where(
        Worker.tier >= question.minimum_tier,
        Worker.price_floor_msat <= question.payout_msat,
        Worker.id.not_in(question.had),
    )
    if question.skills:
        skilled = (
            select(WorkerSkill.worker_id)
            .where(WorkerSkill.skill.in_(question.skills))
            .group_by(WorkerSkill.worker_id)
            .having(func.count() == len(question.skills))
        )
        statement = statement.where(Worker.id.in_(skilled))
    found = await _candidates(session, statement, now_ms, policy)
    return [worker for worker in found if may_take(question, worker)]


async def free(session: AsyncSession, environment: str, now_ms: int, policy: Policy) -> list[Candidate]:
    """Who could take anything at all now."""
    return await _candidates(session, _free(environment), now_ms, policy)


_COLUMNS = (
    Worker.id,
    Worker.environment,
    Worker.available,
    Worker.tier,
    Worker.reliability,
    Worker.price_floor_msat,
    Worker.capacity,
    Worker.load,
    Worker.payout_address,
    Worker.idle_since,
)


def _free(environment: str) -> Select[*tuple[Any, ...]]:
    return (
        select(*_COLUMNS)
        .join(Person, Person.id == Worker.id)
        .where(
            Worker.environment == environment,
            Worker.available,
            Worker.load < Worker.capacity,
            Person.blocked_at.is_(None),
        )
        .order_by(Worker.reliability.desc(), Worker.id)
    )


async def _candidates(
    session: AsyncSession, statement: Select[*tuple[Any, ...]], now_ms: int, policy: Policy
) -> list[Candidate]:
    """Columns, not ORM rows: the load is counted by statements that the session does not see."""
    rows = (await session.execute(statement.limit(policy.candidates))).all()
    skills = await skills_of(session, [row.id for row in rows])
    return [
        Candidate(
            worker_id=row.id,
            environment=row.environment,
            available=row.available,
            skills=skills[row.id],
            tier=row.tier,
            reliability=row.reliability,
            price_floor_msat=row.price_floor_msat,
            capacity=row.capacity,
            load=row.load,
            payout_address=row.payout_address,
            idle_seconds=(now_ms - clock.to_ms(row.idle_since)) / 1000,
        )
        for row in rows
    ]
