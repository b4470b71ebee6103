"""Collects everything the database knows of one task, for `hub task show ID` and the operator's task page.
Read-only: one session, about fifteen small queries by index, no writes."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.access.tables import Organisation, Person
from core.audit.tables import AuditEntry
from core.callbacks.tables import CallbackDelivery
from core.db.base import Base
from core.errors import NotFound
from core.intake.tables import InboundEvent, TaskMessage
from core.ledger.tables import LedgerTransfer
from core.outbox.tables import OutboxRow
from core.payouts.tables import Payout, PayoutAttempt
from core.replies.tables import Reply
from core.routing.tables import Assignment, Submission
from core.tasks.tables import Task, TaskEvent
from core.verification.tables import DecisionRow, Review, VerdictRow, VerificationRun

Row = TypeVar("Row", bound=Base)

# A task that a bug keeps re-offering must not take the page down with it; nothing healthy comes near.
_ROWS = 1_000


class Trail(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one task's life by what they are, each list in the order of its ids. `people` maps the ids of
    the workers concerned to their names."""

    task: Task
    organisation: str
    inbound: list[InboundEvent]
    messages: list[TaskMessage]
    events: list[TaskEvent]
    assignments: list[Assignment]
    submissions: list[Submission]
    runs: list[VerificationRun]
    verdicts: list[VerdictRow]
    decisions: list[DecisionRow]
    reviews: list[Review]
    payouts: list[Payout]
    attempts: list[PayoutAttempt]
    transfers: list[LedgerTransfer]
    replies: list[Reply]
    deliveries: list[CallbackDelivery]
    jobs: list[OutboxRow]
    audit: list[AuditEntry]
    people: dict[str, str]


async def collect(session: AsyncSession, task_id: str) -> Trail:
    """Everything of the task. Raises NotFound."""
    task = await session.get(Task, task_id)
    if task is None:
        raise NotFound("task_not_found", f"No task {task_id}")
    organisation = await session.get(Organisation, task.organisation_id)
    events = await _rows(session, TaskEvent, TaskEvent.task_id, [task_id])
    assignments = await _rows(session, Assignment, Assignment.task_id, [task_id])
    runs = await _rows(session, VerificationRun, VerificationRun.task_id, [task_id])
    payouts = await _rows(session, Payout, Payout.task_id, [task_id])
    replies = await _rows(session, Reply, Reply.task_id, [task_id])
    deliveries = await _rows(session, CallbackDelivery, CallbackDelivery.event_id, _ids(events))
    inbound = await _inbound(session, task)
    submissions = await _rows(session, Submission, Submission.task_id, [task_id])
    reviews = await _rows(session, Review, Review.task_id, [task_id])
    families = (events, assignments, submissions, runs, payouts, replies, deliveries, inbound, reviews)
    subjects = [task_id, *(key for family in families for key in _ids(family))]
    return Trail(
        task=task,
        organisation=task.organisation_id if organisation is None else organisation.name,
        inbound=inbound,
        messages=await _rows(session, TaskMessage, TaskMessage.task_id, [task_id]),
        events=events,
        assignments=assignments,
        submissions=submissions,
        runs=runs,
        verdicts=await _rows(session, VerdictRow, VerdictRow.run_id, _ids(runs)),
        decisions=await _rows(session, DecisionRow, DecisionRow.task_id, [task_id]),
        reviews=reviews,
        payouts=payouts,
        attempts=await _rows(session, PayoutAttempt, PayoutAttempt.payout_id, _ids(payouts)),
        transfers=await _rows(session, LedgerTransfer, LedgerTransfer.subject, subjects),
        replies=replies,
        deliveries=deliveries,
        jobs=await _rows(session, OutboxRow, OutboxRow.subject, subjects),
        audit=await _rows(session, AuditEntry, AuditEntry.subject, subjects),
        people=await _names(session, {row.worker_id for row in assignments}),
    )


async def _rows(session: AsyncSession, kind: type[Row], column: Any, values: list[str]) -> list[Row]:
    if not values:
        return []
    key: Any = kind.__mapper__.primary_key[0]
    found = await session.scalars(select(kind).where(column.in_(values)).order_by(key).limit(_ROWS))
    return list(found)


async def _inbound(session: AsyncSession, task: Task) -> list[InboundEvent]:
    """The deliveries that made or changed the task; only a task that came through a connector has any."""
    if task.connector is None:
        return []
    found = await session.scalars(
        select(InboundEvent)
        .where(InboundEvent.connector == task.connector, InboundEvent.task_id == task.id)
        .order_by(InboundEvent.id)
        .limit(_ROWS)
    )
    return list(found)


async def _names(session: AsyncSession, ids: set[str]) -> dict[str, str]:
    if not ids:
        return {}
    found = await session.execute(select(Person.id, Person.name).where(Person.id.in_(sorted(ids))))
    return {row[0]: row[1] for row in found}


def _ids(rows: list[Any]) -> list[str]:
    return [row.id for row in rows]
