"""The queue that a worker looks through and claims from, beside the offers that come by themselves. Called by the
worker's pages and API. What is listed is a hint; `take` decides under the task's lock, with the same rules and the same
conditional claim as an offer: one slot, one holder, nobody above their capacity."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.audit.record import record
from core.db.unit_of_work import Transaction
from core.errors import Conflict, Invalid, NotFound
from core.routing.assignments import claim_first, leave, task_for_update
from core.routing.candidates import questions
from core.routing.decisions import decided, keep
from core.routing.eligible import SENTENCES_TO_WORKER, Refusal, refusals
from core.routing.model import Candidate, Policy, Question
from core.routing.offering import offered, set_timers, time_left
from core.routing.people import named_workers
from core.routing.promise import promise
from core.routing.score import ranked
from core.routing.shortlist import explained
from core.routing.states import AssignmentKind, AssignmentState
from core.routing.tables import Assignment
from core.tasks.changes import change
from core.tasks.states import TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskTypes
from core.workers.tables import Worker

BATCH = 50
MOST_LOOKED_AT = 500  # waiting tasks read for one page
# What does not keep a worker from looking: full hands, or a pause.
_ONLY_WHEN_TAKING = frozenset({Refusal.CAPACITY, Refusal.UNAVAILABLE, Refusal.COOL_OFF})


class QueuePage(msgspec.Struct, frozen=True, kw_only=True):
    """What this worker may claim, the task whose time ends first at the top; `after` goes on from there, None at the
    end."""

    tasks: list[Task]
    after: str | None


async def browse(
    session: AsyncSession,
    worker_id: str,
    types: TaskTypes,
    policy: Policy,
    *,
    after: str | None = None,
    limit: int = 20,
) -> QueuePage:
    """Raises NotFound for somebody who is no worker, Invalid for a broken cursor. A page may be short of `limit` and
    still have a next one, when many tasks in between are for others."""
    worker = await session.get(Worker, worker_id)
    if worker is None:
        raise NotFound("unknown_worker", "There is no such worker")
    me: dict[str, Candidate] = {}  # as each organisation sees them
    place = _cursor(after)
    found: list[Task] = []
    for _ in range(MOST_LOOKED_AT // BATCH):
        rows = await _waiting(session, worker.environment, place)
        asked = await questions(session, [(task, types.of(task.task_type)) for task in rows], policy)
        for task, one in zip(rows, asked, strict=True):
            place = (clock.to_ms(task.expires_at), task.id)
            asker = task.organisation_id
            if asker not in me:
                me[asker] = await _me(session, one.question, worker_id, clock.now_ms())
            if not set(refusals(one.question, me[asker])) - _ONLY_WHEN_TAKING:
                found.append(task)
                if len(found) == limit:
                    return QueuePage(tasks=found, after=f"{place[0]}.{place[1]}")
        if len(rows) < BATCH:
            return QueuePage(tasks=found, after=None)
    return QueuePage(tasks=found, after=None if place is None else f"{place[0]}.{place[1]}")


async def take(tx: Transaction, task_id: str, worker_id: str, types: TaskTypes, policy: Policy) -> Assignment:
    """Transaction `routing.take`: the worker claims a waiting task and has it in hand at once. Taking it twice is taking
    it once. Raises NotFound for no task (or one of the other environment), Conflict when it is gone or not for them."""
    task = await task_for_update(tx, task_id)
    mine = await tx.session.scalar(
        select(Assignment).where(Assignment.task_id == task_id, Assignment.worker_id == worker_id)
    )
    if mine is not None and mine.state == AssignmentState.ACCEPTED:
        return mine
    now = await tx.now_ms()
    if task.status != TaskStatus.POSTED or not task.funded or now >= clock.to_ms(task.hard_stop_at):
        raise Conflict("task_gone", "Somebody else has this question, or its time is over")
    kind = types.of(task.task_type)
    [asked] = await questions(tx.session, [(task, kind)], policy)
    me = await _me(tx.session, asked.question, worker_id, now)
    reasons = [reason for reason in refusals(asked.question, me) if reason is not Refusal.COOL_OFF]
    if Refusal.ENVIRONMENT in reasons:
        raise NotFound("unknown_task", "There is no such task")
    if reasons:
        told = "; ".join(SENTENCES_TO_WORKER[reason] for reason in reasons)
        raise Conflict("not_for_you", told, reasons=[str(reason) for reason in reasons])
    assignment = await _claimed(tx, task, kind, me, asked.question, asked.free_slot, policy)
    await change(tx, task, TaskStatus.ASSIGNED, actor="hub")
    await set_timers(tx, task, kind)
    await record(
        tx, actor=f"person:{worker_id}", action="assignment.taken", subject=assignment.id, task=task.id
    )
    return assignment


async def _claimed(
    tx: Transaction, task: Task, kind: Any, me: Candidate, question: Question, slot: int, policy: Policy
) -> Assignment:
    now = await tx.now_ms()
    left = time_left(task, kind, now)
    [score] = ranked(question, [me], left, policy.weights)
    made = offered(task, kind, score, slot, now, AssignmentKind.PRIMARY)
    if await claim_first(tx, made, [(me.worker_id, score.total)]) is None:
        raise Conflict("hands_full", "Your hands are full, or somebody was faster")
    row = await tx.session.get_one(Assignment, made.id)
    await leave(tx, row, AssignmentState.ACCEPTED, accepted_at=clock.from_ms(now))
    await promise(tx, task, row, policy)
    decision = decided(question, explained(question, [me], [me]), [score], left, policy, taken=True)
    await keep(tx, decision, task.id, AssignmentKind.PRIMARY, slot, row.id)
    return row


async def _waiting(session: AsyncSession, environment: str, place: tuple[int, str] | None) -> list[Task]:
    statement = select(Task).where(
        Task.status == str(TaskStatus.POSTED), Task.environment == environment, Task.funded
    )
    if place is not None:
        statement = statement.where(tuple_(Task.expires_at, Task.id) > (clock.from_ms(place[0]), place[1]))
    return list(await session.scalars(statement.order_by(Task.expires_at, Task.id).limit(BATCH)))


def _cursor(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    moment, dot, task_id = text.partition(".")
    if not dot or not moment.isdecimal() or not moment.isascii() or len(moment) > 15 or len(task_id) > 64:
        raise Invalid("bad_cursor", "Must be a cursor", field_errors={"cursor": "Use `nextCursor` of a page"})
    return int(moment), task_id


async def _me(session: AsyncSession, question: Question, worker_id: str, now_ms: int) -> Candidate:
    found = await named_workers(session, question, [worker_id], now_ms)
    if not found:
        raise NotFound("unknown_worker", "There is no such worker")
    return found[0]
