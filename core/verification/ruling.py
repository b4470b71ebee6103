"""A reviewer's word and what follows from it, in one transaction under the task's lock: the answer is given out or
refused, the workers' records and the audits learn from it. Called by the pages, the API and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select

from core import clock, ids
from core.audit.record import record as audit_record
from core.billing.plans import Plans
from core.db.unit_of_work import Transaction
from core.errors import Invalid
from core.forms.validate import errors
from core.outbox.rows import Lease
from core.rates.model import Rate
from core.repairs.actions import Kind, needed
from core.routing.assignments import task_for_update
from core.routing.endings import expire
from core.routing.states import AssignmentState
from core.routing.tables import Assignment, Submission
from core.tasks.changes import corrected
from core.tasks.states import TaskStatus
from core.tasks.types import TaskTypes
from core.verification import appeals, book, consensus, evidence, gold_items, reviewing
from core.verification.consensus import Answer, Changes
from core.verification.decide import facing
from core.verification.ending import add_verdicts, after_refusal, certainty, give_out, refuse
from core.verification.fold import Decision, book_of, consensus_policy
from core.verification.fold import Record as DecisionRecord
from core.verification.loading import verdicts_of
from core.verification.model import Answered, Facing
from core.verification.pipeline import sentence
from core.verification.stage import Outcome, Reason, Verdict
from core.verification.states import ReviewState, RunState
from core.verification.tables import Audit, DecisionRow, Review, VerificationRun
from core.workers.records import add_evidence

UNBIASED = frozenset(
    {"uncertified", "always_qa", "spot_check"}
)  # every answer, or a random one: never the doubtful


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """`right` are the submissions that are right, of an appeal or a dispute: whether it is `upheld`. `output` is the right
    answer when no single submission has it; `note` is read by the workers whose answer is refused."""

    right: list[str] = []
    upheld: bool = False
    output: Any = None
    note: str = ""


async def rule(
    tx: Transaction,
    review_id: str,
    reviewer: str,
    ruling: Ruling,
    types: TaskTypes,
    plans: Plans,
    rate: Rate | None,
) -> Review:
    """Transaction `reviews.decide`. Raises NotFound, Forbidden (`reviewing.may_judge`), Conflict when somebody decided
    before, Invalid for a submission of another task or an output that does not fit the task's schema."""
    task = await task_for_update(tx, await reviewing.task_of(tx, review_id))
    case = await facing(tx, task, types, plans)
    row = await reviewing.take(tx, review_id, reviewer, types.checks.review, **msgspec.to_builtins(ruling))
    await audit_record(
        tx, actor=f"person:{reviewer}", action=f"review.{row.kind}", subject=row.id, task=task.id
    )
    if row.kind == "appeal":
        await appeals.ruled(tx, case, row, ruling.upheld, rate)
    elif row.kind == "dispute":
        await gold_items.ruled(tx, row, ruling.upheld)
    elif row.kind == "spot":
        await _spot(tx, case, row, ruling)
    elif task.status == TaskStatus.SUBMITTED:
        await _answer(tx, case, row, ruling, rate)
    return row


async def due(tx: Transaction, lease: Lease, types: TaskTypes, plans: Plans) -> None:
    """Topic `review.due`: the clock of a review has run out. An answer that waited for it is not given out; an appeal
    stays open, and the operator is told."""
    task = await task_for_update(tx, await reviewing.task_of(tx, lease.subject))
    row = await tx.session.get_one(Review, lease.subject, populate_existing=True)
    if row.state != ReviewState.OPEN:
        return
    left = clock.to_ms(row.due_at) - await tx.now_ms()
    if left > 0:
        tx.emit("review.due", row.id, delay=left / 1000)
        return
    if row.kind not in ("qa", "spot"):
        await needed(tx, f"review:{row.id}", Kind.REVIEW, f"The {row.kind} {row.id} waits past its time")
        return
    await reviewing.lapse(tx, row)
    if row.kind == "qa" and task.status == TaskStatus.SUBMITTED:
        case = await facing(tx, task, types, plans)
        why = Reason(code="not_reviewed", message="No reviewer looked at this in time")
        for one in await _held(tx, case):
            await refuse(tx, case, one, [why])
        await expire(tx, task)


async def _answer(tx: Transaction, case: Facing, row: Review, ruling: Ruling, rate: Rate | None) -> None:
    """An answer that waited for a reviewer."""
    answers = await _held(tx, case)
    decided, record = await last_decision(tx, case.task.id)
    output = _output(case, answers, ruling, decided)
    for one in answers:
        right = one.submission.id in ruling.right
        await add_verdicts(tx, one.run.id, [_verdict(right, ruling.note)])
    await _learn(tx, case, answers, ruling, output, record)
    await _audited(tx, case, row, decided, ruling, chance=1.0)
    await gold_items.harvest(tx, case, output, actor=f"person:{row.decided_by}")
    refused = {one.submission.id: [_said(ruling.note)] for one in answers}
    if ruling.right or ruling.output is not None:
        await give_out(
            tx,
            case,
            answers,
            output=output,
            counted=set(ruling.right),
            refused=refused,
            rate=rate,
            learn=Changes(),
            certainty=certainty(decided, len(answers), reviewed=True),
            actor=f"person:{row.decided_by}",
        )
        return
    for one in answers:
        await refuse(tx, case, one, [_said(ruling.note)])
    await after_refusal(tx, case, sentence([_said(ruling.note)]))


async def _spot(tx: Transaction, case: Facing, row: Review, ruling: Ruling) -> None:
    """An answer that was given out already: only what is known of its workers and of its type changes. What consensus
    had learnt from it is taken back, for now the truth is known."""
    rows = await tx.session.execute(
        select(Submission, Assignment, VerificationRun)
        .join(Assignment, Assignment.id == Submission.assignment_id)
        .join(VerificationRun, VerificationRun.submission_id == Submission.id)
        .where(
            Submission.task_id == case.task.id,
            Assignment.state.in_([str(AssignmentState.COUNTED), str(AssignmentState.REFUSED)]),
        )
        .order_by(Submission.id)
    )
    answers = [
        Answered(submission=one[0], assignment=one[1], run=one[2], verdicts=await verdicts_of(tx, one[2].id))
        for one in rows.all()
    ]
    answers = [
        one
        for one in answers
        if all(v.outcome is not Outcome.FAIL or v.stage == "consensus" for v in one.verdicts)
    ]
    decided, record = await last_decision(tx, case.task.id)
    output = _output(case, answers, ruling, decided)
    learnt = await _changes(tx, case.task.id)
    if learnt.add:
        await book.learn(tx, case.task.task_type, case.task.environment, consensus.undo(learnt))
        await evidence.take_back(tx, case.task.task_type, learnt)
    await _learn(tx, case, answers, ruling, output, record)
    await _audited(tx, case, row, decided, ruling, chance=case.needed.level.spot_check)
    if output != case.task.output:
        await corrected(tx, case.task, output, ruling.note, actor=f"person:{row.decided_by}")
    await gold_items.harvest(tx, case, output, actor=f"person:{row.decided_by}")


async def _learn(
    tx: Transaction,
    case: Facing,
    answers: Sequence[Answered],
    ruling: Ruling,
    output: Any,
    record: DecisionRecord,
) -> None:
    """The truth is known: consensus learns it, and each worker's record that a reviewer agreed or did not."""
    task, changes = case.task, Changes()
    if output is not None and answers:
        given = [Answer(worker=one.assignment.worker_id, output=one.submission.output) for one in answers]
        policy = consensus_policy(case.needed.level, record.certificate)
        changes = consensus.known(given, output, book_of(record), policy, task.output_schema)
        await book.learn(tx, task.task_type, task.environment, changes)
    for one in sorted(answers, key=lambda one: one.assignment.worker_id):
        right = 1.0 if one.submission.id in ruling.right else 0.0
        worker_id = one.assignment.worker_id
        sign = evidence.sign_of(changes, worker_id, right)
        await add_evidence(tx, worker_id, task.task_type, "qa", right, 1.0, sign)


async def _audited(
    tx: Transaction, case: Facing, row: Review, decided: Decision, ruling: Ruling, *, chance: float
) -> None:
    """One more audit of the type, unless the answer was looked at because it was in doubt: those would make the error
    look larger than that of the answers which are given out."""
    if not UNBIASED & {reason["code"] for reason in row.why} or decided.confidence is None:
        return
    counted = set(decided.counted)
    right = bool(counted) and counted <= set(ruling.right)
    right = right and (ruling.output is None or ruling.output == decided.output)
    tx.session.add(
        Audit(
            id=ids.new("adt"),
            task_type=case.task.task_type,
            environment=case.task.environment,
            task_id=case.task.id,
            confidence=decided.confidence,
            chance=chance,
            right_answer=int(right),
            created_at=clock.from_ms(await tx.now_ms()),
        )
    )


def _output(case: Facing, answers: Sequence[Answered], ruling: Ruling, decided: Decision) -> Any:
    """The right answer: the reviewer's own, else what the right ones were put together to, else the first right one.
    None when none is right. Raises Invalid."""
    known = {one.submission.id: one.submission.output for one in answers}
    strange = [name for name in ruling.right if name not in known]
    if strange:
        raise Invalid(
            "unknown_submission",
            "This is not an answer to this task",
            field_errors={"right": f"Not an answer that waits here: {strange[0][:64]}"},
        )
    if ruling.output is not None:
        wrong = errors(case.task.output_schema, ruling.output)
        if wrong:
            raise Invalid(
                "output_invalid",
                "The answer does not fit the task's schema",
                field_errors={f"output{one.pointer}": one.message for one in wrong},
            )
        return ruling.output
    if not ruling.right:
        return None
    if decided.output is not None and set(decided.counted) <= set(ruling.right) and decided.counted:
        return decided.output
    return known[ruling.right[0]]


async def last_decision(tx: Transaction, task_id: str) -> tuple[Decision, DecisionRecord]:
    """The newest decision on the task, and what it was made from."""
    row = await tx.session.scalar(
        select(DecisionRow).where(DecisionRow.task_id == task_id).order_by(DecisionRow.number.desc()).limit(1)
    )
    if row is None:
        raise Invalid("no_decision", "There is no decision on this task")
    return (
        msgspec.json.decode(row.decision, type=Decision),
        msgspec.json.decode(row.record, type=DecisionRecord),
    )


async def _changes(tx: Transaction, task_id: str) -> Changes:
    statement = select(DecisionRow.changes).where(
        DecisionRow.task_id == task_id, DecisionRow.changes.is_not(None)
    )
    kept = await tx.session.scalar(statement)
    return Changes() if kept is None else msgspec.convert({"add": kept}, Changes)


async def _held(tx: Transaction, case: Facing) -> list[Answered]:
    """The answers that wait for a reviewer."""
    rows = await tx.session.execute(
        select(Submission, Assignment, VerificationRun)
        .join(Assignment, Assignment.id == Submission.assignment_id)
        .join(VerificationRun, VerificationRun.submission_id == Submission.id)
        .where(
            Submission.task_id == case.task.id,
            Assignment.state == str(AssignmentState.SUBMITTED),
            VerificationRun.state == str(RunState.NEEDS_QA),
        )
        .order_by(Submission.id)
        .execution_options(populate_existing=True)
    )
    return [
        Answered(submission=one[0], assignment=one[1], run=one[2], verdicts=await verdicts_of(tx, one[2].id))
        for one in rows.all()
    ]


def _said(note: str) -> Reason:
    return Reason(code="qa_refused", message=note.strip() or "A reviewer found that this answer is not right")


def _verdict(right: bool, note: str) -> Verdict:
    if right:
        return Verdict(stage="qa", outcome=Outcome.PASS, score=1.0)
    return Verdict(stage="qa", outcome=Outcome.FAIL, reasons=[_said(note)], score=0.0)
