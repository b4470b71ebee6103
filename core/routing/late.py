"""An answer from somebody from whom the task was taken back at 100 % of its SLA. `sla.late_answers` in config/routing.yaml
says what becomes of it, and the worker reads it before they are late: `paid`, it is judged like any other while nobody's
answer has passed, and paid in full if it passes first; `refused`, it is not taken. Called by `actions.submit` and the
worker's pages."""

from __future__ import annotations

from core import clock
from core.db.unit_of_work import Transaction
from core.errors import Conflict
from core.routing import times
from core.routing.assignments import leave, living
from core.routing.model import LateAnswers
from core.routing.states import AssignmentState
from core.routing.tables import Assignment
from core.tasks.states import OPEN
from core.tasks.tables import Task

TAKEN_BACK = "taken_back"
LATE = "late"  # the reason of a turn that was answered after it had been taken back


def may_answer(turn: Assignment, task: Task, rule: LateAnswers, now_ms: int) -> bool:
    """Whether their answer would be taken although the task is no longer in their hands."""
    return (
        rule == LateAnswers.PAID
        and turn.state == AssignmentState.LAPSED
        and turn.reason == TAKEN_BACK
        and turn.accepted_at is not None
        and task.status in OPEN
        and now_ms < clock.to_ms(task.hard_stop_at)
    )


def must_be_allowed(turn: Assignment, task: Task, rule: LateAnswers, now_ms: int) -> None:
    """Raises Conflict that says why not."""
    if may_answer(turn, task, rule, now_ms):
        return
    if turn.reason == TAKEN_BACK and rule == LateAnswers.REFUSED:
        raise Conflict("too_late", "The time for this task was over, and it was given to somebody else")
    raise Conflict(
        "wrong_state", "This task is no longer in your hands", state=turn.state, reason=turn.reason
    )


async def take(tx: Transaction, task: Task, turn: Assignment) -> None:
    """The turn lives again as an answered one, in a slot that is free now: its own may be somebody else's. The caller
    holds the task's row and has asked `must_be_allowed`."""
    used = {one.slot for one in await living(tx, task.id)}
    slot = min(set(range(len(used) + 1)) - used)
    times.ended(tx, task, turn, AssignmentState.SUBMITTED, await tx.now_ms())
    await leave(tx, turn, AssignmentState.SUBMITTED, slot=slot, ended_at=None, reason=LATE)
