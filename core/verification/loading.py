"""What a judgement reads: the task under its lock with the plan of its asker, and everybody's turn at it. Two or three
statements, built once. Called by `actions.py` for each answer and by `decide.py`."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from sqlalchemy import bindparam, or_, select

from core.access.tables import Organisation
from core.db.unit_of_work import Transaction
from core.errors import NotFound
from core.routing.states import LIVE, AssignmentState
from core.routing.tables import Assignment, Submission
from core.tasks.tables import Task
from core.verification.model import Answered
from core.verification.stage import Outcome, Reason, Verdict
from core.verification.states import RunState
from core.verification.tables import VerdictRow, VerificationRun


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's turn at the task: no submission while it is in their hands, no run before the answer is looked at."""

    assignment: Assignment
    submission: Submission | None
    run: VerificationRun | None
    verdicts: list[Verdict]

    @property
    def answered(self) -> Answered | None:
        """The answer with its run, None while there is no run."""
        if self.submission is None or self.run is None:
            return None
        return Answered(
            submission=self.submission, assignment=self.assignment, run=self.run, verdicts=self.verdicts
        )


_TASK = (
    select(Task, Organisation.plan)
    .join(Organisation, Organisation.id == Task.organisation_id)
    .where(
        Task.id
        == select(Submission.task_id).where(Submission.id == bindparam("submission")).scalar_subquery()
    )
    .with_for_update(key_share=True, of=Task)
    .execution_options(populate_existing=True)
)
_TURNS = (
    select(Assignment, Submission, VerificationRun)
    .outerjoin(Submission, Submission.assignment_id == Assignment.id)
    .outerjoin(VerificationRun, VerificationRun.submission_id == Submission.id)
    .where(
        Assignment.task_id == bindparam("task"),
        or_(
            *(Assignment.state == str(state) for state in sorted(LIVE)),
            Submission.id == bindparam("submission"),
        ),
    )
    .order_by(Assignment.slot)
    .execution_options(populate_existing=True)
)
_VERDICT = (
    VerdictRow.run_id,
    VerdictRow.stage,
    VerdictRow.outcome,
    VerdictRow.reasons,
    VerdictRow.score,
    VerdictRow.evidence,
)
_OF_TASK = (
    select(*_VERDICT)
    .join(VerificationRun, VerificationRun.id == VerdictRow.run_id)
    .where(VerificationRun.task_id == bindparam("task"))
    .order_by(VerdictRow.id)
)
_OF_RUN = select(*_VERDICT).where(VerdictRow.run_id == bindparam("run")).order_by(VerdictRow.id)

_TurnRow = tuple[Assignment, Submission | None, VerificationRun | None]


async def task_of(tx: Transaction, submission_id: str) -> tuple[Task, str]:
    """The task that was answered, as it is now and held until the end of the transaction, and its asker's plan.
    Raises NotFound."""
    found = (await tx.session.execute(_TASK, {"submission": submission_id})).one_or_none()
    if found is None:
        raise NotFound("unknown_submission", f"There is no submission {submission_id}")
    return found[0], found[1]


async def turns(tx: Transaction, task_id: str, submission_id: str = "") -> list[Turn]:
    """Every turn at the task that is offered, accepted or submitted now, by slot, and the one of this submission whatever
    has become of it. The caller holds the task's row."""
    rows = await tx.session.execute(_TURNS, {"task": task_id, "submission": submission_id})
    found = cast("list[_TurnRow]", rows.all())
    verdicts: dict[str, list[Verdict]] = {}
    if any(run is not None and run.state != RunState.QUEUED for _, _, run in found):
        for row in await tx.session.execute(_OF_TASK, {"task": task_id}):
            verdicts.setdefault(row[0], []).append(_verdict(*row[1:]))
    return [
        Turn(
            assignment=assignment,
            submission=submission,
            run=run,
            verdicts=[] if run is None else verdicts.get(run.id, []),
        )
        for assignment, submission, run in found
    ]


def answers_of(turns: list[Turn], task: Task) -> tuple[list[Answered], int]:
    """The answers that have been through their stages and were not refused, in the order of coming; and how many are
    still on their way through them."""
    found: list[Answered] = []
    unjudged = 0
    for turn in turns:
        if turn.submission is None or turn.assignment.state != AssignmentState.SUBMITTED:
            continue
        one = turn.answered
        if one is None or one.run.state == RunState.QUEUED:  # nobody looked at it yet
            unjudged += task.answers_wanted > 1  # with one answer wanted, the backup's waits for a refusal
        elif any(verdict.outcome is Outcome.FAIL for verdict in one.verdicts):
            unjudged += 1  # its refusal is on its way
        else:
            found.append(one)
    found.sort(key=lambda one: one.submission.id)
    return found[: task.answers_max], unjudged  # a late answer may be one more than is paid for: it lapses


async def verdicts_of(tx: Transaction, run_id: str) -> list[Verdict]:
    """In the order in which the stages ran."""
    return [_verdict(*row[1:]) for row in await tx.session.execute(_OF_RUN, {"run": run_id})]


def _verdict(
    stage: str,
    outcome: str,
    reasons: list[dict[str, str]],
    score: float | None,
    evidence: dict[str, Any] | None,
) -> Verdict:
    return Verdict(
        stage=stage,
        outcome=Outcome(outcome),
        reasons=msgspec.convert(reasons, list[Reason]),
        score=score,
        evidence=evidence,
    )
