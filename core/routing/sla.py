"""What happens when a task's timer rings: at 80 %, at 100 % and at the hard stop. One handler for the three topics,
because what is owed is read from the clock and the state (`deadlines.owed`), not from which timer rang.

An answer that was given before the hard stop is judged, also after it: at the hard stop nobody else may answer any
more, and the task expires only if that answer does not pass (`core/verification/actions.py`)."""

from __future__ import annotations

from core import clock
from core.db.unit_of_work import Transaction
from core.outbox.rows import Lease
from core.routing import automatic, budget
from core.routing.assignments import end_all, leave, living, task_for_update
from core.routing.backups import refusal
from core.routing.candidates import questions
from core.routing.deadlines import Owed, overdue, owed
from core.routing.decisions import decided, keep
from core.routing.endings import expire
from core.routing.house import for_one_alone
from core.routing.late import TAKEN_BACK
from core.routing.model import Policy
from core.routing.offering import deadlines, held, offer_to_best, set_timers, time_left, try_again
from core.routing.shortlist import shortlist
from core.routing.states import HOLDS_CAPACITY, AssignmentKind, AssignmentState
from core.tasks.changes import change
from core.tasks.states import ENDED, TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskType, TaskTypes

TOPICS = ("task.at_80", "task.at_100", "task.hard_stop")


async def ring(tx: Transaction, lease: Lease, types: TaskTypes, policy: Policy) -> Owed:
    """Do what is owed to the task that `lease` names, and set the alarms of its present round. Gives what was owed."""
    task = await task_for_update(tx, lease.subject)
    kind = types.of(task.task_type)
    now = await tx.now_ms()
    status = TaskStatus(task.status)
    if status in ENDED:
        return Owed.NOTHING
    if now < (
        at_ms := int(lease.body.get("at_ms", 0))
    ):  # a clock that was set back: the alarm must not be lost
        tx.emit(lease.topic, task.id, body=lease.body, delay=(at_ms - now) / 1000)
    due = owed(now, deadlines(task, kind), status, held(await living(tx, task.id)))
    match due:
        case Owed.EXPIRE:
            await expire(tx, task)
        case Owed.CLOSE:
            await end_all(tx, task.id, "hard_stop", states=HOLDS_CAPACITY)
            tx.emit("task.decide", task.id, body={"closing": True})
        case Owed.TAKE_BACK:
            await _take_back(tx, task, types)
        case Owed.BACKUP:
            if for_one_alone(task):
                pass
            elif task.answers_wanted > 1:
                tx.emit("task.more", task.id)  # whoever dawdles has others beside them already
            elif not await _back_up(tx, task, kind, types, policy):
                await _wake(tx, task)
                await try_again(tx, "task.at_80", task, policy)
        case Owed.NOTHING:
            pass
    if due not in (Owed.EXPIRE, Owed.CLOSE):
        await set_timers(tx, task, kind)
    return due


async def _back_up(tx: Transaction, task: Task, kind: TaskType, types: TaskTypes, policy: Policy) -> bool:
    """A second person is offered the task if there are hands to spare for it. False when not; why is kept."""
    skills, rules = frozenset(task.skills) | frozenset(kind.skills), policy.sla.backups
    held_budgets = await budget.budgets(tx, task.environment, skills, types, rules)
    waiting = await budget.waiting(tx, task.environment, skills, types)
    now, role = await tx.now_ms(), AssignmentKind.BACKUP
    [asked] = await questions(tx.session, [(task, kind)], policy)
    left = time_left(task, kind, now)
    found = await shortlist(tx.database, tx.session, asked.question, now, left, policy)
    why_not = refusal(rules, held_budgets, found.able, waiting)
    if why_not is not None:
        decision = decided(asked.question, found, [], left, policy, not_now=str(why_not))
        await keep(tx, decision, task.id, role, asked.free_slot, None)
        return False
    if not await offer_to_best(tx, task, kind, policy, role=role):
        return False
    await budget.spend(tx, task.environment, skills)
    return True


async def _wake(tx: Transaction, task: Task) -> None:
    """Who has the task is told that its time is nearly up; it costs nobody a hand."""
    for one in await living(tx, task.id):
        if one.state in HOLDS_CAPACITY and one.woken_at is None:
            one.woken_at = clock.from_ms(await tx.now_ms())


async def _take_back(tx: Transaction, task: Task, types: TaskTypes) -> None:
    """Whoever is overdue loses the task and is never offered it again. When nobody is left it is routed anew, which
    counts as a re-route."""
    now = await tx.now_ms()
    present = await living(tx, task.id)
    late = overdue(now, deadlines(task, types.of(task.task_type)), held(present))
    for one in sorted((one for one in present if one.id in late), key=lambda one: one.worker_id):
        await leave(tx, one, AssignmentState.LAPSED, reason=TAKEN_BACK)
        await automatic.not_there(tx, one.worker_id)
    if task.answers_wanted > 1 and late and task.status != TaskStatus.POSTED:
        tx.emit("task.more", task.id)
    if task.status == TaskStatus.ASSIGNED and len(late) == len(present):
        await change(tx, task, TaskStatus.POSTED, actor="hub", reroutes=task.reroutes + 1)
        tx.emit("task.posted", task.id)
