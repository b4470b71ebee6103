"""Offers one task to the best worker there is now, and sets what has to ring later. Used by `actions.py` for the first
worker, by `sla.py` for a backup. The caller holds the task's row."""

from __future__ import annotations

from core import clock, ids
from core.db.unit_of_work import Transaction
from core.outbox.rows import NewJob
from core.routing.assignments import claim
from core.routing.candidates import able, questions
from core.routing.deadlines import Deadlines, Held, backup_at, timers
from core.routing.model import Candidate, Policy, Question
from core.routing.score import Score, ranked
from core.routing.states import AssignmentKind, AssignmentState
from core.routing.tables import Assignment
from core.tasks.tables import Task
from core.tasks.types import TaskType


async def offer_to_best(
    tx: Transaction, task: Task, kind: TaskType, policy: Policy, *, role: AssignmentKind
) -> Assignment | None:
    """The assignment, offered, in the lowest slot that is free; None when nobody can take it now. A candidate whom
    another task took meanwhile is passed over."""
    now = await tx.now_ms()
    [asked] = await questions(tx.session, [(task, kind)], policy)
    candidates = await able(tx.session, asked.question, now, policy)
    for best in best_of(asked.question, task, kind, candidates, now, policy):
        assignment = offered(task, kind, best, asked.free_slot, now, role)
        if await claim(tx, assignment):
            tx.jobs.append(lapse_job(assignment, now))
            return assignment
    return None


async def free_for(tx: Transaction, task: Task, kind: TaskType, policy: Policy) -> int:
    """How many could take the task now; beyond `policy.candidates` nobody is counted."""
    [asked] = await questions(tx.session, [(task, kind)], policy)
    return len(await able(tx.session, asked.question, await tx.now_ms(), policy))


def best_of(
    question: Question, task: Task, kind: TaskType, candidates: list[Candidate], now: int, policy: Policy
) -> list[Score]:
    """Best first, by what they can do in the time that is left."""
    seconds_left = (deadlines(task, kind).due_ms(now) - now) / 1000
    return ranked(question, candidates, seconds_left, policy.weights)


def offered(task: Task, kind: TaskType, best: Score, slot: int, now: int, role: AssignmentKind) -> Assignment:
    due = deadlines(task, kind).due_ms(now)
    return Assignment(
        id=ids.new("asg"),
        task_id=task.id,
        worker_id=best.worker_id,
        slot=slot,
        kind=str(role),
        state=str(AssignmentState.OFFERED),
        score=best.total,
        offered_at=clock.from_ms(now),
        expires_at=clock.from_ms(min(now + kind.offer_seconds * 1000, due)),
        due_at=clock.from_ms(due),
    )


def lapse_job(assignment: Assignment, now: int) -> NewJob:
    """Rings when the offer runs out."""
    delay = (clock.to_ms(assignment.expires_at) - now) / 1000
    return NewJob.make("assignment.lapse", assignment.id, body=None, delay=delay, queue="default", key=None)


async def set_timers(tx: Transaction, task: Task, kind: TaskType) -> None:
    """The alarms of the task's present round. Their keys make a repeat harmless."""
    tx.jobs.extend(timer_jobs(task, kind, await tx.now_ms()))


def timer_jobs(task: Task, kind: TaskType, now: int) -> list[NewJob]:
    return [
        NewJob.make(
            timer.topic,
            task.id,
            body={"at_ms": timer.at_ms},
            delay=(timer.at_ms - now) / 1000,
            queue="default",
            key=timer.key,
        )
        for timer in timers(task.id, deadlines(task, kind), now)
    ]


async def try_again(tx: Transaction, topic: str, task: Task, policy: Policy) -> None:
    """The same job again in a moment, because nobody could take the task. However many jobs find nobody at the same
    time, there is one such row for each span of `retry_seconds`: whoever runs in one span sets the next one's."""
    span = policy.retry_seconds * 1000
    key = f"task:{task.id}:{topic}:{await tx.now_ms() // span + 1}"
    tx.emit(topic, task.id, delay=policy.retry_seconds, key=key)


def backup_at_ms(task: Task) -> int:
    return backup_at(clock.to_ms(task.expires_at), task.sla_seconds * 1000)


def deadlines(task: Task, kind: TaskType) -> Deadlines:
    return Deadlines(
        sla_ms=task.sla_seconds * 1000,
        expires_at_ms=clock.to_ms(task.expires_at),
        hard_stop_at_ms=clock.to_ms(task.hard_stop_at),
        reroutes=task.reroutes,
        max_reroutes=kind.max_reroutes,
    )


def held(assignments: list[Assignment]) -> list[Held]:
    return [
        Held(
            id=one.id,
            state=AssignmentState(one.state),
            due_at_ms=clock.to_ms(one.due_at),
            worry_at_ms=None if one.worry_at is None else clock.to_ms(one.worry_at),
        )
        for one in assignments
    ]
