"""Which waiting tasks somebody could take now. Read by `routing.actions.offer_waiting` when a worker becomes free."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.routing.candidates import free, questions
from core.routing.eligible import may_take
from core.routing.model import Policy
from core.tasks.states import TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskTypes

LOOKED_AT = 200  # waiting tasks read at once; the others have their own retry


async def to_offer(session: AsyncSession, environment: str, types: TaskTypes, policy: Policy) -> list[str]:
    """Ids of posted and funded tasks that at least one free worker may take, earliest deadline first, at most one
    more than the batch and not more than there are free hands. A hint: `offer` decides under the lock."""
    workers = await free(session, environment, clock.now_ms(), policy)
    hands = sum(worker.capacity - worker.load for worker in workers)
    if hands == 0:
        return []
    found = await session.scalars(
        select(Task)
        .where(Task.status == str(TaskStatus.POSTED), Task.environment == environment, Task.funded)
        .order_by(Task.expires_at, Task.id)
        .limit(LOOKED_AT)
    )
    asked = await questions(session, [(task, types.of(task.task_type)) for task in found], policy)
    able = [
        one.question.task_id for one in asked if any(may_take(one.question, worker) for worker in workers)
    ]
    return able[: min(hands, policy.waiting_batch + 1)]
