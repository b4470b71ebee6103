"""What a ticket gets when its task ends: one Reply row for each step of the connector's file. Called by the job of
topic `task.ended`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import select

from core import clock, ids
from core.db.unit_of_work import UnitOfWork
from core.intake.tables import TaskSource
from core.outbox.rows import Lease
from core.replies.states import ReplyState
from core.replies.tables import Reply
from core.replies.ticketing import Action
from core.routing.states import AssignmentState
from core.routing.tables import Assignment
from core.tasks.tables import Task


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """A connector's task that has ended: the route that made it, the template context {task, result, ticket}, and what
    was redacted from it, sealed."""

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
        planned = plan(ending)
        now = clock.from_ms(await tx.now_ms())
        for position, actions in enumerate(planned.writes):
            reply_id = ids.new("rep")
            tx.session.add(
                Reply(
                    id=reply_id,
                    task_id=task.id,
                    step=f"{task.status}.{position}",
                    position=position,
                    connector=task.connector,
                    ticket_id=task.ticket_id,
                    marker=f"{planned.marker}{reply_id}]",
                    actions=[{"kind": one.kind, "body": one.body} for one in actions],
                    state=ReplyState.PENDING,
                    attempts=0,
                    created_at=now,
                )
            )
            if position == 0:
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
