"""A worker's appeal against a refusal: one click, another reviewer than the first, a clock. An upheld appeal pays, out of
the hub's own money: the asker has an answer, or has had their money back. Called by the worker's pages and `ruling.py`."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.audit.record import record
from core.billing.plans import Plans
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction
from core.errors import Conflict, NotFound
from core.payouts.earn import earn_upheld
from core.payouts.tables import Payout, PayoutHold
from core.rates.model import Rate
from core.routing.assignments import leave, task_for_update
from core.routing.states import AssignmentState
from core.routing.tables import Assignment, Submission
from core.tasks.types import TaskTypes
from core.verification.decide import facing
from core.verification.loading import verdicts_of
from core.verification.model import Facing
from core.verification.policy import Review as Rules
from core.verification.reviewing import open_review
from core.verification.stage import Outcome, Reason
from core.verification.states import TRANSITIONS, ReviewState, RunState
from core.verification.tables import Review, VerificationRun
from core.workers.records import add_evidence

MOST_SAID = 2_000


async def appeal(
    tx: Transaction, assignment_id: str, worker_id: str, said: str, types: TaskTypes, plans: Plans
) -> Review:
    """The worker asks for another look at their refused answer. Asking twice is asking once. Raises NotFound for
    somebody else's, Conflict when it was not refused, or too long ago."""
    found = await tx.session.get(Assignment, assignment_id)
    if found is None or found.worker_id != worker_id:
        raise NotFound("unknown_assignment", "There is no such task for you")
    task = await task_for_update(tx, found.task_id)
    await tx.session.refresh(found)
    submission = await tx.session.scalar(select(Submission).where(Submission.assignment_id == found.id))
    if submission is None or found.state not in (AssignmentState.REFUSED, AssignmentState.COUNTED):
        raise Conflict("not_refused", "Only an answer that was not accepted can be appealed")
    before = await tx.session.scalar(
        select(Review).where(Review.kind == "appeal", Review.subject == submission.id)
    )
    if before is not None:
        return before
    if found.state != AssignmentState.REFUSED:
        raise Conflict("not_refused", "This answer was accepted")
    window = types.checks.review.appeal_window_hours
    ended = clock.to_ms(found.ended_at or found.offered_at)
    if await tx.now_ms() > ended + window * 3_600_000:
        raise Conflict("too_late", f"An appeal is possible for {window} hours after the refusal")
    case = await facing(tx, task, types, plans)
    await record(
        tx, actor=f"person:{worker_id}", action="review.appealed", subject=submission.id, task=task.id
    )
    return await open_review(
        tx,
        case,
        kind="appeal",
        subject=submission.id,
        why=await reasons_of(tx, submission.id) or [Reason(code="refused", message=found.reason or "")],
        said=said.strip()[:MOST_SAID] or None,
        not_by=await _deciders(tx, task.id),
    )


async def standing(session: AsyncSession, assignment_id: str, rules: Rules) -> str:
    """How an appeal against this turn stands, for its worker's page: `possible`, `open`, `upheld`, `no`, or empty when
    there is nothing to appeal."""
    turn = await session.get(Assignment, assignment_id)
    submission = await session.scalar(select(Submission.id).where(Submission.assignment_id == assignment_id))
    if turn is None or submission is None:
        return ""
    row = await session.scalar(select(Review).where(Review.kind == "appeal", Review.subject == submission))
    if row is not None:
        upheld = bool(row.outcome and row.outcome.get("upheld"))
        return "open" if row.state == ReviewState.OPEN else "upheld" if upheld else "no"
    if turn.state != AssignmentState.REFUSED or turn.ended_at is None:
        return ""
    over = clock.now_ms() > clock.to_ms(turn.ended_at) + rules.appeal_window_hours * 3_600_000
    return "" if over else "possible"


async def reasons_of(tx: Transaction, submission_id: str) -> list[Reason]:
    """Why the answer was refused, with their codes, from the verdicts that said no; never that its answer was known."""
    run = await tx.session.scalar(
        select(VerificationRun).where(VerificationRun.submission_id == submission_id)
    )
    if run is None:
        return []
    verdicts = await verdicts_of(tx, run.id)
    refusals = [one for one in verdicts if one.outcome is Outcome.FAIL and one.stage != "gold"]
    return [reason for one in refusals for reason in one.reasons]


async def ruled(tx: Transaction, case: Facing, row: Review, upheld: bool, rate: Rate | None) -> None:
    """Upheld: the run has passed after all, the worker is paid and their record mended. Else everything stays."""
    if not upheld:
        return
    submission = await tx.session.get_one(Submission, row.subject)
    run = await tx.session.scalar(
        select(VerificationRun).where(VerificationRun.submission_id == submission.id)
    )
    assignment = await tx.session.get_one(Assignment, submission.assignment_id)
    withheld = (
        run is not None and run.state == RunState.PASSED and assignment.state == AssignmentState.REFUSED
    )
    if run is None or not (withheld or run.state == RunState.FAILED):
        raise Conflict("not_refused", "This answer is not refused any more")
    if not withheld:  # an answer that passed and was refused by a confirmed mark has its passed run
        await move(tx, run, RunState.PASSED, table=TRANSITIONS, ended_at=clock.from_ms(await tx.now_ms()))
    await leave(tx, assignment, AssignmentState.COUNTED, reason="upheld")
    await add_evidence(tx, submission.worker_id, case.task.task_type, "qa", 1.0, 1.0)
    await earn_upheld(tx, case.task, submission.worker_id, rate)


async def _deciders(tx: Transaction, task_id: str) -> list[str]:
    """Who has decided anything about this task, or its pay: somebody else decides the appeal."""
    found = await tx.session.scalars(
        select(Review.decided_by).where(Review.task_id == task_id, Review.decided_by.is_not(None))
    )
    withheld = await tx.session.scalars(
        select(PayoutHold.ended_by)
        .join(Payout, Payout.id == PayoutHold.payout_id)
        .where(Payout.task_id == task_id, PayoutHold.ended_by.is_not(None))
    )
    return [one for one in found if one] + [one.removeprefix("person:") for one in withheld if one]
