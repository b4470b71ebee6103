"""Which waiting tasks somebody could take now, in the order in which they are offered. Read by `routing.actions.offer_waiting` when a worker becomes free."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.db.engine import Database
from core.routing.candidates import free, questions
from core.routing.directory.registry import follower_of
from core.routing.eligible import may_take
from core.routing.laxity import Waiting, ordered
from core.routing.model import Policy, Question
from core.routing.predict import typical
from core.routing.times import states
from core.tasks.states import TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskTypes

LOOKED_AT = 200  # waiting tasks read at once; the others have their own retry


async def to_offer(
    session: AsyncSession, database: Database, environment: str, types: TaskTypes, policy: Policy
) -> list[str]:
    """Ids of posted and funded tasks that at least one free worker may take, least laxity first, at most one
    more than the batch and not more than there are free hands. A hint: `offer` decides under the lock."""
    if not await session.scalar(_waiting_in(environment).limit(1).with_only_columns(Task.id)):
        return []  # most often; whoever is posted after this asks the directory for who is free by then
    hands, may = await _hands(session, database, environment, policy)
    if hands == 0:
        return []
    found = await _in_order(session, environment, policy)
    asked = await questions(session, [(task, types.of(task.task_type)) for task in found], policy)
    able = [one.question.task_id for one in asked if may(one.question)]
    return able[: min(hands, policy.waiting_batch + 1)]


async def _in_order(session: AsyncSession, environment: str, policy: Policy) -> list[Task]:
    """Those that can still be in time, as far as there are any; the late ones fill up what is left, but the oldest of them
    are always among those looked at, so that a starved one is seen."""
    now = clock.now_ms()
    waiting = _waiting_in(environment)
    moment, by_deadline = clock.from_ms(now), (Task.expires_at, Task.id)
    late = list(
        await session.scalars(
            waiting.where(Task.expires_at <= moment).order_by(*by_deadline).limit(LOOKED_AT // 2)
        )
    )
    early = waiting.where(Task.expires_at > moment).order_by(*by_deadline).limit(LOOKED_AT - len(late))
    tasks = [*await session.scalars(early), *late]
    kinds = {task.task_type for task in tasks}
    seconds = {
        kind: typical((await states(session, environment, kind, [""], policy.weights.typical_seconds))[""])
        for kind in kinds
    }
    by_id = {task.id: task for task in tasks}
    return [
        by_id[one.task_id]
        for one in ordered((_waiting(task, seconds[task.task_type]) for task in tasks), now)
    ]


def _waiting_in(environment: str) -> Select[Task]:
    return select(Task).where(
        Task.status == str(TaskStatus.POSTED), Task.environment == environment, Task.funded
    )


def _waiting(task: Task, typical_seconds: float) -> Waiting:
    return Waiting(
        task_id=task.id,
        created_at_ms=clock.to_ms(task.created_at),
        expires_at_ms=clock.to_ms(task.expires_at),
        sla_ms=task.sla_seconds * 1000,
        typical_ms=round(typical_seconds * 1000),
        value=task.payout_msat,
    )


async def _hands(
    session: AsyncSession, database: Database, environment: str, policy: Policy
) -> tuple[int, Callable[[Question], bool]]:
    """How many hands are free (of a directory: how many people have one), and whether one of them may take a task."""
    now_ms = clock.now_ms()
    follower = follower_of(database)
    if follower is not None:
        await follower.catch_up()
        return follower.count_free(environment), lambda question: follower.feasible(question, now_ms)
    workers = await free(session, environment, now_ms, policy)
    hands = sum(worker.capacity - worker.load for worker in workers)
    return hands, lambda question: any(may_take(question, worker) for worker in workers)
