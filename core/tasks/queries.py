"""Reads of tasks for the API: one, a page of them, and which have changed. Every one names its organisation and
environment, so another tenant's task is not there."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import NotFound
from core.ids import is_uuid
from core.tasks.model import Environment
from core.tasks.states import TaskStatus
from core.tasks.tables import Task

IDS_PER_QUERY = 500

# Built once: a client that polls asks it again and again.
_ONE = select(Task).where(
    Task.id == bindparam("task"),
    Task.organisation_id == bindparam("organisation"),
    Task.environment == bindparam("environment"),
)


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """`after` is the id of the last task of the page before; both times are inclusive."""

    status: TaskStatus | None = None
    task_type: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    after: str | None = None
    limit: int = 20


class Page(msgspec.Struct, frozen=True, kw_only=True):
    tasks: list[Task]
    has_more: bool


def task_not_found() -> NotFound:
    return NotFound("task_not_found", "Task not found")


async def get(
    session: AsyncSession, organisation_id: str, environment: Environment, task_id: str, *, lock: bool = False
) -> Task:
    """Raises NotFound for an id that is unknown, somebody else's, of the other environment, or no UUID at all.
    `lock` holds the row until the transaction ends."""
    if not is_uuid(task_id):
        raise task_not_found()
    names = {"task": task_id, "organisation": organisation_id, "environment": str(environment)}
    task = await session.scalar(_ONE.with_for_update() if lock else _ONE, names)
    if task is None:
        raise task_not_found()
    return task


async def page(session: AsyncSession, organisation_id: str, environment: Environment, wanted: Filter) -> Page:
    """Newest first. The ids sort by time, so the id is the cursor and no row is counted or skipped."""
    statement = select(Task).where(Task.organisation_id == organisation_id, Task.environment == environment)
    if wanted.status is not None:
        statement = statement.where(Task.status == wanted.status)
    if wanted.task_type is not None:
        statement = statement.where(Task.task_type == wanted.task_type)
    if wanted.created_after is not None:
        statement = statement.where(Task.created_at >= wanted.created_after)
    if wanted.created_before is not None:
        statement = statement.where(Task.created_at <= wanted.created_before)
    if wanted.after is not None:
        statement = statement.where(Task.id < wanted.after)
    found = await session.scalars(statement.order_by(Task.id.desc()).limit(wanted.limit + 1))
    tasks = list(found)
    return Page(tasks=tasks[: wanted.limit], has_more=len(tasks) > wanted.limit)


async def versions(session: AsyncSession, task_ids: list[str]) -> dict[str, int]:
    """The version of each task that exists; the long poll's question for all who wait at once."""
    found: dict[str, int] = {}
    for start in range(0, len(task_ids), IDS_PER_QUERY):
        chunk = task_ids[start : start + IDS_PER_QUERY]
        rows = await session.execute(select(Task.id, Task.version).where(Task.id.in_(chunk)))
        found.update({row[0]: row[1] for row in rows})
    return found
