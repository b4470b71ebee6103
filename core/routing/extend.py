"""One extension of a worker's deadline, at most to the task's hard stop. Called by the worker's pages and API."""

from __future__ import annotations

from core import clock
from core.audit.record import record
from core.db.unit_of_work import Transaction
from core.errors import Conflict, NotFound
from core.routing import promise
from core.routing.assignments import task_for_update
from core.routing.states import AssignmentState
from core.routing.tables import Assignment
from core.tasks.tables import Task

PERCENT = 50  # of the task's SLA; never past its hard stop


def may_extend(assignment: Assignment, task: Task) -> bool:
    due = clock.to_ms(assignment.due_at)
    return (
        assignment.state == AssignmentState.ACCEPTED
        and assignment.extended_from is None
        and due < clock.to_ms(task.hard_stop_at)
    )


async def extend(tx: Transaction, assignment_id: str, worker_id: str) -> Assignment:
    """Transaction `routing.extend`: `due_at` moves, and with it the moment at which the task is taken back: a new alarm
    rings then, the former one finds nobody overdue. The task's own SLA stays: at 80 % somebody may be asked beside the
    worker all the same. Asking twice is asking once. Raises NotFound, Conflict when it is not in their hands, when the
    time is over already, or when there is none to give before the hard stop."""
    found = await tx.session.get(Assignment, assignment_id)
    if found is None or found.worker_id != worker_id:
        raise NotFound("unknown_assignment", "There is no such task for you")
    task = await task_for_update(tx, found.task_id)
    await tx.session.refresh(found)
    if found.state == AssignmentState.ACCEPTED and found.extended_from is not None:
        return found
    now, due = await tx.now_ms(), clock.to_ms(found.due_at)
    if found.state != AssignmentState.ACCEPTED or now >= due:
        raise Conflict("wrong_state", "This task is no longer in your hands", state=found.state)
    found.extended_from = found.due_at
    until = await promise.extend(tx, task, found, task.sla_seconds * PERCENT // 100)
    actor = f"person:{worker_id}"
    await record(
        tx, actor=actor, action="assignment.extended", subject=found.id, task=task.id, until_ms=until
    )
    await tx.session.flush()
    return found
