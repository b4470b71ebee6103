"""What a ticket gets when its task ends: one Reply row for each step of the connector's file; and when what it got is
corrected later. Called by the jobs of the topics `task.ended` and `task.corrected`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import select

from core import clock, ids
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import Retryable
from core.intake.tables import TaskSource
from core.outbox.rows import Lease
from core.outbox.tables import OutboxRow
from core.replies.states import ReplyState
from core.replies.tables import Reply
from core.replies.ticketing import Action
from core.routing.states import AssignmentState
from core.routing.tables import Assignment
from core.tasks.tables import Task

IN_ORDER_SECONDS = 60.0  # how often a correction asks whether what it corrects has arrived


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """A connector's task that has ended: the route that made it, the template context {task, result, ticket} (with `correction`
    when its answer was corrected), and what was redacted from it, sealed."""

    connector: str
    outcome: str
    route: str | None
    context: dict[str, Any]
    redacted: str | None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to write: the actions of each reply in order, and what its marker begins with (`[hub:`)."""

    writes: tuple[tuple[Action, ...], ...] = ()
    marker: str = "[hub:"


async def compose(work: UnitOfWork, lease: Lease, plan: Callable[[Ending], Plan]) -> None:
    """Topic `task.ended`. Only the first reply is sent off; each one sends the next (`actions.py`)."""
    async with work.finishing(lease, "replies.compose") as tx:
        task = await tx.session.get(Task, lease.subject)
        if task is None or task.connector is None or task.ticket_id is None:
            return
        if await tx.session.scalar(select(Reply.id).where(Reply.task_id == task.id).limit(1)):
            return
        source = await tx.session.get(TaskSource, task.id)
        counted = await tx.session.scalars(
            select(Assignment.id).where(
                Assignment.task_id == task.id, Assignment.state == AssignmentState.COUNTED
            )
        )
        ending = Ending(
            connector=task.connector,
            outcome=task.status,
            route=source.route if source else None,
            context=context_of(task, source, len(counted.all())),
            redacted=source.redacted if source else None,
        )
        await _add(tx, task, plan(ending), task.status, 0)


CORRECTED = "corrected"  # the outcome of a task whose answer was found wrong after it was given out
_OPEN = (ReplyState.PENDING, ReplyState.SENDING, ReplyState.UNCERTAIN)


async def correct(work: UnitOfWork, lease: Lease, plan: Callable[[Ending], Plan]) -> None:
    """Topic `task.corrected`: the ticket that got the answer is told what is wrong with it, once for each `version` in the
    job's body. Raises Retryable while what comes before it is on its way: a correction is read after what it corrects."""
    async with work.finishing(lease, "replies.compose") as tx:
        task = await tx.session.get_one(Task, lease.subject)
        if task.connector is None or task.ticket_id is None or task.correction is None:
            return
        replies = list(await tx.session.scalars(select(Reply).where(Reply.task_id == task.id)))
        step = f"{CORRECTED}.{lease.body['version']}"
        if any(one.step.startswith(f"{step}.") for one in replies):
            return
        ending = select(OutboxRow.id).where(
            OutboxRow.topic == "task.ended",
            OutboxRow.subject == task.id,
            OutboxRow.state.in_(["pending", "leased"]),
        )
        before = [one.id for one in replies if one.state in _OPEN]
        if before or await tx.session.scalar(ending.limit(1)) is not None:
            raise Retryable(
                "reply_in_order", "The answer itself is on its way into the ticket", after=IN_ORDER_SECONDS
            )
        source = await tx.session.get(TaskSource, task.id)
        found = Ending(
            connector=task.connector,
            outcome=CORRECTED,
            route=source.route if source else None,
            context={**context_of(task, source, 0), "correction": task.correction},
            redacted=source.redacted if source else None,
        )
        await _add(tx, task, plan(found), step, 1 + max((one.position for one in replies), default=-1))


async def _add(tx: Transaction, task: Task, planned: Plan, step: str, first: int) -> None:
    """Rows from the position `first` on; the first of them is sent off."""
    now = clock.from_ms(await tx.now_ms())
    for number, actions in enumerate(planned.writes):
        reply_id = ids.new("rep")
        tx.session.add(
            Reply(
                id=reply_id,
                task_id=task.id,
                step=f"{step}.{number}",
                position=first + number,
                connector=task.connector,
                ticket_id=task.ticket_id,
                marker=f"{planned.marker}{reply_id}]",
                actions=[{"kind": one.kind, "body": one.body} for one in actions],
                state=ReplyState.PENDING,
                attempts=0,
                created_at=now,
            )
        )
        if number == 0:
            tx.emit("reply.send", reply_id, queue="outside", key=f"reply:{reply_id}")


def context_of(task: Task, source: TaskSource | None, workers: int) -> dict[str, Any]:
    """What the steps of an outcome see: {task, result, ticket}. `workers` counts the people whose answer counted.
    Used by dry runs too, with a task that is in no database."""
    return {
        "task": {
            "id": task.id,
            "type": task.task_type,
            "status": task.status,
            "risk_tier": task.risk_tier,
            "payload": task.payload,
            "metadata": task.task_metadata or {},
        },
        "result": {"output": task.output or {}, "workers": workers, "reason": task.failure_reason or ""},
        "ticket": {
            "id": task.ticket_id,
            "url": (source.ticket_url if source else None) or "",
            "summary": (source.ticket_summary if source else None) or "",
        },
    }
