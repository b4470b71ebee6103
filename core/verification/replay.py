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
from core.verification.gold_rate import MILLION, Draw, thrown
from core.verification.tables import DecisionRow, VerificationRun


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """One decision, or one draw of gold: what was stored and what comes out today."""

    number: int
    stored: str
    again: str
    what: str = "decision"

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
    made = [
        Replayed(
            number=row.number,
            stored=row.decision,
            again=encode(fold(msgspec.json.decode(row.record, type=Record), question)),
        )
        for row in rows
    ]
    return [*made, *await _draws(session, task_id)]


async def _draws(session: AsyncSession, task_id: str) -> list[Replayed]:
    """Whether an answer's worker got gold next: thrown again from the run's id and the chance that was kept."""
    runs = await session.scalars(
        select(VerificationRun)
        .where(VerificationRun.task_id == task_id, VerificationRun.gold_draw.is_not(None))
        .order_by(VerificationRun.id)
    )
    found: list[Replayed] = []
    for number, run in enumerate(runs, 1):
        stored = msgspec.convert(run.gold_draw, Draw)
        again = thrown(run.id, stored.chance / MILLION)
        found.append(Replayed(number=number, stored=_text(stored), again=_text(again), what="gold draw"))
    return found


def _text(draw: Draw) -> str:
    return msgspec.json.encode(draw, order="deterministic").decode()


async def question_of(session: AsyncSession, task: Task) -> Question:
    """What was asked and all that was answered."""
    given = await session.execute(
        select(Submission.id, Submission.output).where(Submission.task_id == task.id)
    )
    outputs = {row[0]: row[1] for row in given.all()}
    return Question(payload=task.payload, schema=task.output_schema, outputs=outputs)
