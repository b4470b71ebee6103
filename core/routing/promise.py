"""What is expected of a turn from the moment that it is accepted: when the answer is likely, and from when on it is likely to
be late. Called by `actions.accept`; `extend` by whoever gives a worker more time."""

from __future__ import annotations

from core import clock
from core.db.unit_of_work import Transaction
from core.errors import Conflict
from core.routing import times
from core.routing.model import Policy
from core.routing.predict import Prediction, predict, worry_after
from core.routing.states import HOLDS_CAPACITY
from core.routing.tables import Assignment
from core.tasks.tables import Task

KNOWN_FROM = 20  # answers of a type before a prediction calls for help before 80 %: a guess does not


async def promise(tx: Transaction, task: Task, turn: Assignment, policy: Policy) -> Prediction:
    """Write the expectation into the turn and the task, and set an alarm where the deadline is likely to be missed, if
    that is before 80 % of the SLA, where one rings anyway. The caller holds the task's row and has just accepted."""
    now = await tx.now_ms()
    typical = policy.weights.typical_seconds
    known = await times.states(tx.session, task.environment, task.task_type, [turn.worker_id], typical)
    found = predict(known[turn.worker_id])
    turn.p50_seconds, turn.p90_seconds = found.p50_seconds, found.p90_seconds
    left = (min(clock.to_ms(turn.due_at), clock.to_ms(task.expires_at)) - now) / 1000
    enough = known[turn.worker_id].of("kind:time").count >= KNOWN_FROM
    after = worry_after(found, left, policy.sla.late_percent / 100) if enough and left > 0 else None
    if after is not None:
        worry = now + round(after * 1000)
        turn.worry_at = clock.from_ms(worry)
        ring_at(tx, task, "task.at_80", worry, now, key=f"task:{task.id}:worry:{turn.id}")
    p90_at = clock.from_ms(now + round(found.p90_seconds * 1000))
    if task.p90_at is None or p90_at < task.p90_at:
        task.p50_at, task.p90_at = clock.from_ms(now + round(found.p50_seconds * 1000)), p90_at
    return found


async def extend(tx: Transaction, task: Task, turn: Assignment, seconds: int) -> int:
    """Give the worker `seconds` more before the task is taken back, at most until the hard stop; the new end, in
    milliseconds UTC. The asker's SLA does not move: at 80 % of it a backup is looked for as ever. How often somebody may
    ask is the caller's rule. The caller holds the task's row. Raises Conflict when the turn is not in their hands, or
    there is no time left to give."""
    if turn.state not in HOLDS_CAPACITY:
        raise Conflict("wrong_state", "This task is no longer in your hands", state=turn.state)
    due, stop = clock.to_ms(turn.due_at), clock.to_ms(task.hard_stop_at)
    later = min(due + seconds * 1000, stop)
    if later <= due:
        raise Conflict("no_time_left", "This task has no more time to give")
    turn.due_at = clock.from_ms(later)
    if later < stop:
        key = f"task:{task.id}:due:{turn.id}:{later}"
        ring_at(tx, task, "task.at_100", later, await tx.now_ms(), key=key)
    return later


def ring_at(tx: Transaction, task: Task, topic: str, at_ms: int, now_ms: int, *, key: str) -> None:
    """An alarm of the task; its instant travels along for the case that the clock is set back (`sla.ring`)."""
    tx.emit(topic, task.id, body={"at_ms": at_ms}, delay=(at_ms - now_ms) / 1000, key=key)
