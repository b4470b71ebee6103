"""The three ends of a task without an answer: withdrawn, out of time, out of attempts. Each is one step: the task's
state, its people set free, its reserved money given back, the ticket told. Called by the API and the intake (cancel),
by `sla.py` (expire) and by the verification (fail, expire)."""

from __future__ import annotations

from typing import Any

from core.billing.actions import release
from core.db.unit_of_work import Transaction
from core.routing.assignments import end_all, task_for_update
from core.tasks.changes import change
from core.tasks.states import TaskStatus
from core.tasks.tables import Task


async def cancel(tx: Transaction, task: Task, actor: str) -> Task:
    """Withdraw the task while nobody has answered it. Raises Conflict once it is submitted or ended."""
    return await _end(tx, task, TaskStatus.CANCELLED, actor=actor)


async def expire(tx: Transaction, task: Task) -> Task:
    """The hard stop has come. Raises Conflict when the task has ended already."""
    return await _end(tx, task, TaskStatus.EXPIRED, actor="hub")


async def fail(tx: Transaction, task: Task, reason: str) -> Task:
    """No answer passed; `reason` is what the asker reads. Raises Conflict when the task has ended already."""
    return await _end(tx, task, TaskStatus.FAILED, actor="hub", failure_reason=reason)


async def _end(tx: Transaction, task: Task, to: TaskStatus, *, actor: str, **values: Any) -> Task:
    """The row is read again under its lock: what the caller saw may be over."""
    task = await task_for_update(tx, task.id)
    await change(tx, task, to, actor=actor, **values)
    await end_all(tx, task.id, f"task_{to}")
    await release(tx, task)
    tx.emit("task.ended", task.id)
    return task
