"""Judges an answer, stage by stage, and does what follows: the task is verified and those who agreed are paid, another
person is asked, a reviewer looks, or the answer is refused. Topics `submission.received` (the subject is the submission)
and `task.decide` (the task: nobody else can answer any more, or what was waited for is over).

One transaction, `tasks.verify`: the verdicts, what they mean and the end of the job become true together."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from core import clock, ids
from core.billing.plans import Plans
from core.db.base import to_json
from core.db.compare_and_set import move
from core.db.together import Part, together
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import Retryable
from core.outbox.rows import Lease
from core.rates.model import Rate
from core.routing.assignments import task_for_update
from core.routing.house import for_one_alone
from core.routing.states import AssignmentState
from core.tasks.states import TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskTypes
from core.verification import gold
from core.verification.anomaly import book as anomalies
from core.verification.anomaly.model import Behaviour
from core.verification.decide import OPEN_RUNS, decide, facing, facing_of
from core.verification.ending import after_refusal, end_run, refuse, verdicts_added
from core.verification.loading import Turn, task_of, turns
from core.verification.model import Answered, Facing
from core.verification.pipeline import Failed, NextStage, Passed, after, sentence
from core.verification.stage import Evidence
from core.verification.stages import stage
from core.verification.states import TRANSITIONS, RunState
from core.verification.tables import VerificationRun

ANOMALY = "anomaly"


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One answer with everything around it, read under the task's lock."""

    facing: Facing
    turn: Turn
    one: Answered
    turns: list[Turn]
    begun: bool  # the run is new, and written with what it comes to

    @property
    def open(self) -> bool:
        """Whether the verdict still matters: the task may have ended, or another answer been taken."""
        return (
            self.facing.task.status == TaskStatus.SUBMITTED
            and self.one.assignment.state == AssignmentState.SUBMITTED
            and self.one.run.state in OPEN_RUNS
        )


async def advance(
    work: UnitOfWork, lease: Lease, types: TaskTypes, plans: Plans, rate_of: Callable[[], Rate]
) -> RunState:
    """Run the stages and do what they say. `rate_of` is asked before the transaction; when it raises Retryable, a payout in
    dollars is earned and waits. Gives the run's state."""
    rate = _rate(rate_of)
    async with work.finishing(lease, "tasks.verify") as tx:
        step, case = await _judge(tx, await _case(tx, lease.subject, types, plans))
        match step:
            case None:
                return await _lapse(tx, case.one.run)
            case Failed(reasons=reasons):
                if for_one_alone(case.facing.task):
                    await gold.judge(tx, case.facing, case.one, None)
                await refuse(tx, case.facing, case.one, reasons)
                await after_refusal(tx, case.facing, sentence(reasons))
                return RunState.FAILED
            case Passed():
                await decide(tx, case.facing, rate, present=case.turns)
                return RunState(case.one.run.state)


async def decide_now(
    work: UnitOfWork, lease: Lease, types: TaskTypes, plans: Plans, rate_of: Callable[[], Rate]
) -> None:
    """Topic `task.decide`: what the answers that are there come to. `closing` in its body: nobody else is asked.
    `nobody_left`: nobody else may be asked; what a reviewer would decide at the hard stop goes to them now, the rest waits."""
    rate = _rate(rate_of)
    async with work.finishing(lease, "tasks.decide") as tx:
        task = await task_for_update(tx, lease.subject)
        case = await facing(tx, task, types, plans)
        closing, nobody = bool(lease.body.get("closing")), bool(lease.body.get("nobody_left"))
        await decide(tx, case, rate, closing=closing, nobody_left=nobody)


async def judge_recorded(tx: Transaction, submission_id: str, types: TaskTypes, plans: Plans) -> None:
    """The stages of an answer that was recorded with the time it took (`history.py`): a simulated person's as well. One that
    a stage refuses is refused; the task's decision is the caller's."""
    case = await _case(tx, submission_id, types, plans)
    outcome, case = await _judge(tx, case, timed=True)
    if isinstance(outcome, Failed):
        await refuse(tx, case.facing, case.one, outcome.reasons)


_BEGIN = """
    INSERT INTO verification_runs (id, task_id, submission_id, state, stages, position, created_at, gold_draw)
    VALUES ($1, $2, $3, $4, $5, $6::int, $7::bigint, $8)"""


async def _case(tx: Transaction, submission_id: str, types: TaskTypes, plans: Plans) -> Case:
    """Everything around the answer, under the task's lock; its run is begun when there is none yet, with the stages
    that are in force now. Raises NotFound."""
    task, plan, there_is_gold = await task_of(tx, submission_id)
    around = facing_of(task, plans.get(plan), types)
    present = await turns(tx, task.id, submission_id)
    turn = next(one for one in present if one.submission is not None and one.submission.id == submission_id)
    if turn.run is not None:
        return _beside(around, present, turn)
    run = _begun(around, submission_id, await tx.now_ms())
    if there_is_gold:
        run.gold_draw = msgspec.to_builtins(await gold.draw(tx, around, turn.assignment.worker_id, run.id))
    return _beside(around, present, msgspec.structs.replace(turn, run=run), begun=True)


def _beside(around: Facing, present: list[Turn], turn: Turn, *, begun: bool = False) -> Case:
    """The case of one turn that has been answered, which takes the place of what it was among those present."""
    assert turn.answered is not None
    others = [turn if one.assignment.id == turn.assignment.id else one for one in present]
    return Case(facing=around, turn=turn, one=turn.answered, turns=others, begun=begun)


def _begun(around: Facing, submission_id: str, now_ms: int) -> VerificationRun:
    """A new run, not written yet."""
    return VerificationRun(
        id=ids.new("run"),
        task_id=around.task.id,
        submission_id=submission_id,
        state=str(RunState.QUEUED),
        stages=around.needed.stages,
        position=0,
        created_at=clock.from_ms(now_ms),
    )


def _written(run: VerificationRun) -> Part:
    drawn = None if run.gold_draw is None else to_json(run.gold_draw)
    row = (run.id, run.task_id, run.submission_id, run.state, to_json(run.stages), run.position)
    return _BEGIN, (*row, clock.to_ms(run.created_at), drawn)


async def _judge(tx: Transaction, case: Case, *, timed: bool = False) -> tuple[Passed | Failed | None, Case]:
    """Run every stage that has no verdict yet, until one says no; what that comes to, and the case with all verdicts. None
    when the verdict no longer matters. `timed`: the times are those of a person even in the test environment."""
    if not case.open:
        if case.begun:
            await together(tx, [_written(case.one.run)])
        return None, case
    task, run, verdicts = case.facing.task, case.one.run, list(case.one.verdicts)
    evidence = Evidence(
        payload=task.payload,
        output=case.one.submission.output,
        output_schema=task.output_schema,
        task_type=case.facing.kind,
        task=task_facts(task),
        behaviour=await _behaviour(tx, case, timed=timed),
    )
    while isinstance(step := after(run.stages, verdicts), NextStage):
        verdict = stage(step.name).judge(evidence)
        verdicts.append(verdict)
    now, new = await tx.now_ms(), verdicts[len(case.one.verdicts) :]
    writes = [verdicts_added(run.id, new, now, tx.dialect)] if new else []
    if evidence.behaviour is not None and any(one.stage == ANOMALY for one in verdicts):
        writes.append(anomalies.remembered(task, evidence.behaviour, now, tx.dialect))
    if case.begun:
        run.state, run.position = str(RunState.RUNNING), len(verdicts)
        writes.insert(0, _written(run))
    if writes:
        await together(tx, writes)
    if not case.begun and run.state in (RunState.QUEUED, RunState.RUNNING):
        await move(tx, run, RunState.RUNNING, table=TRANSITIONS, position=len(verdicts))
    turn = msgspec.structs.replace(case.turn, verdicts=verdicts)
    return step, _beside(case.facing, case.turns, turn)


async def _behaviour(tx: Transaction, case: Case, *, timed: bool) -> Behaviour | None:
    """How the answer came about; None when the stage does not ask, or has asked before."""
    one = case.one
    if ANOMALY not in one.run.stages or any(verdict.stage == ANOMALY for verdict in one.verdicts):
        return None
    return await anomalies.behaviour(tx, case.facing.task, one.submission, one.assignment, timed=timed)


def task_facts(task: Task) -> dict[str, object]:
    """What a rule may read of the task beside its payload."""
    return {
        "id": task.id,
        "taskType": task.task_type,
        "riskTier": task.risk_tier,
        "environment": task.environment,
        "slaSeconds": task.sla_seconds,
        "skills": task.skills,
        "metadata": task.task_metadata,
        "createdAt": clock.iso(task.created_at),
    }


def _rate(rate_of: Callable[[], Rate]) -> Rate | None:
    """None while there is no rate: `verified` does not wait for one, the payout does if it is in dollars."""
    try:
        return rate_of()
    except Retryable:
        return None


async def _lapse(tx: Transaction, run: VerificationRun) -> RunState:
    """The task has ended, or this job is a repeat: nothing follows from this answer any more."""
    if run.state in OPEN_RUNS:
        await end_run(tx, run, RunState.LAPSED)
    return RunState(run.state)
