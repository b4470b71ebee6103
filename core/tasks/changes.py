"""One step of a task's life: the move, its event with a snapshot, and the job that tells the asker.
Every action that changes a task's status goes through here."""

from __future__ import annotations

from typing import Any

import msgspec

from core import clock, ids
from core.db.compare_and_set import move
from core.db.hot import for_dialect
from core.db.hot_callbacks import LISTENED
from core.db.unit_of_work import Transaction
from core.tasks.model import EventType
from core.tasks.states import ENDED, TRANSITIONS, TaskStatus
from core.tasks.tables import Task
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


_TELL = f"""
    INSERT INTO task_events (id, task_id, version, type, actor, snapshot, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
    RETURNING {LISTENED.format(organisation="$8", environment="$9")}"""  # noqa: S608 - text of ours


async def change(tx: Transaction, task: Task, to: TaskStatus, *, actor: str, **values: Any) -> None:
    """Move the task to `to` with `values`, and record and announce it. Raises Conflict (see `move`)."""
    now = clock.from_ms(await tx.now_ms())
    if to in ENDED:
        values["ended_at"] = now
    if to == TaskStatus.POSTED:  # whoever comes next is expected at another time
        values |= {"p50_at": None, "p90_at": None}
    await move(
        tx, task, to, table=TRANSITIONS, column="status", updated_at=now, version=task.version + 1, **values
    )
    event = EVENTS.get(to)
    if event is None:
        return
    await announce(tx, task, event, actor=actor)


async def corrected(tx: Transaction, task: Task, output: Any, note: str, *, actor: str) -> None:
    """What was given out is wrong, as a spot check found: the task says so beside its `output`, which stays what it was, and
    its asker is told (`task.corrected`). `output` is the right answer, None when only the error is known. The caller holds the
    task's row."""
    now = clock.from_ms(await tx.now_ms())
    found: dict[str, Any] = {
        "at": clock.iso(now),
        "reason": note.strip() or "A reviewer found that this answer is not right",
    }
    task.correction = found if output is None else {**found, "output": output}
    task.version += 1
    task.updated_at = now
    await announce(tx, task, EventType.CORRECTED, actor=actor)
    if task.connector is not None:  # the ticket is told as well
        tx.emit("task.corrected", task.id, body={"version": task.version})


def snapshot_as(task: Task, status: TaskStatus, now_ms: int) -> str:
    """The task as the API will show it in that status, for an event that is written with the move."""
    shown = msgspec.structs.replace(
        view(task), status=str(status), updated_at=clock.iso(clock.from_ms(now_ms))
    )
    return encode(shown).decode()


async def announce(tx: Transaction, task: Task, event: EventType, *, actor: str) -> None:
    """Write the event down, and have it sent if somebody wants the task's events now; what each of them wants is looked
    at by the job (`core/callbacks/actions.py`)."""
    if tx.session.new or tx.session.dirty:
        await tx.session.flush()
    event_id, snapshot = ids.new("evt"), encode(view(task)).decode()
    row = (event_id, task.id, task.version, str(event), actor, snapshot, clock.to_ms(task.updated_at))
    where = (task.organisation_id, task.environment)
    listened = (await tx.execute(for_dialect(_TELL, tx.dialect), (*row, *where))).scalar_one()
    if listened or task.callback_url:
        tx.emit("task.event", event_id)
