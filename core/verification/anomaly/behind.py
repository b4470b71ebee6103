"""The answers behind a mark, for the operator's page: what the worker gave, how long it took, what the stages said of it, and
for a pair what the other one gave to the same question. Reads only; called by `hub/pages/operator_marks.py`."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.routing.tables import Assignment, Submission
from core.tasks.tables import Task
from core.verification.anomaly.model import KEPT, Signal
from core.verification.anomaly.suspicion import MarkKind
from core.verification.anomaly.tables import WorkerMark
from core.verification.anomaly.text import choice
from core.verification.stage import Outcome
from core.verification.tables import VerdictRow, VerificationRun

MOST = 25  # of one mark
_SIGNALS = {
    MarkKind.FAST: {Signal.TOO_FAST},
    MarkKind.REPEATS: {Signal.REPEATED},
    MarkKind.COPIES: {Signal.COPIED, Signal.PROMPT},
}
_JUDGES = ("gold", "qa", "consensus")


class Behind(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `said` are the stages' own words on it, `right` what is known of it (None: nothing), `other` what the
    other one of a pair gave, `established` what was given out."""

    task_id: str
    at: datetime
    output: Any
    seconds: float | None
    said: list[str]
    right: bool | None
    other: Any = None
    established: Any = None


async def answers_behind(session: AsyncSession, mark: WorkerMark) -> list[Behind]:
    """The newest first, at most `MOST` of the `KEPT` last: those that the mark is about."""
    kind = MarkKind(mark.kind)
    if kind is MarkKind.SHARED:
        return []
    statement = (
        select(Submission, Assignment, Task)
        .join(Assignment, Assignment.id == Submission.assignment_id)
        .join(Task, Task.id == Submission.task_id)
        .where(Submission.worker_id == mark.worker_id)
        .order_by(Submission.id.desc())
    )
    if mark.task_type:
        statement = statement.where(Task.task_type == mark.task_type)
    if kind is MarkKind.PAIR:
        other = str(mark.evidence.get("with", ""))
        both = select(Submission.task_id).where(Submission.worker_id == other)
        statement = statement.where(Submission.task_id.in_(both))
    rows = (await session.execute(statement.limit(KEPT))).all()
    verdicts = await _verdicts(session, [row[0].id for row in rows])
    others = await _others(session, mark, [row[0].task_id for row in rows]) if kind is MarkKind.PAIR else {}
    found = [_behind(row[0], row[1], row[2], verdicts[row[0].id], others) for row in rows]
    return [one for one, row in zip(found, rows, strict=True) if _shows(kind, one, verdicts[row[0].id])][
        :MOST
    ]


def _behind(
    given: Submission, turn: Assignment, task: Task, verdicts: list[VerdictRow], others: dict[str, Any]
) -> Behind:
    known = {one.stage: one.outcome == Outcome.PASS for one in verdicts if one.stage in _JUDGES}
    seconds = (given.created_at - turn.accepted_at).total_seconds() if turn.accepted_at else None
    return Behind(
        task_id=task.id,
        at=given.created_at,
        output=given.output,
        seconds=seconds,
        said=[str(sign["words"]) for sign in _signs(verdicts).values()],
        right=next((known[stage] for stage in _JUDGES if stage in known), None),
        other=others.get(task.id),
        established=task.output,
    )


def _shows(kind: MarkKind, one: Behind, verdicts: list[VerdictRow]) -> bool:
    """Whether the mark is about this answer."""
    match kind:
        case MarkKind.FAST | MarkKind.REPEATS | MarkKind.COPIES:
            return bool(_SIGNALS[kind] & _signs(verdicts).keys())
        case MarkKind.UNSKILLED | MarkKind.TURNED:
            return one.right is False
        case MarkKind.PAIR:
            return (choice(one.output) or one.output) == (choice(one.other) or one.other)
        case _:
            return True


def _signs(verdicts: list[VerdictRow]) -> dict[str, dict[str, Any]]:
    """What the anomaly stage noted of one answer, by signal."""
    found: dict[str, dict[str, Any]] = {}
    for one in verdicts:
        if one.stage == "anomaly" and one.evidence is not None:
            found |= one.evidence.get("signs", {})
    return found


async def _verdicts(session: AsyncSession, submissions: list[str]) -> dict[str, list[VerdictRow]]:
    rows = await session.execute(
        select(VerificationRun.submission_id, VerdictRow)
        .join(VerdictRow, VerdictRow.run_id == VerificationRun.id)
        .where(VerificationRun.submission_id.in_(submissions))
        .order_by(VerdictRow.id)
    )
    found: dict[str, list[VerdictRow]] = defaultdict(list)
    for submission, verdict in rows.all():
        found[submission].append(verdict)
    return found


async def _others(session: AsyncSession, mark: WorkerMark, tasks: list[str]) -> dict[str, Any]:
    rows = await session.execute(
        select(Submission.task_id, Submission.output).where(
            Submission.worker_id == str(mark.evidence.get("with", "")), Submission.task_id.in_(tasks)
        )
    )
    return {row[0]: row[1] for row in rows.all()}
