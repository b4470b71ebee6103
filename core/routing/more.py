"""Asks further people the same question, each blind to the others: as many at once as the task wants now. Topic `task.more`,
emitted when a task that wants several answers is offered, when verification asks for one more, and when somebody lets go."""

from __future__ import annotations

from core import clock
from core.db.unit_of_work import Transaction
from core.outbox.rows import Lease
from core.routing.assignments import living, task_for_update
from core.routing.candidates import questions
from core.routing.drawing import Draw
from core.routing.model import Policy
from core.routing.offering import offer_to_best, try_again
from core.routing.people import anybody
from core.routing.states import HOLDS_CAPACITY, AssignmentKind
from core.tasks.states import TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskType, TaskTypes


async def ask_more(
    tx: Transaction, lease: Lease, types: TaskTypes, policy: Policy, draw: Draw | None = None
) -> int:
    """Offer the task until as many people have it, or have answered it, as it wants; gives how many were added. Who is asked, `draw` says. When
    nobody can take it, it is tried again soon, until its hard stop decides with the answers that are there. When nobody is
    left who may ever take it, verification is told so at once."""
    task = await task_for_update(tx, lease.subject)
    if task.status not in (TaskStatus.ASSIGNED, TaskStatus.SUBMITTED) or task.answers_wanted <= 1:
        return 0
    if await tx.now_ms() >= clock.to_ms(task.hard_stop_at):
        return 0
    kind = types.of(task.task_type)
    present = await living(tx, task.id)
    added = 0
    for _ in range(task.answers_wanted - len(present)):
        if await offer_to_best(tx, task, kind, policy, role=AssignmentKind.REDUNDANT, draw=draw) is None:
            await try_again(tx, "task.more", task, policy)
            in_hands = added or any(one.state in HOLDS_CAPACITY for one in present)
            if task.status == TaskStatus.SUBMITTED and not in_hands:
                await _nobody_left(tx, task, kind, policy)
            break
        added += 1
    return added


async def _nobody_left(tx: Transaction, task: Task, kind: TaskType, policy: Policy) -> None:
    """A reviewer may decide now what more answers will not; once for each span of `retry_seconds`, as `try_again`."""
    [asked] = await questions(tx.session, [(task, kind)], policy)
    if await anybody(tx.session, asked.question):
        return
    key = f"task:{task.id}:nobody_left:{await tx.now_ms() // (policy.retry_seconds * 1000)}"
    tx.emit("task.decide", task.id, body={"nobody_left": True}, key=key)
