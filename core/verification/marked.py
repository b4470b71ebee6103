"""What a mark does to its worker's pay: new and unpaid earnings wait until an operator has looked (`marks` in
`verification.yaml`). `clear` sends them, `confirm` refuses the answers behind them: the worker reads why, and may appeal.
Called when an answer is given out, by the review, and by the operator's page."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from core.db.unit_of_work import Transaction
from core.errors import Invalid
from core.payouts import holds
from core.payouts.case import load
from core.payouts.tables import Payout
from core.routing.assignments import leave, task_for_update
from core.routing.states import AssignmentState
from core.routing.tables import Assignment, Submission
from core.verification.anomaly import marks
from core.verification.anomaly.tables import WorkerMark
from core.verification.ending import add_verdicts
from core.verification.model import Facing
from core.verification.policy import Marks
from core.verification.stage import Outcome, Reason, Verdict
from core.verification.tables import VerificationRun
from core.workers.records import add_evidence

CONFIRMED = "mark_confirmed"  # the reason code that the worker's history and the appeal show


async def hold_earned(tx: Transaction, case: Facing, payouts: Sequence[Payout]) -> list[str]:
    """Of what was just earned without anybody having looked: hold what belongs to marked workers."""
    rules = case.types.checks.marks
    if case.task.environment not in rules.hold_pay:
        return []
    doubted = await marks.doubtful(tx, [one.worker_id for one in payouts])
    found: list[str] = []
    for one in payouts:
        if one.worker_id in doubted:
            why = _why(doubted[one.worker_id])
            found += await holds.hold(tx, [one], why=why, hours=rules.hold_hours)
    return found


async def hold_unpaid(tx: Transaction, worker_id: str, environment: str, rules: Marks) -> list[str]:
    """The worker was marked: what they have earned and no payment was committed for waits as well."""
    kinds = (await marks.doubtful(tx, [worker_id])).get(worker_id)
    if environment not in rules.hold_pay or not kinds:
        return []
    return await holds.hold_unpaid(tx, worker_id, environment, why=_why(kinds), hours=rules.hold_hours)


async def clear(tx: Transaction, mark_id: str, *, actor: str, note: str) -> WorkerMark:
    """An operator has looked and found nothing: the mark is closed, and without another one everything that waited is sent.
    Raises NotFound, Conflict, Invalid as `marks.close`."""
    mark = await marks.close(tx, mark_id, actor=actor, note=note)
    if not await marks.doubtful(tx, [mark.worker_id]):
        for hold, _ in await holds.still_held(tx.session, worker_id=mark.worker_id, limit=None):
            await holds.release(tx, hold.payout_id, actor=actor, note=note)
    return mark


async def confirm(tx: Transaction, mark_id: str, *, actor: str, note: str) -> int:
    """An operator has looked and found it true: the held answers (of the mark's task type) are refused and not paid; how
    many. The mark stays, so that what follows is looked at too."""
    if not note.strip():
        raise Invalid("no_note", "Say in a sentence why", field_errors={"note": "Required"})
    mark = await marks.confirmed(tx, mark_id, actor=actor, note=note)
    waiting = await holds.still_held(tx.session, worker_id=mark.worker_id, limit=None)
    refused = 0
    for _, payout in sorted(waiting, key=lambda one: one[1].task_id):
        refused += await _refuse(tx, mark, payout, actor, note.strip())
    return refused


async def _refuse(tx: Transaction, mark: WorkerMark, payout: Payout, actor: str, note: str) -> int:
    task = await task_for_update(tx, payout.task_id)
    if mark.task_type and task.task_type != mark.task_type:
        return 0
    rows = await tx.session.execute(
        select(Assignment, VerificationRun)
        .join(Submission, Submission.assignment_id == Assignment.id)
        .join(VerificationRun, VerificationRun.submission_id == Submission.id)
        .where(Assignment.task_id == task.id, Assignment.worker_id == payout.worker_id)
        .execution_options(populate_existing=True)
    )
    turn, run = rows.one()
    await load(tx.session, payout.id, lock=True)
    if not await holds.held(tx.session, payout.id):
        return 0  # somebody let it go meanwhile, and nothing is learnt of it
    await add_evidence(tx, payout.worker_id, task.task_type, "qa", 0.0, 1.0)
    await holds.withhold(tx, payout.id, task, actor=actor, note=note)
    why = Reason(
        code=CONFIRMED, message=f"An operator looked at your answers and did not accept this one: {note}"
    )
    await add_verdicts(
        tx, run.id, [Verdict(stage="mark", outcome=Outcome.FAIL, reasons=[why], evidence={"mark": mark.id})]
    )
    await leave(tx, turn, AssignmentState.REFUSED, reason=why.message)
    return 1


def _why(kinds: Sequence[str]) -> str:
    return f"marked: {', '.join(kinds)}"
