"""Decides on a task's answers and does what the decision says, in one transaction under the task's lock: reads the
record (`fold.Record`), folds it, keeps both, and acts. Called after each answer (`actions.py`), at the hard stop and when
nobody else is left to ask."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy.orm.attributes import set_committed_value

from core import clock, ids
from core.access.tables import Organisation
from core.billing.plans import Plan, Plans
from core.db.base import to_json
from core.db.compare_and_set import move
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.rates.model import Rate
from core.routing.house import for_one_alone
from core.routing.states import HOLDS_CAPACITY
from core.routing.tables import Assignment
from core.tasks.states import TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskType, TaskTypes
from core.verification import book, gold, marked
from core.verification.consensus.model import POOL
from core.verification.ending import refuse_all, verify
from core.verification.fold import MILLION, Decision, Given, Question, Record, Step, encode, fold
from core.verification.loading import Turn, answers_of, turns
from core.verification.model import Answered, Facing
from core.verification.policy import Level, Otherwise, Requirement
from core.verification.reviewing import open_review
from core.verification.stage import Reason
from core.verification.states import TRANSITIONS, RunState

OPEN_RUNS = (RunState.QUEUED, RunState.RUNNING, RunState.NEEDS_ANSWER, RunState.NEEDS_QA)


async def facing(tx: Transaction, task: Task, types: TaskTypes, plans: Plans) -> Facing:
    """The task with its type, plan and requirement. The caller holds the task's row."""
    organisation = await tx.session.get_one(Organisation, task.organisation_id)
    return facing_of(task, plans.get(organisation.plan), types)


def facing_of(task: Task, plan: Plan, types: TaskTypes) -> Facing:
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
    tx: Transaction,
    case: Facing,
    rate: Rate | None,
    *,
    closing: bool = False,
    nobody_left: bool = False,
    present: list[Turn] | None = None,
) -> Decision | None:
    """The decision that was made and carried out; None when no answer of the task waits for one. `present` are the turns
    at the task, where the caller has read them under its lock. `nobody_left`: as `closing`, but nothing is done unless a
    reviewer is to decide: until the hard stop somebody may join who answers."""
    task = case.task
    if task.status != TaskStatus.SUBMITTED:
        return None
    present = await turns(tx, task.id) if present is None else present
    answers, unjudged = answers_of(present, task)
    if not any(one.run.state in (RunState.RUNNING, RunState.NEEDS_ANSWER) for one in answers):
        return None
    working = [one.assignment for one in present if one.assignment.state in HOLDS_CAPACITY]
    record = await _record(tx, case, answers, len(working), unjudged, closing=closing or nobody_left)
    outputs = {one.submission.id: one.submission.output for one in answers}
    decision = fold(record, Question(payload=task.payload, schema=task.output_schema, outputs=outputs))
    if nobody_left and (decision.step is not Step.QA or working):
        return None
    kept = await _keep(tx, task, record, decision)
    living = [one.assignment for one in present]
    if (learnt := await _act(tx, case, answers, decision, record, rate, living, nobody_left)) is not None:
        await tx.execute(for_dialect(_LEARNT, tx.dialect), (kept, to_json(learnt)))
    return decision


async def _act(
    tx: Transaction,
    case: Facing,
    answers: list[Answered],
    decision: Decision,
    record: Record,
    rate: Rate | None,
    living: list[Assignment],
    nobody_left: bool,
) -> Any:
    """Gives what consensus learnt, as it is kept with the decision; None for nothing."""
    task, learnt = case.task, None
    match decision.step:
        case Step.WAIT:
            await _to(tx, answers, RunState.NEEDS_ANSWER)
        case Step.ANOTHER:
            await _to(tx, answers, RunState.NEEDS_ANSWER)
            wanted = max(len(answers) + 1, case.needed.level.answers_min)
            await _want(tx, task, min(max(task.answers_wanted, wanted), task.answers_max))
            tx.emit("task.more", task.id)
        case Step.QA:
            await _to(tx, answers, RunState.NEEDS_QA)
            why = [Reason(code=decision.reason, message=WHY_QA[decision.reason])]
            if nobody_left:
                why.append(Reason(code="nobody_left", message="Nobody else may be asked"))
            await open_review(tx, case, kind="qa", subject=task.id, why=why)
        case Step.VERIFIED:
            if for_one_alone(task):
                learnt = gold.stored(await gold.judge(tx, case, answers[0], record))
            learnt = (
                await verify(tx, case, answers, decision, record, rate, living, marked.hold_earned) or learnt
            )
            if decision.spot:
                why = [Reason(code="spot_check", message="Picked at random among the answers given out")]
                await open_review(tx, case, kind="spot", subject=task.id, why=why)
        case Step.FAILED:
            await refuse_all(tx, case, answers, decision)
    return learnt


WHY_QA = {
    "unsure": "A check could not tell whether this answer is right",
    "always_qa": "A reviewer looks at every answer of this risk",
    "short": "Fewer people answered in time than this risk asks for",
    "undecided": "The answers do not agree",
    "uncertified": "Not enough answers of this kind were checked yet to give it out on the numbers alone",
}


_WANT = "UPDATE tasks SET answers_wanted = $2::int WHERE id = $1"


async def _want(tx: Transaction, task: Task, answers: int) -> None:
    """Written whoever watches the object."""
    if answers != task.answers_wanted:
        set_committed_value(task, "answers_wanted", answers)
        await tx.execute(for_dialect(_WANT, tx.dialect), (task.id, answers))


async def _to(tx: Transaction, answers: Sequence[Answered], state: RunState) -> None:
    for one in answers:
        if one.run.state != state:
            await move(tx, one.run, state, table=TRANSITIONS)


async def _record(
    tx: Transaction, case: Facing, answers: list[Answered], working: int, unjudged: int, *, closing: bool
) -> Record:
    task, level = case.task, case.needed.level
    over = await tx.now_ms() >= clock.to_ms(task.hard_stop_at)
    workers = [one.assignment.worker_id for one in answers]
    counters, audited = await book.counters(tx, task.task_type, task.environment, workers)
    return Record(
        version=3,
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
        under_way=0 if over else working,
        unjudged=unjudged,
        closing=closing or over,
        pool=counters.pop(POOL, []),
        workers=counters,
        certificate=await book.certificate(tx, task.task_type, task.environment, level, audited),
        draw=secrets.randbelow(MILLION),
        rules=case.kind.rules if len(answers) > 1 else [],
    )


_KEEP = """
    INSERT INTO verification_decisions (id, task_id, number, record, decision, created_at)
    SELECT $1, $2::text, COALESCE(MAX(number), 0) + 1, $3, $4, $5::bigint FROM verification_decisions WHERE task_id = $2::text"""
_LEARNT = "UPDATE verification_decisions SET changes = $2 WHERE id = $1"


async def _keep(tx: Transaction, task: Task, record: Record, decision: Decision) -> str:
    """The id of the decision; its number is the next of the task's, whose row the caller holds."""
    kept = ids.new("dec")
    row = (kept, task.id, encode(record), encode(decision), await tx.now_ms())
    await tx.execute(for_dialect(_KEEP, tx.dialect), row)
    return kept
