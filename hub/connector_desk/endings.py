"""The requests that each ending of a task would send into its ticket, to the byte. Called by `dry_run.py`."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.errors import HubError
from core.intake.envelope import Escalation
from core.intake.tables import TaskSource
from core.replies.compose import Ending, context_of
from core.replies.tables import Reply
from core.replies.ticketing import Action, Call, Write
from core.routing.states import AssignmentState
from core.routing.tables import Assignment
from core.tasks.model import NewTask
from core.tasks.states import TaskStatus
from core.tasks.tables import Task
from hub.demo.answers import answer
from hub.understanding import OUTCOMES, Connectors

NOBODY = "00000000-0000-7000-8000-000000000000"  # stands for the id of a task that was never made


class Sketch(msgspec.Struct, frozen=True, kw_only=True):
    """The task that endings are thought of: its escalation, the request that it makes, the real one when there is one.
    `seal` keeps redactions as the database would hold them."""

    meaning: Escalation
    new: NewTask
    existing: Task | None
    seal: Callable[[Mapping[str, str]], str]


class WouldWrite(msgspec.Struct, frozen=True, kw_only=True):
    """One reply. `real` tells that it is of the task's real answer, else an example stands for it. `problem` says why
    it could not be made; then there are no calls."""

    outcome: str
    position: int
    kinds: tuple[str, ...]
    real: bool
    calls: tuple[Call, ...] = ()
    problem: str = ""


async def endings(session: AsyncSession, desk: Connectors, name: str, sketch: Sketch) -> list[WouldWrite]:
    """For verified, failed and expired, in the order of the file. Never raises for a template that fails or a value
    that the vendor would refuse: that is the finding."""
    workers, replies = 1, dict[str, Reply]()
    if sketch.existing is not None:
        counted = await session.scalar(
            select(func.count()).where(
                Assignment.task_id == sketch.existing.id, Assignment.state == AssignmentState.COUNTED
            )
        )
        workers = counted or 1
        rows = await session.scalars(select(Reply).where(Reply.task_id == sketch.existing.id))
        replies = {row.step: row for row in rows}
    found: list[WouldWrite] = []
    for outcome in OUTCOMES:
        found.extend(_of_outcome(desk, name, sketch, outcome, workers, replies))
    return found


def _of_outcome(
    desk: Connectors, name: str, sketch: Sketch, outcome: str, workers: int, replies: Mapping[str, Reply]
) -> list[WouldWrite]:
    real = sketch.existing is not None and sketch.existing.status == outcome
    task, source = _task(sketch, outcome), _source(sketch)
    ending = Ending(
        connector=name,
        outcome=outcome,
        route=sketch.meaning.route,
        context=context_of(task, source, workers),
        redacted=source.redacted,
    )
    try:
        plan = desk.plan(ending)
    except HubError as error:
        return [WouldWrite(outcome=outcome, position=0, kinds=(), real=real, problem=error.message)]
    found: list[WouldWrite] = []
    for position, actions in enumerate(plan.writes):
        known = replies.get(f"{outcome}.{position}")
        key = known.id if known else f"rep_{NOBODY.replace('-', '')}"
        write = Write(
            ticket_id=sketch.meaning.ticket.id,
            actions=actions,
            marker=known.marker if known else f"{plan.marker}{key}]",
            key=key,
            task_id=task.id,
        )
        found.append(_preview(desk, name, outcome, position, actions, write, real=real))
    return found


def _preview(
    desk: Connectors,
    name: str,
    outcome: str,
    position: int,
    actions: tuple[Action, ...],
    write: Write,
    *,
    real: bool,
) -> WouldWrite:
    kinds = tuple(one.kind for one in actions)
    try:
        calls = tuple(desk.delivery(name).writer.preview(write))
    except HubError as error:
        return WouldWrite(outcome=outcome, position=position, kinds=kinds, real=real, problem=error.message)
    return WouldWrite(outcome=outcome, position=position, kinds=kinds, real=real, calls=calls)


def _task(sketch: Sketch, outcome: str) -> Task:
    """The task as it would stand then; in no database."""
    new, existing = sketch.new, sketch.existing
    real = existing if existing is not None and existing.status == outcome else None
    output = None
    if outcome == TaskStatus.VERIFIED:
        output = real.output if real else answer(new.output_schema, random.Random(0))  # noqa: S311 - an example
    reasons = {TaskStatus.FAILED: "an example of a reason"}
    return Task(
        id=existing.id if existing else NOBODY,
        task_type=new.task_type,
        status=outcome,
        risk_tier=str(new.risk_tier),
        payload=new.payload,
        task_metadata=new.metadata,
        output=output,
        failure_reason=real.failure_reason if real else reasons.get(TaskStatus(outcome)),
        ticket_id=sketch.meaning.ticket.id,
        created_at=clock.now(),
    )


def _source(sketch: Sketch) -> TaskSource:
    ticket, redacted = sketch.meaning.ticket, sketch.meaning.redacted
    return TaskSource(
        task_id=NOBODY,
        route=sketch.meaning.route,
        ticket_url=ticket.url,
        ticket_summary=ticket.summary,
        redacted=sketch.seal(redacted) if redacted else None,
    )
