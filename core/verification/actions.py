"""Judges an answer, stage by stage, and does what follows: the task is verified and paid, or the answer is refused and
somebody else is asked. Topic `submission.received`, whose subject is the submission.

Two transactions: `verification.advance` stores the verdicts (a run that is interrupted goes on where it stopped),
`tasks.verify` or `verification.refuse` does what they mean and finishes the job."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from sqlalchemy import func, select

from core import clock, ids
from core.access.tables import Organisation
from core.billing.plans import Plans
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import NotFound, Retryable
from core.outbox.rows import Lease
from core.payouts.earn import earn
from core.rates.model import Rate
from core.routing.actions import settle
from core.routing.assignments import end_all, leave, living, task_for_update
from core.routing.endings import expire, fail
from core.routing.states import HOLDS_CAPACITY, AssignmentState
from core.routing.tables import Assignment, Submission
from core.tasks.changes import change
from core.tasks.states import TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskType, TaskTypes
from core.verification.pipeline import Failed, NextStage, Passed, after, sentence
from core.verification.stage import Evidence, Outcome, Reason, Verdict
from core.verification.stages import stage
from core.verification.states import TRANSITIONS, RunState
from core.verification.tables import VerdictRow, VerificationRun


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One answer with everything around it, read under the task's lock."""

    task: Task
    kind: TaskType
    submission: Submission
    assignment: Assignment
    run: VerificationRun

    @property
    def open(self) -> bool:
        """Whether the verdict still matters: the task may have ended, or another answer been taken."""
        return (
            self.task.status == TaskStatus.SUBMITTED
            and self.assignment.state == AssignmentState.SUBMITTED
            and self.run.state in (RunState.QUEUED, RunState.RUNNING)
        )


async def advance(
    work: UnitOfWork, lease: Lease, types: TaskTypes, plans: Plans, rate_of: Callable[[], Rate]
) -> RunState:
    """Run the stages that are left and do what they say. `rate_of` is asked only when somebody is to be paid, outside
    of any transaction; when it raises Retryable, a payout in dollars is earned and waits. Gives the run's state."""
    async with work.fenced(lease, "verification.advance") as tx:
        case = await _case(tx, lease.subject, types)
        outcome = await _judge(tx, case)
    match outcome:
        case None:
            async with work.finishing(lease, "verification.lapse") as tx:
                return await _lapse(tx, (await _case(tx, lease.subject, types)).run)
        case Failed():
            async with work.finishing(lease, "verification.refuse") as tx:
                case = await _case(tx, lease.subject, types)
                return await _refuse(tx, case, outcome) if case.open else await _lapse(tx, case.run)
        case Passed():
            rate = _rate(rate_of)
            async with work.finishing(lease, "tasks.verify") as tx:
                case = await _case(tx, lease.subject, types)
                return await _verify(tx, case, plans, rate) if case.open else await _lapse(tx, case.run)


async def _case(tx: Transaction, submission_id: str, types: TaskTypes) -> Case:
    """Everything around the answer, under the task's lock; its run is begun when there is none yet, with the stages
    that are in force now. Raises NotFound."""
    submission = await tx.session.get(Submission, submission_id)
    if submission is None:
        raise NotFound("unknown_submission", f"There is no submission {submission_id}")
    task = await task_for_update(tx, submission.task_id)
    kind = types.of(task.task_type)
    assignment = await tx.session.get_one(Assignment, submission.assignment_id)
    run = await tx.session.scalar(
        select(VerificationRun).where(VerificationRun.submission_id == submission_id)
    )
    if run is None:
        run = VerificationRun(
            id=ids.new("run"),
            task_id=task.id,
            submission_id=submission_id,
            state=str(RunState.QUEUED),
            stages=list(kind.stages),
            position=0,
            created_at=clock.from_ms(await tx.now_ms()),
        )
        tx.session.add(run)
        await tx.session.flush()
    return Case(task=task, kind=kind, submission=submission, assignment=assignment, run=run)


async def _judge(tx: Transaction, case: Case) -> Passed | Failed | None:
    """Run every stage that has no verdict yet, until one does not pass. None when the verdict no longer matters."""
    if not case.open:
        return None
    verdicts = await _verdicts(tx, case.run.id)
    evidence = Evidence(
        payload=case.task.payload,
        output=case.submission.output,
        output_schema=case.task.output_schema,
        task_type=case.kind,
    )
    while isinstance(step := after(case.run.stages, verdicts), NextStage):
        verdict = stage(step.name).judge(evidence)
        verdicts.append(verdict)
        tx.session.add(
            VerdictRow(
                id=ids.new("vdt"),
                run_id=case.run.id,
                stage=verdict.stage,
                outcome=str(verdict.outcome),
                reasons=msgspec.to_builtins(verdict.reasons),
                created_at=clock.from_ms(await tx.now_ms()),
            )
        )
    await move(tx, case.run, RunState.RUNNING, table=TRANSITIONS, position=len(verdicts))
    return step


def _rate(rate_of: Callable[[], Rate]) -> Rate | None:
    """None while there is no rate: `verified` does not wait for one, the payout does if it is in dollars."""
    try:
        return rate_of()
    except Retryable:
        return None


async def _verify(tx: Transaction, case: Case, plans: Plans, rate: Rate | None) -> RunState:
    """The answer is the task's output, its worker has earned, everybody else on the task is set free."""
    task, worker_id = case.task, case.assignment.worker_id
    organisation = await tx.session.get_one(Organisation, task.organisation_id)
    await _end_run(tx, case.run, RunState.PASSED)
    await change(tx, task, TaskStatus.VERIFIED, actor="hub", output=case.submission.output)
    await leave(tx, case.assignment, AssignmentState.COUNTED)
    await end_all(tx, task.id, "answered_by_another")
    await earn(tx, task, worker_id, plans.get(organisation.plan), rate)  # charges the organisation as well
    tx.emit("task.ended", task.id)
    tx.emit("receipt.verified", task.id)
    return RunState.PASSED


async def _refuse(tx: Transaction, case: Case, failed: Failed) -> RunState:
    """The worker reads why. An answer that waits is judged next, even past the limit: somebody gave it in time.
    Otherwise the task fails at `answers_limit` refused answers, expires after its hard stop, or goes on."""
    task, reason = case.task, sentence(failed.reasons)
    await _end_run(tx, case.run, RunState.FAILED)
    await leave(tx, case.assignment, AssignmentState.REFUSED, reason=reason)
    present = await living(tx, task.id)
    waiting = [one.id for one in present if one.state == AssignmentState.SUBMITTED]
    refused = await _count_refused(tx, task.id)
    if waiting:
        first = select(func.min(Submission.id)).where(Submission.assignment_id.in_(waiting))
        tx.emit("submission.received", str(await tx.session.scalar(first)))
    elif refused >= case.kind.answers_limit:
        answers = "1 answer" if refused == 1 else f"{refused} answers"
        await fail(tx, task, f"No answer passed verification ({answers}). The last: {reason}")
    elif await tx.now_ms() >= clock.to_ms(task.hard_stop_at):
        await expire(tx, task)
    elif any(one.state in HOLDS_CAPACITY for one in present):
        await change(tx, task, TaskStatus.ASSIGNED, actor="hub")
        await settle(tx, task)
    else:
        await change(tx, task, TaskStatus.POSTED, actor="hub")
        tx.emit("task.posted", task.id)
    return RunState.FAILED


async def _lapse(tx: Transaction, run: VerificationRun) -> RunState:
    """The task has ended, or this job is a repeat: nothing follows from this answer any more."""
    if run.state in (RunState.QUEUED, RunState.RUNNING):
        await _end_run(tx, run, RunState.LAPSED)
    return RunState(run.state)


async def _end_run(tx: Transaction, run: VerificationRun, to: RunState) -> None:
    await move(tx, run, to, table=TRANSITIONS, ended_at=clock.from_ms(await tx.now_ms()))


async def _verdicts(tx: Transaction, run_id: str) -> list[Verdict]:
    found = await tx.session.scalars(select(VerdictRow).where(VerdictRow.run_id == run_id))
    return [
        Verdict(
            stage=row.stage, outcome=Outcome(row.outcome), reasons=msgspec.convert(row.reasons, list[Reason])
        )
        for row in found
    ]


async def _count_refused(tx: Transaction, task_id: str) -> int:
    """Bounded by the task type's limit, so counting is cheap."""
    statement = select(func.count()).where(
        Assignment.task_id == task_id, Assignment.state == str(AssignmentState.REFUSED)
    )
    return (await tx.session.execute(statement)).scalar_one()
