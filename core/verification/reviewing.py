"""What people decide: an answer before it is given out (`qa`), one that was given out (`spot`), a worker's appeal, a
disputed gold item. Opened by `decide.py`, `appeals.py` and `gold.py`; decided through `ruling.py`. Of two reviewers who
decide at once, one does: the review's state is moved by compare-and-set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.access.roles import Scope, may
from core.access.tables import Person
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction
from core.errors import Forbidden, NotFound
from core.routing.tables import Assignment
from core.tasks.tables import Task
from core.verification.model import Facing
from core.verification.policy import Review as Rules
from core.verification.stage import Reason
from core.verification.states import REVIEW_TRANSITIONS, ReviewState
from core.verification.tables import Review
from core.workers.tables import Worker


async def open_review(
    tx: Transaction,
    case: Facing,
    *,
    kind: str,
    subject: str,
    why: Sequence[Reason],
    said: str | None = None,
    not_by: Sequence[str] = (),
) -> Review:
    """Into the queue, with its clock. `said` is the worker's own word in an appeal or a dispute."""
    rules = case.types.checks.review
    hours = rules.hours if kind in ("qa", "spot") else rules.appeal_hours
    now = await tx.now_ms()
    row = Review(
        id=ids.new("rev"),
        kind=kind,
        subject=subject,
        task_id=case.task.id,
        state=str(ReviewState.OPEN),
        why=msgspec.to_builtins(list(why)),
        said=said,
        not_by=sorted(set(not_by)),
        opened_at=clock.from_ms(now),
        due_at=clock.from_ms(now + hours * 3_600_000),
    )
    tx.session.add(row)
    await tx.session.flush()
    tx.emit("review.due", row.id, delay=hours * 3600)
    return row


async def take(tx: Transaction, review_id: str, reviewer: str, rules: Rules, **outcome: Any) -> Review:
    """Decide the review, for good. Raises NotFound, Forbidden for somebody who may not judge this one, Conflict when it
    is decided already. The caller holds the task's row."""
    row = await tx.session.get(Review, review_id, populate_existing=True)
    if row is None:
        raise NotFound("unknown_review", "There is no such review")
    await may_judge(tx.session, row, reviewer, rules)
    await move(
        tx,
        row,
        ReviewState.DECIDED,
        table=REVIEW_TRANSITIONS,
        decided_at=clock.from_ms(await tx.now_ms()),
        decided_by=reviewer,
        outcome=outcome,
    )
    return row


async def lapse(tx: Transaction, row: Review) -> None:
    await move(
        tx, row, ReviewState.LAPSED, table=REVIEW_TRANSITIONS, decided_at=clock.from_ms(await tx.now_ms())
    )


async def may_judge(session: AsyncSession, row: Review, reviewer: str, rules: Rules) -> None:
    """Raises Forbidden: nobody judges their own answer, an answer to a task that they answered themselves, or an appeal
    against their own decision; and only operators and workers of the reviewers' tier judge at all."""
    if not await reviews(session, reviewer, rules):
        raise Forbidden("no_reviewer", "Only operators and reviewers decide reviews")
    if reviewer in row.not_by:
        raise Forbidden("another_reviewer", "Somebody else has to decide this one: you decided before")
    own = select(Assignment.id).where(Assignment.task_id == row.task_id, Assignment.worker_id == reviewer)
    if await session.scalar(own) is not None:
        raise Forbidden("own_task", "You had this task yourself; somebody else has to decide it")


async def reviews(session: AsyncSession, person_id: str, rules: Rules) -> bool:
    """Whether the person is an operator, or a worker whose tier reaches the reviewers'."""
    person = await session.get(Person, person_id)
    if person is None or person.blocked_at is not None:
        return False
    if may(person.role, Scope.REVIEW):
        return True
    worker = await session.get(Worker, person_id)
    return worker is not None and worker.tier >= rules.reviewer_tier


async def task_of(tx: Transaction, review_id: str) -> str:
    """The id of the review's task, whose lock is taken first. Raises NotFound."""
    found = await tx.session.scalar(select(Review.task_id).where(Review.id == review_id))
    if found is None:
        raise NotFound("unknown_review", "There is no such review")
    return found


async def queue(
    session: AsyncSession, *, kind: str = "", before: str = "", limit: int = 50
) -> list[tuple[Review, Task]]:
    """Open reviews, the one that is due first at the top; with `before`, decided ones, newest first."""
    statement = select(Review, Task).join(Task, Task.id == Review.task_id)
    if kind:
        statement = statement.where(Review.kind == kind)
    if before:
        statement = statement.where(Review.state != str(ReviewState.OPEN), Review.id < before)
        statement = statement.order_by(Review.id.desc())
    else:
        statement = statement.where(Review.state == str(ReviewState.OPEN))
        statement = statement.order_by(Review.due_at, Review.id)
    return [(row[0], row[1]) for row in (await session.execute(statement.limit(limit))).all()]
