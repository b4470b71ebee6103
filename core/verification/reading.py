"""Reads for the pages: one review with the answers side by side, and how a task's answers were judged."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import NotFound
from core.routing.tables import Assignment, Submission
from core.tasks.tables import Task
from core.verification.fold import Decision
from core.verification.tables import DecisionRow, GoldExposure, GoldItem, Review, VerdictRow, VerificationRun


class AnswerSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One answer as a reviewer sees it. `reviewable`: it is among those that this review decides on."""

    submission_id: str
    worker_id: str
    output: Any
    state: str
    reason: str | None
    verdicts: list[VerdictRow]
    reviewable: bool


class ReviewSeen(msgspec.Struct, frozen=True, kw_only=True):
    """`known` is the known answer of a disputed gold item; `decision` the last one on the task, None before any."""

    review: Review
    task: Task
    answers: list[AnswerSeen]
    decision: Decision | None
    known: Any = None


async def read_review(session: AsyncSession, review_id: str) -> ReviewSeen:
    """Raises NotFound."""
    review = await session.get(Review, review_id)
    if review is None:
        raise NotFound("unknown_review", "There is no such review")
    task = await session.get_one(Task, review.task_id)
    known: Any = None
    if review.kind == "dispute":
        exposure = await session.get_one(GoldExposure, review.subject)
        known = (await session.get_one(GoldItem, exposure.gold_id)).answer
    answers = await answers_of(session, task.id)
    if review.kind == "appeal":
        answers = [one for one in answers if one.submission_id == review.subject]
    return ReviewSeen(
        review=review,
        task=task,
        answers=answers,
        decision=await decision_of(session, task.id),
        known=known,
    )


_Row = tuple[Submission, Assignment, VerificationRun | None]


async def answers_of(session: AsyncSession, task_id: str) -> list[AnswerSeen]:
    """Every answer to the task in the order of coming, with the verdicts of its stages."""
    rows = await session.execute(
        select(Submission, Assignment, VerificationRun)
        .join(Assignment, Assignment.id == Submission.assignment_id)
        .outerjoin(VerificationRun, VerificationRun.submission_id == Submission.id)
        .where(Submission.task_id == task_id)
        .order_by(Submission.id)
    )
    found: list[AnswerSeen] = []
    for submission, assignment, run in cast("list[_Row]", rows.all()):
        verdicts: list[VerdictRow] = []
        if run is not None:
            statement = select(VerdictRow).where(VerdictRow.run_id == run.id).order_by(VerdictRow.id)
            verdicts = list(await session.scalars(statement))
        refused = any(one.outcome == "fail" and one.stage not in ("consensus", "qa") for one in verdicts)
        found.append(
            AnswerSeen(
                submission_id=submission.id,
                worker_id=submission.worker_id,
                output=submission.output,
                state=assignment.state,
                reason=assignment.reason,
                verdicts=verdicts,
                reviewable=not refused,
            )
        )
    return found


async def decision_of(session: AsyncSession, task_id: str) -> Decision | None:
    text = await session.scalar(
        select(DecisionRow.decision)
        .where(DecisionRow.task_id == task_id)
        .order_by(DecisionRow.number.desc())
        .limit(1)
    )
    return None if text is None else msgspec.json.decode(text, type=Decision)


class GoldResult(msgspec.Struct, frozen=True, kw_only=True):
    """How an item was answered so far."""

    asked: int
    right: int
    wrong: int
    disputed: int


async def gold_results(session: AsyncSession, gold_ids: list[str]) -> dict[str, GoldResult]:
    """By item; one that nobody was asked is no key."""
    rows = await session.execute(
        select(GoldExposure.gold_id, GoldExposure.state, GoldExposure.right_share).where(
            GoldExposure.gold_id.in_(gold_ids)
        )
    )
    found: dict[str, GoldResult] = {}
    for gold_id, state, share in rows.all():
        before = found.get(gold_id, GoldResult(asked=0, right=0, wrong=0, disputed=0))
        found[gold_id] = GoldResult(
            asked=before.asked + 1,
            right=before.right + (share == 1.0),
            wrong=before.wrong + (share is not None and share < 1.0 and state != "undone"),
            disputed=before.disputed + (state in ("disputed", "undone")),
        )
    return found
