"""Reads for the worker's pages (offers, work, history) and the operator's list of a task's assignments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import NotFound
from core.intake.tables import TaskMessage
from core.routing.states import AssignmentState
from core.routing.tables import Assignment, Draft, Submission
from core.tasks.tables import Task

MOST_MESSAGES = 100

_IN_HAND = (AssignmentState.ACCEPTED, AssignmentState.SUBMITTED)
_OVER = frozenset(AssignmentState) - {AssignmentState.OFFERED, AssignmentState.ACCEPTED}


class Turn(NamedTuple):
    """One worker's turn with its task; read-only rows."""

    assignment: Assignment
    task: Task


class Page(NamedTuple):
    """One assignment as its page needs it. `draft` and `submission` are None until there is one; `messages` is what was
    said about the ticket since the task was made, oldest first."""

    assignment: Assignment
    task: Task
    draft: dict[str, list[str]] | None
    submission: Submission | None
    messages: list[TaskMessage]


async def offers(session: AsyncSession, worker_id: str) -> list[Turn]:
    """What the worker is offered, the offer that ends first at the top. At most their capacity."""
    statement = _turns(worker_id, [AssignmentState.OFFERED]).order_by(Assignment.expires_at, Assignment.id)
    return await _read(session, statement)


async def work(session: AsyncSession, worker_id: str) -> list[Turn]:
    """What is in the worker's hands or is being judged, the earliest deadline at the top."""
    statement = _turns(worker_id, _IN_HAND).order_by(Assignment.due_at, Assignment.id)
    return await _read(session, statement)


async def history(
    session: AsyncSession, worker_id: str, *, before: str | None = None, limit: int = 50
) -> list[Turn]:
    """What the worker answered or let go, newest first: those with an id below `before`. Fewer than `limit` means the
    end."""
    statement = _turns(worker_id, _OVER)
    if before is not None:
        statement = statement.where(Assignment.id < before)
    return await _read(session, statement.order_by(Assignment.id.desc()).limit(limit))


async def one(session: AsyncSession, assignment_id: str, worker_id: str) -> Page:
    """Raises NotFound, also for somebody else's."""
    statement = _turns(worker_id, AssignmentState).where(Assignment.id == assignment_id)
    found = (await session.execute(statement)).first()
    if found is None:
        raise NotFound("unknown_assignment", "There is no such task for you")
    draft = await session.get(Draft, assignment_id)
    submission = await session.scalar(select(Submission).where(Submission.assignment_id == assignment_id))
    task: Task = found[1]
    messages = await _messages(session, task) if task.connector is not None else []
    return Page(found[0], task, draft.form if draft else None, submission, messages)


async def of_task(session: AsyncSession, task_id: str) -> list[Assignment]:
    """Everybody who was ever offered the task, in that order, with state and reason."""
    statement = select(Assignment).where(Assignment.task_id == task_id).order_by(Assignment.id)
    return list(await session.scalars(statement))


async def _messages(session: AsyncSession, task: Task) -> list[TaskMessage]:
    """The newest `MOST_MESSAGES`: a page that somebody has to read."""
    statement = select(TaskMessage).where(TaskMessage.task_id == task.id).order_by(TaskMessage.id.desc())
    return list(await session.scalars(statement.limit(MOST_MESSAGES)))[::-1]


def _turns(worker_id: str, states: Iterable[AssignmentState]) -> Select[Assignment, Task]:
    return (
        select(Assignment, Task)
        .join(Task, Task.id == Assignment.task_id)
        .where(Assignment.worker_id == worker_id, Assignment.state.in_([str(state) for state in states]))
    )


async def _read(session: AsyncSession, statement: Select[Assignment, Task]) -> list[Turn]:
    return [Turn(row[0], row[1]) for row in (await session.execute(statement)).all()]
