"""Decides on a task's answers and does what the decision says, in one transaction under the task's lock: reads the
record (`fold.Record`), folds it, keeps both, and acts. Called after each answer (`actions.py`), at the hard stop and when
nobody else is left to ask."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import cast

import msgspec
from sqlalchemy import func, select

from core import clock, ids
from core.access.tables import Organisation
from core.billing.plans import Plan, Plans
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction
from core.rates.model import Rate
from core.routing.assignments import living
from core.routing.house import for_one_alone
from core.routing.states import HOLDS_CAPACITY, AssignmentState
from core.routing.tables import Assignment, Submission
from core.tasks.states import TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskType, TaskTypes
from core.verification import book, gold
from core.verification.consensus.model import POOL
from core.verification.ending import refuse_all, verify
from core.verification.fold import MILLION, Decision, Given, Question, Record, Step, encode, fold
from core.verification.model import Answered, Facing
from core.verification.policy import Level, Otherwise, Requirement
from core.verification.reviewing import open_review
from core.verification.stage import Outcome, Reason, Verdict
from core.verification.states import TRANSITIONS, RunState
from core.verification.tables import DecisionRow, VerdictRow, VerificationRun

OPEN_RUNS = (RunState.QUEUED, RunState.RUNNING, RunState.NEEDS_ANSWER, RunState.NEEDS_QA)


async def facing(tx: Transaction, task: Task, types: TaskTypes, plans: Plans) -> Facing:
    """The task with its type, plan and requirement. The caller holds the task's row."""
    organisation = await tx.session.get_one(Organisation, task.organisation_id)
    plan = plans.get(organisation.plan)
    kind = types.of(task.task_type)
    return Facing(task=task, kind=kind, plan=plan, needed=requirement(task, kind, plan, types), types=types)


def requirement(task: Task, kind: TaskType, plan: Plan, types: TaskTypes) -> Requirement:
    """As the files say now; never more answers than were reserved when the task was created."""
    if for_one_alone(task):  # gold: what it tells is told to the worker's record alone, and it is paid
        asked = types.checks.level_for(task.risk_tier)
        level = Level(spot_check=0.0, unsure=Otherwise.RELEASE, gold_floor=asked.gold_floor)
        return Requirement(level=level, stages=list(kind.stages))
    needed = types.checks.requirement(
        task_type=task.task_type,
        stages=kind.stages,
        risk=task.risk_tier,
        plan=plan,
        environment=task.environment,
    )
    most = task.answers_max
    level = msgspec.structs.replace(
        needed.level,
        answers_max=min(needed.level.answers_max, most),
        answers_min=min(needed.level.answers_min, most),
    )
    return msgspec.structs.replace(needed, level=level)


async def decide(
    tx: Transaction, case: Facing, rate: Rate | None, *, closing: bool = False
) -> Decision | None:
    """The decision that was made and carried out; None when no answer of the task waits for one."""
    task = case.task
    if task.status != TaskStatus.SUBMITTED:
        return None
    answers, unjudged = await _answers(tx, task)
    if not any(one.run.state in (RunState.RUNNING, RunState.NEEDS_ANSWER) for one in answers):
        return None
    record = await _record(tx, case, answers, unjudged, closing=closing)
    outputs = {one.submission.id: one.submission.output for one in answers}
    decision = fold(record, Question(payload=task.payload, schema=task.output_schema, outputs=outputs))
    row = await _keep(tx, task, record, decision)
    await _act(tx, case, answers, decision, row, record, rate)
    return decision


async def _act(
    tx: Transaction,
    case: Facing,
    answers: list[Answered],
    decision: Decision,
    row: DecisionRow,
    record: Record,
    rate: Rate | None,
) -> None:
    task = case.task
    match decision.step:
        case Step.WAIT:
            await _to(tx, answers, RunState.NEEDS_ANSWER)
        case Step.ANOTHER:
            await _to(tx, answers, RunState.NEEDS_ANSWER)
            wanted = max(len(answers) + 1, case.needed.level.answers_min)
            task.answers_wanted = min(max(task.answers_wanted, wanted), task.answers_max)
            tx.emit("task.more", task.id)
        case Step.QA:
            await _to(tx, answers, RunState.NEEDS_QA)
            why = [Reason(code=decision.reason, message=WHY_QA[decision.reason])]
            await open_review(tx, case, kind="qa", subject=task.id, why=why)
        case Step.VERIFIED:
            if for_one_alone(task):
                row.changes = gold.stored(await gold.judge(tx, case, answers[0], record))
            learnt = await verify(tx, case, answers, decision, record, rate)
            row.changes = learnt or row.changes
            if decision.spot:
                why = [Reason(code="spot_check", message="Picked at random among the answers given out")]
                await open_review(tx, case, kind="spot", subject=task.id, why=why)
        case Step.FAILED:
            await refuse_all(tx, case, answers, decision)


WHY_QA = {
    "unsure": "A check could not tell whether this answer is right",
    "always_qa": "A reviewer looks at every answer of this risk",
    "short": "Fewer people answered in time than this risk asks for",
    "undecided": "The answers do not agree",
    "uncertified": "Not enough answers of this kind were checked yet to give it out on the numbers alone",
}


async def _to(tx: Transaction, answers: Sequence[Answered], state: RunState) -> None:
    for one in answers:
        if one.run.state != state:
            await move(tx, one.run, state, table=TRANSITIONS)


async def _record(
    tx: Transaction, case: Facing, answers: list[Answered], unjudged: int, *, closing: bool
) -> Record:
    task, level = case.task, case.needed.level
    working = [one for one in await living(tx, task.id) if one.state in HOLDS_CAPACITY]
    over = await tx.now_ms() >= clock.to_ms(task.hard_stop_at)
    workers = [one.assignment.worker_id for one in answers]
    counters = await book.counters(tx.session, task.task_type, task.environment, workers)
    return Record(
        task=task.id,
        task_type=task.task_type,
        requirement=case.needed,
        answers=[
            Given(
                submission=one.submission.id,
                worker=one.assignment.worker_id,
                stages=one.run.stages,
                verdicts=one.verdicts,
            )
            for one in answers
        ],
        under_way=0 if over else len(working),
        unjudged=unjudged,
        closing=closing or over,
        pool=counters.pop(POOL, []),
        workers=counters,
        certificate=await book.certificate(tx.session, task.task_type, task.environment, level),
        draw=secrets.randbelow(MILLION),
        rules=case.kind.rules if len(answers) > 1 else [],
    )


_Row = tuple[Submission, Assignment, VerificationRun | None]


async def _answers(tx: Transaction, task: Task) -> tuple[list[Answered], int]:
    """The answers that have been through their stages and were not refused, in the order of coming; and how many are
    still on their way through them."""
    rows = await tx.session.execute(
        select(Submission, Assignment, VerificationRun)
        .join(Assignment, Assignment.id == Submission.assignment_id)
        .outerjoin(VerificationRun, VerificationRun.submission_id == Submission.id)
        .where(Submission.task_id == task.id, Assignment.state == str(AssignmentState.SUBMITTED))
        .order_by(Submission.id)
        .execution_options(populate_existing=True)
    )
    found: list[Answered] = []
    unjudged = 0
    for submission, assignment, run in cast("list[_Row]", rows.all()):  # none: nobody looked at it yet
        if run is None or run.state == RunState.QUEUED:
            unjudged += task.answers_wanted > 1  # with one answer wanted, the backup's waits for a refusal
            continue
        verdicts = await verdicts_of(tx, run.id)
        if any(one.outcome is Outcome.FAIL for one in verdicts):
            unjudged += 1  # its refusal is on its way
            continue
        found.append(Answered(submission=submission, assignment=assignment, run=run, verdicts=verdicts))
    return found[: task.answers_max], unjudged  # a late answer may be one more than is paid for: it lapses


async def verdicts_of(tx: Transaction, run_id: str) -> list[Verdict]:
    found = await tx.session.scalars(
        select(VerdictRow).where(VerdictRow.run_id == run_id).order_by(VerdictRow.id)
    )
    return [
        Verdict(
            stage=row.stage,
            outcome=Outcome(row.outcome),
            reasons=msgspec.convert(row.reasons, list[Reason]),
            score=row.score,
            evidence=row.evidence,
        )
        for row in found
    ]


async def _keep(tx: Transaction, task: Task, record: Record, decision: Decision) -> DecisionRow:
    statement = select(func.max(DecisionRow.number)).where(DecisionRow.task_id == task.id)
    number = (await tx.session.scalar(statement) or 0) + 1
    row = DecisionRow(
        id=ids.new("dec"),
        task_id=task.id,
        number=number,
        record=encode(record),
        decision=encode(decision),
        created_at=clock.from_ms(await tx.now_ms()),
    )
    tx.session.add(row)
    await tx.session.flush()
    return row
