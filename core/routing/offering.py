"""Offers one task to the best worker there is now, and sets what has to ring later. Used by `actions.py` for the first
worker, by `sla.py` for a backup. The caller holds the task's row."""

from __future__ import annotations

from core import clock, ids
from core.db.base import unwatched
from core.db.unit_of_work import Transaction
from core.outbox.rows import NewJob
from core.routing.assignments import claim_first
from core.routing.automatic import accept_at_once
from core.routing.candidates import questions
from core.routing.deadlines import Deadlines, Held, backup_at, timers
from core.routing.decisions import decided, keep
from core.routing.drawing import Draw, in_order
from core.routing.model import Policy
from core.routing.score import Score, ranked
from core.routing.shortlist import shortlist
from core.routing.states import AssignmentKind, AssignmentState
from core.routing.tables import Assignment
from core.routing.times import predicted
from core.tasks.tables import Task
from core.tasks.types import TaskType

_ROUNDS = 10  # of candidates who were all gone when they were asked


async def offer_to_best(
    tx: Transaction,
    task: Task,
    kind: TaskType,
    policy: Policy,
    *,
    role: AssignmentKind,
    slot: int | None = None,
    draw: Draw | None = None,
) -> Assignment | None:
    """The assignment, offered (or in hand at once: `automatic.py`), in `slot`, or in the lowest one that is free; None when nobody can take it now. A candidate
    whom another task took meanwhile is passed over. Never somebody who had the task in any slot, nor of their cluster.
    With `draw` the order is not that of the scores (`drawing.py`). Why is kept with it (`decisions.py`)."""
    now = await tx.now_ms()
    [asked] = await questions(tx.session, [(task, kind)], policy)
    question, place = asked.question, asked.free_slot if slot is None else slot
    seconds_left = time_left(task, kind, now)
    for last in [False] * _ROUNDS + [True]:
        found = await shortlist(tx.database, tx.session, question, now, seconds_left, policy)
        known = await predicted(tx.session, task.environment, task.task_type, found.candidates)
        scores = ranked(question, known, seconds_left, policy.weights)
        draws = await draw(tx, task, [one.worker_id for one in scores]) if draw and scores else None
        if draws is not None:
            scores = in_order(scores, draws, policy.weights.late)
        decision = decided(question, found, scores, seconds_left, policy, draws)
        if last or not scores:
            await keep(tx, decision, task.id, role, place, None)
            return None
        assignment = offered(task, kind, scores[0], place, now, role)
        scored = [(one.worker_id, one.total) for one in scores[: policy.claims]]
        taken = await claim_first(tx, assignment, scored)
        if taken is not None:
            assignment.worker_id, assignment.score = taken, dict(scored)[taken]
            if not await accept_at_once(tx, task, assignment, policy):
                tx.jobs.append(lapse_job(assignment, now))
            await keep(tx, decision, task.id, role, place, assignment.id)
            return assignment
        if place in asked.taken:
            return None
    return None


def time_left(task: Task, kind: TaskType, now: int) -> float:
    """Seconds that somebody who is offered the task now has for it."""
    return seconds_of(deadlines(task, kind), now)


def seconds_of(clocked: Deadlines, now: int) -> float:
    """`time_left` by the clock of the task."""
    return (clocked.due_ms(now) - now) / 1000


def offered(task: Task, kind: TaskType, best: Score, slot: int, now: int, role: AssignmentKind) -> Assignment:
    due = deadlines(task, kind).due_ms(now)
    values = {
        "id": ids.new("asg"),
        "task_id": task.id,
        "worker_id": best.worker_id,
        "slot": slot,
        "kind": str(role),
        "state": str(AssignmentState.OFFERED),
        "score": best.total,
        "offered_at": clock.from_ms(now),
        "expires_at": clock.from_ms(min(now + kind.offer_seconds * 1000, due)),
        "due_at": clock.from_ms(due),
    }
    return unwatched(Assignment, values)


def lapse_job(assignment: Assignment, now: int) -> NewJob:
    """Rings when the offer runs out."""
    return lapse_at(assignment.id, clock.to_ms(assignment.expires_at) - now)


def lapse_at(assignment_id: str, delay_ms: int) -> NewJob:
    return NewJob.make(
        "assignment.lapse", assignment_id, body=None, delay=delay_ms / 1000, queue="default", key=None
    )


def more_jobs(task: Task) -> list[NewJob]:
    """Asks further people, for a task that wants several answers."""
    if task.answers_wanted <= 1:
        return []
    return [NewJob.make("task.more", task.id, body=None, delay=0, queue="default", key=None)]


async def set_timers(tx: Transaction, task: Task, kind: TaskType) -> None:
    """The alarms of the task's present round. Their keys make a repeat harmless."""
    tx.jobs.extend(timer_jobs(task, kind, await tx.now_ms()))


def timer_jobs(task: Task, kind: TaskType, now: int) -> list[NewJob]:
    return timer_jobs_of(task.id, deadlines(task, kind), now)


def timer_jobs_of(task_id: str, clocked: Deadlines, now: int) -> list[NewJob]:
    return [
        NewJob.make(
            timer.topic,
            task_id,
            body={"at_ms": timer.at_ms},
            delay=(timer.at_ms - now) / 1000,
            queue="default",
            key=timer.key,
        )
        for timer in timers(task_id, clocked, now)
    ]


async def try_again(tx: Transaction, topic: str, task: Task, policy: Policy) -> None:
    """The same job again in a moment, because nobody could take the task. However many jobs find nobody at the same
    time, there is one such row for each span of `retry_seconds`: whoever runs in one span sets the next one's."""
    tx.jobs.append(again_job(topic, task, await tx.now_ms(), policy))


def again_job(topic: str, task: Task, now: int, policy: Policy) -> NewJob:
    key = f"task:{task.id}:{topic}:{now // (policy.retry_seconds * 1000) + 1}"
    return NewJob.make(topic, task.id, body=None, delay=policy.retry_seconds, queue="default", key=key)


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
