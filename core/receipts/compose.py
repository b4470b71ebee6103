"""Reads what a receipt says: what is known of a verified task, and of a payout. Called by `actions.py`, under its lock."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.ledger.tables import LedgerTransfer
from core.payouts.states import PayoutState
from core.payouts.tables import Payout, PayoutAttempt
from core.receipts.canonical import digest
from core.receipts.model import Payment, Said, TaskPart, Verification
from core.routing.states import AssignmentState
from core.routing.tables import Assignment, Submission
from core.tasks.tables import Task
from core.verification.tables import VerdictRow, VerificationRun


def task_part(task: Task) -> TaskPart:
    return TaskPart(
        id=task.id,
        organisation=task.organisation_id,
        environment=task.environment,
        type=task.task_type,
        risk_tier=task.risk_tier,
    )


async def verification(session: AsyncSession, task: Task) -> Verification:
    """Of a verified task. Verdicts in the order of the answers, and of the stages within one."""
    judged = await session.execute(
        select(VerificationRun.id, Submission.worker_id, Assignment.state)
        .join(Submission, Submission.id == VerificationRun.submission_id)
        .join(Assignment, Assignment.id == Submission.assignment_id)
        .where(VerificationRun.task_id == task.id)
        .order_by(Submission.created_at, Submission.id)
    )
    runs = judged.all()
    place = {run_id: number for number, (run_id, _, _) in enumerate(runs, 1)}
    rows = await session.execute(
        select(VerdictRow.run_id, VerdictRow.stage, VerdictRow.outcome)
        .where(VerdictRow.run_id.in_(place))
        .order_by(VerdictRow.id)
    )
    said = [Said(answer=place[run_id], stage=stage, outcome=outcome) for run_id, stage, outcome in rows]
    return Verification(
        answer_digest=digest(task.output),
        verified_at=clock.iso(task.ended_at or task.updated_at),
        workers=len({worker_id for _, worker_id, _ in runs}),
        agreed=sum(state == AssignmentState.COUNTED for _, _, state in runs),
        verdicts=sorted(said, key=lambda one: one.answer),
    )


async def payment(session: AsyncSession, payout: Payout, *, verified: str | None) -> Payment:
    """Of a payout that was settled, or reversed, by its last attempt."""
    attempt = await session.scalar(
        select(PayoutAttempt)
        .where(PayoutAttempt.payout_id == payout.id)
        .order_by(PayoutAttempt.number.desc())
        .limit(1)
    )
    if attempt is None:
        raise RuntimeError(f"payout {payout.id} is {payout.state} without an attempt")
    transfers = await session.scalars(
        select(LedgerTransfer.id).where(LedgerTransfer.subject == payout.id).order_by(LedgerTransfer.id)
    )
    at = attempt.ended_at if payout.state == PayoutState.REVERSED else payout.settled_at
    return Payment(
        id=payout.id,
        state=payout.state,
        amount=format(payout.amount, "f"),
        currency=payout.currency,
        amount_msat=str(attempt.amount_msat),
        rail=attempt.rail,
        payment_hash=attempt.payment_hash,
        preimage=attempt.preimage,
        reference=attempt.reference or None,
        transfers=list(transfers),
        at=clock.iso(at or attempt.created_at),
        verified=verified,
    )
