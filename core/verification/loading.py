"""What a judgement reads: the task under its lock with the plan of its asker, and everybody's turn at it. Two or three
statements, built once. Called by `actions.py` for each answer and by `decide.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from core.db.copies import Copies
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.errors import NotFound
from core.routing.statements import TASKS
from core.routing.states import LIVE, AssignmentState
from core.routing.tables import Assignment, Submission
from core.tasks.tables import Task
from core.verification.model import Answered
from core.verification.stage import Outcome, Reason, Verdict
from core.verification.states import GoldState, RunState
from core.verification.tables import VerificationRun


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


_RUNS, _ASSIGNMENTS, _SUBMISSIONS = Copies(VerificationRun), Copies(Assignment), Copies(Submission)
_TASK = f"""
    SELECT {TASKS.select("t")}, o.plan, EXISTS (
        SELECT 1 FROM gold_items g WHERE g.task_type = t.task_type AND g.environment = t.environment AND g.state = '{GoldState.ACTIVE}')
    FROM tasks t JOIN organisations o ON o.id = t.organisation_id
    WHERE t.id = (SELECT task_id FROM submissions WHERE id = $1)"""  # noqa: S608 - names of ours
_TASK_HELD = {"postgresql": _TASK + " FOR NO KEY UPDATE OF t", "sqlite": for_dialect(_TASK, "sqlite")}
_TURNS = f"""
    SELECT {_ASSIGNMENTS.select("a")}, {_SUBMISSIONS.select("s")}, {_RUNS.select("r")}
    FROM assignments a LEFT JOIN submissions s ON s.assignment_id = a.id LEFT JOIN verification_runs r ON r.submission_id = s.id
    WHERE a.task_id = $1 AND (a.state IN ({", ".join(f"'{state}'" for state in sorted(LIVE))}) OR s.id = $2)
    ORDER BY a.slot"""  # noqa: S608 - names of ours
_VERDICT = "v.run_id, v.stage, v.outcome, v.reasons, v.score, v.evidence"
_OF_TASK = f"""
    SELECT {_VERDICT} FROM verdicts v JOIN verification_runs r ON r.id = v.run_id WHERE r.task_id = $1 ORDER BY v.id"""  # noqa: S608 - names of ours
_OF_RUN = f"SELECT {_VERDICT} FROM verdicts v WHERE v.run_id = $1 ORDER BY v.id"  # noqa: S608 - names of ours


async def task_of(tx: Transaction, submission_id: str) -> tuple[Task, str, bool]:
    """The task that was answered, as it is now and held until the end of the transaction (a copy that the session does not
    watch), its asker's plan, and whether there is gold of its type. Raises NotFound."""
    found = (await tx.execute(_TASK_HELD[tx.dialect], (submission_id,))).one_or_none()
    if found is None:
        raise NotFound("unknown_submission", f"There is no submission {submission_id}")
    *columns, plan, gold = found
    return TASKS.of(columns), plan, bool(gold)


async def turns(tx: Transaction, task_id: str, submission_id: str = "") -> list[Turn]:
    """Every turn at the task that is offered, accepted or submitted now, by slot, and the one of this submission whatever
    has become of it; copies that the session does not watch. The caller holds the task's row."""
    if tx.session.new or tx.session.dirty:
        await tx.session.flush()
    found = (await tx.execute(for_dialect(_TURNS, tx.dialect), (task_id, submission_id))).all()
    read = [_turn(row) for row in found]
    verdicts: dict[str, list[Verdict]] = {}
    if any(run is not None and run.state != RunState.QUEUED for _, _, run in read):
        for run_id, *said in await tx.execute(for_dialect(_OF_TASK, tx.dialect), (task_id,)):
            verdicts.setdefault(run_id, []).append(_verdict(*said))
    return [
        Turn(
            assignment=assignment,
            submission=submission,
            run=run,
            verdicts=[] if run is None else verdicts.get(run.id, []),
        )
        for assignment, submission, run in read
    ]


def _turn(row: Sequence[Any]) -> tuple[Assignment, Submission | None, VerificationRun | None]:
    assignment, rest = _ASSIGNMENTS.split(row)
    submission, rest = _SUBMISSIONS.split(rest)
    assert assignment is not None
    return assignment, submission, _RUNS.split(rest)[0]


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
    if tx.session.new or tx.session.dirty:
        await tx.session.flush()
    return [_verdict(*row[1:]) for row in await tx.execute(for_dialect(_OF_RUN, tx.dialect), (run_id,))]


def _verdict(stage: str, outcome: str, reasons: str, score: float | None, evidence: str | None) -> Verdict:
    """Reasons and evidence are the JSON that is stored."""
    return Verdict(
        stage=stage,
        outcome=Outcome(outcome),
        reasons=msgspec.json.decode(reasons, type=list[Reason]),
        score=score,
        evidence=None if evidence is None else msgspec.json.decode(evidence),
    )
