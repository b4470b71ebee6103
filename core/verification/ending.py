"""How a task's answers end: given out and paid, or refused, each worker told which and why; what is learnt of them.
Called by `decide.py` with the fold's word and by `reviewing.py` with a reviewer's. All under the task's lock, in one order:
task, assignments, what is learnt (by worker), then money."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import func, select

from core import clock, ids
from core.db.base import to_json
from core.db.compare_and_set import move
from core.db.together import Part
from core.db.unit_of_work import Transaction
from core.payouts.earn import earn_all
from core.payouts.tables import Payout
from core.rates.model import Rate
from core.routing.actions import settle
from core.routing.assignments import end_all, leave, living
from core.routing.endings import expire, fail
from core.routing.states import HOLDS_CAPACITY, AssignmentState
from core.routing.tables import Assignment, Submission
from core.tasks.changes import change
from core.tasks.states import TaskStatus
from core.tasks.tables import Task
from core.verification import book, consensus
from core.verification.consensus import Answer, Changes
from core.verification.evidence import from_changes
from core.verification.fold import Decision, Record, book_of, consensus_policy, heard
from core.verification.model import Answered, Facing
from core.verification.pipeline import sentence
from core.verification.stage import Outcome, Reason, Verdict
from core.verification.states import TRANSITIONS, RunState
from core.verification.tables import VerificationRun

Hold = Callable[[Transaction, Facing, Sequence[Payout]], Awaitable[object]]


async def verify(
    tx: Transaction,
    case: Facing,
    answers: Sequence[Answered],
    decision: Decision,
    record: Record,
    rate: Rate | None,
    living: Sequence[Assignment],
    hold: Hold | None = None,
) -> Any:
    """The decision's output is the task's; who agreed has earned, who did not is told why, everybody else on the task is
    set free. Gives what consensus learnt, as it is kept."""
    if len(answers) > 1:
        for one in answers:
            await add_verdicts(tx, one.run.id, [_consensus_verdict(one, decision)])
    changes = _learnt(case, answers, record)
    await give_out(
        tx,
        case,
        answers,
        output=decision.output,
        counted=set(decision.counted),
        refused=decision.refused,
        rate=rate,
        learn=changes,
        certainty=certainty(decision, len(answers)),
        present=living,
        hold=hold,
    )
    return msgspec.to_builtins(changes.add) if changes.add else None


def _learnt(case: Facing, answers: Sequence[Answered], record: Record) -> Changes:
    """What the answers that vouch for each other teach, and what they say of those that had no say."""
    if len(answers) < 2:
        return Changes()
    given = {
        one.assignment.worker_id: Answer(worker=one.assignment.worker_id, output=one.submission.output)
        for one in answers
    }
    policy, vouching = consensus_policy(case.needed.level, record.certificate), heard(record)
    return consensus.close(
        [one for worker, one in given.items() if worker in vouching],
        book_of(record),
        policy,
        case.task.output_schema,
        beside=[one for worker, one in given.items() if worker not in vouching],
    )


async def give_out(
    tx: Transaction,
    case: Facing,
    answers: Sequence[Answered],
    *,
    output: Any,
    counted: set[str],
    refused: Mapping[str, list[Reason]],
    rate: Rate | None,
    learn: Changes,
    certainty: dict[str, Any],
    actor: str = "hub",
    present: Sequence[Assignment] | None = None,
    hold: Hold | None = None,
) -> None:
    """The task is verified with this output, and says how sure it is (`certainty`). `present` are its living turns, where the caller has read them; `hold` is asked
    which of the earnings wait, None when a person has judged the answers."""
    task = case.task
    right = [one for one in answers if one.submission.id in counted]
    for one in answers:
        await end_run(tx, one.run, RunState.PASSED if one in right else RunState.FAILED)
    await change(tx, task, TaskStatus.VERIFIED, actor=actor, output=output, verification=certainty)
    for one in answers:
        if one in right:
            await leave(tx, one.assignment, AssignmentState.COUNTED)
        else:
            why = sentence(refused.get(one.submission.id) or [_NOT_COUNTED])
            await leave(tx, one.assignment, AssignmentState.REFUSED, reason=why)
    await end_all(tx, task.id, "answered_by_another", among=present)
    await learn_from(tx, task, learn)
    workers = sorted(one.assignment.worker_id for one in right)
    earned = await earn_all(tx, task, workers, case.plan, rate)  # charges the organisation as well
    if hold is not None:
        await hold(tx, case, earned)
    tx.emit("task.ended", task.id)
    tx.emit("receipt.verified", task.id)


def certainty(decision: Decision, answers: int, *, reviewed: bool = False) -> dict[str, Any]:
    """What the task says beside its output: how many answers it rests on, the raw posterior of them (`confidence`: no
    promise), and the upper bound of error that so many audits of the type show (`errorBound`, absent without a certificate).
    `reviewed`: a person's word, for which the numbers are those from before it."""
    found: dict[str, Any] = {"answers": answers, "reviewed": reviewed, "audits": decision.audits}
    if decision.confidence is not None:
        found["confidence"] = round(decision.confidence, 6)
    if decision.bound is not None:
        found["errorBound"] = round(decision.bound, 6)
    return found


async def learn_from(tx: Transaction, task: Task, changes: Changes) -> None:
    """The counters of consensus, and the workers' records."""
    await book.learn(tx, task.task_type, task.environment, changes)
    await from_changes(tx, task.task_type, changes)


async def refuse(tx: Transaction, case: Facing, one: Answered, reasons: Sequence[Reason]) -> None:
    """The worker reads why."""
    await end_run(tx, one.run, RunState.FAILED)
    await leave(tx, one.assignment, AssignmentState.REFUSED, reason=sentence(reasons))


async def refuse_all(tx: Transaction, case: Facing, answers: Sequence[Answered], decision: Decision) -> None:
    """None of the answers is given out."""
    last: list[Reason] = []
    for one in answers:
        last = decision.refused.get(one.submission.id) or [_NOT_COUNTED]
        await refuse(tx, case, one, last)
    await after_refusal(tx, case, sentence(last))


async def after_refusal(tx: Transaction, case: Facing, reason: str) -> None:
    """What becomes of a submitted task when an answer was refused. Answers that are good so far keep it submitted, and
    another person is asked. One that waits unjudged is judged next, even past the limit: somebody gave it in time.
    Otherwise the task fails at `answers_limit` refused answers, expires after its hard stop, or goes on."""
    task, kind = case.task, case.kind
    present = await living(tx, task.id)
    submitted = [one.id for one in present if one.state == AssignmentState.SUBMITTED]
    refused = await _count_refused(tx, task.id)
    limit = kind.answers_limit + task.answers_wanted - 1
    over = await tx.now_ms() >= clock.to_ms(task.hard_stop_at)
    if submitted:
        unjudged = await tx.session.scalar(
            select(func.min(Submission.id)).where(
                Submission.assignment_id.in_(submitted),
                ~select(VerificationRun.id).where(VerificationRun.submission_id == Submission.id).exists(),
            )
        )
        if unjudged is not None:
            tx.emit("submission.received", unjudged)
        elif refused >= limit or over:
            tx.emit("task.decide", task.id, body={"closing": True})
        else:
            tx.emit("task.more", task.id)
            tx.emit("task.decide", task.id)
    elif refused >= limit:
        answers = "1 answer" if refused == 1 else f"{refused} answers"
        await fail(tx, task, f"No answer passed verification ({answers}). The last: {reason}")
    elif over:
        await expire(tx, task)
    elif any(one.state in HOLDS_CAPACITY for one in present):
        await change(tx, task, TaskStatus.ASSIGNED, actor="hub")
        await settle(tx, task)
    else:
        await change(tx, task, TaskStatus.POSTED, actor="hub")
        tx.emit("task.posted", task.id)


async def end_run(tx: Transaction, run: VerificationRun, to: RunState) -> None:
    await move(tx, run, to, table=TRANSITIONS, ended_at=clock.from_ms(await tx.now_ms()))


_INSERT = "INSERT INTO verdicts (id, run_id, stage, outcome, reasons, score, evidence, created_at)"
_VERDICTS = {
    "postgresql": f"""{_INSERT} SELECT * FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::text[], $8::bigint[])""",  # noqa: S608 - text of ours
    "sqlite": f"{_INSERT} VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
}


def verdicts_added(run_id: str, verdicts: Sequence[Verdict], now_ms: int, dialect: str) -> Part:
    """The write of verdicts in their order, which is that of their ids."""
    rows = [
        (
            ids.new("vdt"),
            run_id,
            one.stage,
            str(one.outcome),
            to_json(one.reasons),
            one.score,
            None if one.evidence is None else to_json(one.evidence),
            now_ms,
        )
        for one in verdicts
    ]
    return _VERDICTS[dialect], rows if dialect == "sqlite" else tuple(map(list, zip(*rows, strict=True)))


async def add_verdicts(tx: Transaction, run_id: str, verdicts: Sequence[Verdict]) -> None:
    if verdicts:
        await tx.execute(*verdicts_added(run_id, verdicts, await tx.now_ms(), tx.dialect))


_NOT_COUNTED = Reason(code="not_counted", message="This answer was not counted")


def _consensus_verdict(one: Answered, decision: Decision) -> Verdict:
    """What the others' answers say of this one. The evidence is for operators: a worker sees the reasons alone."""
    refused = decision.refused.get(one.submission.id)
    share = next((a.share for a in decision.agreements if a.worker == one.assignment.worker_id), None)
    return Verdict(
        stage="consensus",
        outcome=Outcome.FAIL if refused else Outcome.PASS,
        reasons=refused or [],
        score=share,
        evidence={
            "confidence": decision.confidence,
            "bound": decision.bound,
            "audits": decision.audits,
            "answers": len(decision.agreements),
        },
    )


async def _count_refused(tx: Transaction, task_id: str) -> int:
    """Bounded by the task type's limit, so counting is cheap."""
    statement = select(func.count()).where(
        Assignment.task_id == task_id, Assignment.state == str(AssignmentState.REFUSED)
    )
    return (await tx.session.execute(statement)).scalar_one()
