"""Makes every decision on a task again from its stored record and compares it with what was stored, byte for byte.
Called by `hub task replay`; reads only."""

from __future__ import annotations

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import NotFound
from core.routing.tables import Submission
from core.tasks.tables import Task
from core.verification.fold import Question, Record, encode, fold
from core.verification.tables import DecisionRow


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """One decision: what was stored and what comes out today."""

    number: int
    stored: str
    again: str

    @property
    def equal(self) -> bool:
        return self.stored == self.again


async def replay(session: AsyncSession, task_id: str) -> list[Replayed]:
    """In the order in which they were made; empty for a task that nothing was decided on. Raises NotFound."""
    task = await session.get(Task, task_id)
    if task is None:
        raise NotFound("task_not_found", f"There is no task {task_id}")
    question = await question_of(session, task)
    rows = await session.scalars(
        select(DecisionRow).where(DecisionRow.task_id == task_id).order_by(DecisionRow.number)
    )
    return [
        Replayed(
            number=row.number,
            stored=row.decision,
            again=encode(fold(msgspec.json.decode(row.record, type=Record), question)),
        )
        for row in rows
    ]


async def question_of(session: AsyncSession, task: Task) -> Question:
    """What was asked and all that was answered."""
    given = await session.execute(
        select(Submission.id, Submission.output).where(Submission.task_id == task.id)
    )
    outputs = {row[0]: row[1] for row in given.all()}
    return Question(payload=task.payload, schema=task.output_schema, outputs=outputs)
