"""What happens between a task and its people: offered, accepted, declined, given back, answered. Each function is one
transaction of its caller: the jobs of `hub/jobs`, the worker's pages and the worker's API.

A task is `posted` while nobody has it, `assigned` while somebody is offered it or works on it, `submitted` while an
answer is judged and until all answers that it wants are there. With a backup there can be two answers to a task that
wants one: the first to come is judged, the second waits as a submitted assignment and is judged only if the first is
refused (`core/verification/actions.py`)."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import select

from core import clock, ids
from core.audit.record import record
from core.db.base import to_json
from core.db.engine import Database
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import Conflict, NotFound
from core.outbox.rows import Lease
from core.routing import late
from core.routing.assignments import OFFER_EXPIRED, leave, living, task_for_update, task_to_offer
from core.routing.at_once import offer_at_once
from core.routing.deadlines import late_alone
from core.routing.endings import cancel
from core.routing.house import for_one_alone, wait_like_real_ms
from core.routing.model import LateAnswers, Policy
from core.routing.offering import backup_at_ms, held, offer_to_best, set_timers, try_again
from core.routing.promise import promise
from core.routing.rounds import Rounds
from core.routing.states import AssignmentKind, AssignmentState
from core.routing.tables import Assignment, Submission
from core.routing.waiting import to_offer
from core.tasks.changes import change
from core.tasks.states import ENDED, TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskTypes
from core.workers.actions import announce_free, cool_off
from core.workers.availability import suspension_of


async def offer(tx: Transaction, task_id: str, types: TaskTypes, policy: Policy) -> Assignment | None:
    """Transaction `routing.offer`: set the task's timers and offer it to the best worker, if it
    is funded and nobody has it. When nobody can take it, it is tried again soon and whenever a worker is free."""
    task = await task_to_offer(tx, task_id)
    if task.status in ENDED:
        return None
    kind = types.of(task.task_type)
    await set_timers(tx, task, kind)
    if task.status != TaskStatus.POSTED or not task.funded:
        return None
    if await tx.now_ms() >= clock.to_ms(task.hard_stop_at):
        return None  # its own timer ends it
    if for_one_alone(task):
        await cancel(tx, task, "hub")
        return None
    assignment = await offer_to_best(tx, task, kind, policy, role=AssignmentKind.PRIMARY)
    if assignment is None:
        await try_again(tx, "task.posted", task, policy)
        return None
    await change(tx, task, TaskStatus.ASSIGNED, actor="hub")
    if task.answers_wanted > 1:
        tx.emit("task.more", task.id)
    return assignment


async def offer_posted(work: UnitOfWork, lease: Lease, types: TaskTypes, policy: Policy) -> None:
    """Topic `task.posted`: `offer`, in three statements where that is possible."""
    if work.database.dialect == "postgresql" and await offer_at_once(work, lease, types, policy):
        return
    async with work.finishing(lease, "routing.offer") as tx:
        await offer(tx, lease.subject, types, policy)


async def lapse(tx: Transaction, lease: Lease, policy: Policy) -> None:
    """`lapse_offer` of the assignment that the job names."""
    await lapse_offer(tx, lease.subject, policy)


async def lapse_offer(tx: Transaction, assignment_id: str, policy: Policy | None = None) -> None:
    """Topic `assignment.lapse`: an offer that nobody answered goes to somebody else, and who did not answer gets none for
    the policy's `cool_off_seconds`."""
    task, assignment = await _locked(tx, assignment_id)
    if assignment.state != AssignmentState.OFFERED:
        return
    left = clock.to_ms(assignment.expires_at) - await tx.now_ms()
    if left > 0:
        tx.emit("assignment.lapse", assignment_id, delay=left / 1000)
        return
    await leave(tx, assignment, AssignmentState.LAPSED, reason=OFFER_EXPIRED)
    if policy is not None and policy.cool_off_seconds:
        await cool_off(tx, assignment.worker_id, policy.cool_off_seconds)
    await settle(tx, task)


async def accept(
    tx: Transaction, assignment_id: str, worker_id: str, policy: Policy | None = None
) -> Assignment:
    """Transaction `routing.accept`: the worker takes the offer. Accepting twice is accepting once. Raises NotFound
    for somebody else's offer, Conflict when it has run out, was answered otherwise, or the worker is suspended."""
    task, assignment = await _locked(tx, assignment_id, worker_id)
    if assignment.state == AssignmentState.ACCEPTED:
        return assignment
    now = await tx.now_ms()
    if assignment.state == AssignmentState.OFFERED and now >= clock.to_ms(assignment.expires_at):
        raise Conflict("offer_expired", "This offer has run out")
    _must_be(assignment, AssignmentState.OFFERED, "This offer is no longer open")
    if await suspension_of(tx.session, worker_id) is not None:
        raise Conflict("suspended", "Your account is suspended; you see why on your page, and can appeal")
    await leave(tx, assignment, AssignmentState.ACCEPTED, accepted_at=clock.from_ms(now))
    await promise(tx, task, assignment, policy or Policy())
    await _audit(tx, assignment, "accepted")
    return assignment


async def decline(tx: Transaction, assignment_id: str, worker_id: str) -> Assignment:
    """The worker does not want the offer; somebody else gets it. Raises NotFound, Conflict when it is not open."""
    return await _give_back(tx, assignment_id, worker_id, AssignmentState.OFFERED, AssignmentState.DECLINED)


async def release(tx: Transaction, assignment_id: str, worker_id: str) -> Assignment:
    """The worker gives back what they accepted, without penalty. Raises NotFound, Conflict when they do not have it."""
    return await _give_back(tx, assignment_id, worker_id, AssignmentState.ACCEPTED, AssignmentState.RELEASED)


async def save_draft(tx: Transaction, assignment_id: str, worker_id: str, form: dict[str, list[str]]) -> None:
    """Keep what the worker has filled in so far. Raises NotFound, Conflict when the task is not in their hands."""
    assignment = await tx.session.get(Assignment, assignment_id)
    if assignment is None or assignment.worker_id != worker_id:
        raise NotFound("unknown_assignment", "There is no such task for you")
    if assignment.state != AssignmentState.ACCEPTED:  # whether an answer is taken late is for `submit` to say
        task = await tx.session.get_one(Task, assignment.task_id)
        late.must_be_allowed(assignment, task, LateAnswers.PAID, await tx.now_ms())
    sql = (
        "INSERT INTO drafts (assignment_id, form, updated_at) VALUES ($1, $2, $3) "
        "ON CONFLICT (assignment_id) DO UPDATE SET form = excluded.form, updated_at = excluded.updated_at"
    )
    await tx.execute(for_dialect(sql, tx.dialect), (assignment_id, to_json(form), await tx.now_ms()))


async def submit(
    tx: Transaction,
    assignment_id: str,
    worker_id: str,
    output: Any,
    late_answers: LateAnswers = LateAnswers.PAID,
) -> Submission:
    """Transaction `routing.submit`: the worker's answer, which the caller has checked against the schema. The same
    answer again gives the stored one. Answers are taken until the hard stop, and by `late_answers` also from
    somebody from whom the task was taken back. Raises NotFound for somebody else's task, Conflict when it is not in their hands or answered differently."""
    task, assignment = await _locked(tx, assignment_id, worker_id)
    before = await submission_of(tx, assignment_id)
    if before is not None:
        if _canonical(before.output) != _canonical(output):
            raise Conflict("answered", "You have answered this task already")
        return before
    now = await tx.now_ms()
    after_all = assignment.state == AssignmentState.LAPSED
    if after_all:
        late.must_be_allowed(assignment, task, late_answers, now)
    else:
        _must_be(assignment, AssignmentState.ACCEPTED, "This task is no longer in your hands")
    if now >= clock.to_ms(task.hard_stop_at):
        raise Conflict("too_late", "The time for this task is over")
    if after_all:
        await late.take(tx, task, assignment)
    else:
        await leave(tx, assignment, AssignmentState.SUBMITTED)
    submission = Submission(
        id=ids.new("sub"),
        assignment_id=assignment.id,
        task_id=task.id,
        worker_id=worker_id,
        output=output,
        created_at=clock.from_ms(now),
    )
    tx.session.add(submission)
    sql = for_dialect("DELETE FROM drafts WHERE assignment_id = $1", tx.dialect)
    await tx.execute(sql, (assignment_id,))
    await _audit(tx, assignment, "submitted")
    if task.status in (TaskStatus.ASSIGNED, TaskStatus.POSTED):
        await change(tx, task, TaskStatus.SUBMITTED, actor=f"person:{worker_id}")
        wait_ms = await wait_like_real_ms(tx, worker_id, task) if for_one_alone(task) else 0
        tx.emit("submission.received", submission.id, delay=wait_ms / 1000)
    elif task.answers_wanted > 1:
        tx.emit("submission.received", submission.id)
    return submission


async def offer_waiting(work: UnitOfWork, lease: Lease, types: TaskTypes, policy: Policy) -> int:
    """Topic `worker.free`: offer the waiting tasks that somebody can take now, earliest deadline first, each in a
    transaction of its own. Gives how many this job offered; what is left over gets a job of its own. Jobs that come while another
    is at it are ended together by one more round (`rounds.py`)."""
    found = await _rounds.joined(
        work.database, lease.subject, lambda: _offer_batch(work, lease, types, policy)
    )
    offered, more = found or (0, False)
    async with work.finishing(lease, "routing.offer_waiting") as tx:
        if offered and more:
            announce_free(tx, lease.subject)
    return offered


_rounds: Rounds[Database] = Rounds()


async def _offer_batch(work: UnitOfWork, lease: Lease, types: TaskTypes, policy: Policy) -> tuple[int, bool]:
    """How many were offered, and whether there are more."""
    async with work.read() as session:
        task_ids = await to_offer(session, work.database, lease.subject, types, policy)
    offered = 0
    for task_id in task_ids[: policy.waiting_batch]:
        async with work.fenced(lease, "routing.offer") as tx:
            offered += await offer(tx, task_id, types, policy) is not None
    return offered, len(task_ids) > policy.waiting_batch


async def submission_of(tx: Transaction, assignment_id: str) -> Submission | None:
    return await tx.session.scalar(select(Submission).where(Submission.assignment_id == assignment_id))


async def settle(tx: Transaction, task: Task) -> None:
    """After somebody let go of an assigned task: with nobody left it goes back to the queue; with one left who is late,
    another backup is looked for; a task that wants several answers asks somebody else in their place. The caller holds
    the task's row."""
    if task.status == TaskStatus.SUBMITTED and task.answers_wanted > 1:
        tx.emit("task.more", task.id)
    if task.status != TaskStatus.ASSIGNED:
        return
    left = await living(tx, task.id)
    if not left:
        await change(tx, task, TaskStatus.POSTED, actor="hub")
        tx.emit("task.posted", task.id)
    elif task.answers_wanted > 1:
        tx.emit("task.more", task.id)
    elif len(left) == 1 and late_alone(await tx.now_ms(), backup_at_ms(task), *held(left)):
        tx.emit("task.at_80", task.id)


async def _give_back(
    tx: Transaction, assignment_id: str, worker_id: str, held: AssignmentState, to: AssignmentState
) -> Assignment:
    task, assignment = await _locked(tx, assignment_id, worker_id)
    if assignment.state == to:
        return assignment
    _must_be(assignment, held, "This task is no longer in your hands")
    await leave(tx, assignment, to)
    await _audit(tx, assignment, to)
    await settle(tx, task)
    return assignment


async def _locked(
    tx: Transaction, assignment_id: str, worker_id: str | None = None
) -> tuple[Task, Assignment]:
    """The task's row under its lock, then the assignment as it is under that lock. `worker_id`: only their own."""
    found = await tx.session.get(Assignment, assignment_id)
    if found is None or worker_id not in (None, found.worker_id):
        raise NotFound("unknown_assignment", "There is no such task for you")
    task = await task_for_update(tx, found.task_id)
    await tx.session.refresh(found)
    return task, found


def _canonical(output: Any) -> bytes:
    """JSON with its keys in order: 1 and true differ, the order of the form's fields does not."""
    return msgspec.json.encode(output, order="sorted")


def _must_be(assignment: Assignment, state: AssignmentState, message: str) -> None:
    if assignment.state != state:
        raise Conflict("wrong_state", message, state=assignment.state, reason=assignment.reason)


async def _audit(tx: Transaction, assignment: Assignment, deed: str) -> None:
    actor = f"person:{assignment.worker_id}"
    action = f"assignment.{deed}"
    await record(tx, actor=actor, action=action, subject=assignment.id, task=assignment.task_id)
