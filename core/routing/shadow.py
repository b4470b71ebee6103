"""What a second policy would do with the tasks that are open now, beside the policy in force; nothing is offered and nothing
written. Called by `hub routing shadow`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.routing import times
from core.routing.candidates import questions
from core.routing.eligible import may_take
from core.routing.model import Policy
from core.routing.people import free_workers
from core.routing.score import ranked
from core.tasks.states import TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskTypes

FIRST = 3  # choices that are compared beside the very first


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One task: whom each policy would ask, best first, as if nobody had had it yet. `common`: how many of the first three
    choices of one are among those of the other, 0 to 1."""

    task_id: str
    task_type: str
    in_force: list[str]
    shadow: list[str]

    @property
    def agrees(self) -> bool:
        return self.in_force[:1] == self.shadow[:1]

    @property
    def common(self) -> float:
        most = max(len(self.in_force[:FIRST]), len(self.shadow[:FIRST]))
        return len(set(self.in_force[:FIRST]) & set(self.shadow[:FIRST])) / most if most else 1.0


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Over all tasks; shares are 0 to 1. `only_in_force`, `only_shadow`: tasks for which one policy has somebody and the
    other nobody."""

    tasks: int
    same_first: float
    same_three: float
    only_in_force: int
    only_shadow: int


async def compare(
    session: AsyncSession,
    types: TaskTypes,
    in_force: Policy,
    shadow: Policy,
    *,
    environment: str,
    limit: int,
) -> list[Compared]:
    """The newest `limit` tasks that nobody has answered, with the people who are free now."""
    statement = (
        select(Task)
        .where(
            Task.status.in_([str(TaskStatus.POSTED), str(TaskStatus.ASSIGNED)]),
            Task.environment == environment,
            Task.funded,
        )
        .order_by(Task.id.desc())
        .limit(limit)
    )
    now = clock.now_ms()
    result: list[Compared] = []
    for task in await session.scalars(statement):
        chosen: list[list[str]] = []
        for policy in (in_force, shadow):
            [asked] = await questions(session, [(task, types.of(task.task_type))], policy)
            question = msgspec.structs.replace(
                asked.question, had=frozenset(), addresses=frozenset(), clusters=frozenset(), task_id=""
            )
            free = await free_workers(session, question, now, policy.candidates)
            able = [worker for worker in free if may_take(question, worker)]
            known = await times.predicted(session, environment, task.task_type, able)
            question = msgspec.structs.replace(question, task_id=task.id)
            left = max(1.0, (clock.to_ms(task.expires_at) - now) / 1000)
            chosen.append([one.worker_id for one in ranked(question, known, left, policy.weights, FIRST)])
        result.append(
            Compared(task_id=task.id, task_type=task.task_type, in_force=chosen[0], shadow=chosen[1])
        )
    return result


def agreement(compared: Sequence[Compared]) -> Agreement:
    """Tasks that neither policy has anybody for agree."""
    most = max(1, len(compared))
    return Agreement(
        tasks=len(compared),
        same_first=sum(one.agrees for one in compared) / most,
        same_three=sum(one.common for one in compared) / most,
        only_in_force=sum(bool(one.in_force) and not one.shadow for one in compared),
        only_shadow=sum(bool(one.shadow) and not one.in_force for one in compared),
    )
