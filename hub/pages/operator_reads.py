"""Reads for the operator's pages: the list of tasks over all organisations, and where an id leads. Keyset paging; a
count stops at `COUNT_LIMIT`."""

from __future__ import annotations

import msgspec
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.access.tables import Organisation
from core.callbacks.tables import CallbackDelivery
from core.ids import is_uuid
from core.intake.tables import InboundEvent
from core.payouts.tables import Payout, PayoutAttempt
from core.replies.tables import Reply
from core.routing.tables import Assignment, Submission
from core.tasks.tables import Task, TaskEvent

PAGE = 50
COUNT_LIMIT = 1_000


class TaskFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Empty text means any. `before` is the id of the last task of the page before."""

    status: str = ""
    task_type: str = ""
    environment: str = ""
    before: str = ""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the list."""

    task: Task
    organisation: str


class TaskPage(msgspec.Struct, frozen=True, kw_only=True):
    """`next` is the cursor of the following page, empty at the end; `count` is None when there are more than
    `COUNT_LIMIT`."""

    rows: list[Listed]
    next: str
    count: int | None


async def tasks(session: AsyncSession, wanted: TaskFilter) -> TaskPage:
    """Newest first."""
    conditions = _conditions(wanted)
    statement = select(Task, Organisation.name).join(Organisation).where(*conditions)
    if is_uuid(wanted.before):
        statement = statement.where(Task.id < wanted.before)
    found = (await session.execute(statement.order_by(Task.id.desc()).limit(PAGE + 1))).all()
    rows = [Listed(task=row[0], organisation=row[1]) for row in found[:PAGE]]
    counted = select(Task.id).where(*conditions).limit(COUNT_LIMIT + 1).subquery()
    count = (await session.execute(select(func.count()).select_from(counted))).scalar_one()
    return TaskPage(
        rows=rows,
        next=rows[-1].task.id if len(found) > PAGE else "",
        count=count if count <= COUNT_LIMIT else None,
    )


def _conditions(wanted: TaskFilter) -> list[ColumnElement[bool]]:
    pairs = (
        (Task.status, wanted.status),
        (Task.task_type, wanted.task_type),
        (Task.environment, wanted.environment),
    )
    return [column == value for column, value in pairs if value]


_BY_PREFIX = {
    "asg": (Assignment, Assignment.task_id),
    "sub": (Submission, Submission.task_id),
    "evt": (TaskEvent, TaskEvent.task_id),
    "pay": (Payout, Payout.task_id),
    "rep": (Reply, Reply.task_id),
    "inb": (InboundEvent, InboundEvent.task_id),
}


async def find_task(session: AsyncSession, text: str) -> str | None:
    """The task that an id leads to: its own, or that of an assignment, submission, event, payout, reply, delivery,
    callback, or a payment hash. None when it leads nowhere."""
    text = text.strip()
    if is_uuid(text):
        return await session.scalar(select(Task.id).where(Task.id == text))
    if text[:4] == "cbd_":
        statement = select(TaskEvent.task_id).join(
            CallbackDelivery, CallbackDelivery.event_id == TaskEvent.id
        )
        return await session.scalar(statement.where(CallbackDelivery.id == text))
    if text[:3] in _BY_PREFIX:
        table, task_id = _BY_PREFIX[text[:3]]
        return await session.scalar(select(task_id).where(table.id == text))
    if len(text) == 64:
        statement = select(Payout.task_id).join(PayoutAttempt, PayoutAttempt.payout_id == Payout.id)
        return await session.scalar(statement.where(PayoutAttempt.payment_hash == text.lower()))
    return None
