"""One step of a task's life: the move, its event with a snapshot, and the job that tells the asker.
Every action that changes a task's status goes through here."""

from __future__ import annotations

from typing import Any

from core import clock, ids
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction
from core.tasks.model import EventType
from core.tasks.states import ENDED, TRANSITIONS, TaskStatus
from core.tasks.tables import Task, TaskEvent
from core.tasks.view import encode, view

# What the asker is told when a task reaches a status. Going back to `posted` (another worker is needed) is internal.
EVENTS: dict[TaskStatus, EventType] = {
    TaskStatus.ASSIGNED: EventType.ASSIGNED,
    TaskStatus.SUBMITTED: EventType.SUBMITTED,
    TaskStatus.VERIFIED: EventType.VERIFIED,
    TaskStatus.FAILED: EventType.FAILED,
    TaskStatus.CANCELLED: EventType.CANCELLED,
    TaskStatus.EXPIRED: EventType.EXPIRED,
}


async def change(tx: Transaction, task: Task, to: TaskStatus, *, actor: str, **values: Any) -> None:
    """Move the task to `to` with `values`, and record and announce it. Raises Conflict (see `move`)."""
    now = clock.from_ms(await tx.now_ms())
    if to in ENDED:
        values["ended_at"] = now
    await move(
        tx, task, to, table=TRANSITIONS, column="status", updated_at=now, version=task.version + 1, **values
    )
    event = EVENTS.get(to)
    if event is None:
        return
    await announce(tx, task, event, actor=actor)


async def announce(tx: Transaction, task: Task, event: EventType, *, actor: str) -> None:
    row = TaskEvent(
        id=ids.new("evt"),
        task_id=task.id,
        version=task.version,
        type=event,
        actor=actor,
        snapshot=encode(view(task)).decode(),
        created_at=task.updated_at,
    )
    tx.session.add(row)
    tx.emit("task.event", row.id)
