"""`hub jobs`: what gave up, and bringing it back."""

from __future__ import annotations

import click
from sqlalchemy import select

from core.audit.record import record
from core.callbacks.actions import redrive as redrive_callback
from core.callbacks.states import CallbackState
from core.callbacks.tables import CallbackDelivery
from core.errors import NotFound
from core.outbox import rows
from core.outbox.tables import OutboxRow
from core.replies.actions import redrive as redrive_reply
from core.replies.states import ReplyState
from core.replies.tables import Reply
from hub.cli.common import OPERATOR, run, table
from hub.wiring import Wiring


@click.group("jobs")
def command() -> None:
    """Dead letters: jobs, callbacks and replies."""


@command.command("dead")
@click.option("--limit", default=100, show_default=True)
def dead(limit: int) -> None:
    """Jobs, callbacks and replies that gave up, newest first, with their last error."""

    async def act(wiring: Wiring) -> list[tuple[object, ...]]:
        async with wiring.services.work.read() as session:
            jobs = await session.scalars(
                select(OutboxRow)
                .where(OutboxRow.state == "dead")
                .order_by(OutboxRow.ended_at.desc())
                .limit(limit)
            )
            found: list[tuple[object, ...]] = [
                (j.id, j.topic, j.subject, j.attempts, j.last_error) for j in jobs
            ]
            lost = await session.scalars(
                select(CallbackDelivery)
                .where(CallbackDelivery.state == CallbackState.DEAD)
                .order_by(CallbackDelivery.id.desc())
                .limit(limit)
            )
            found.extend((c.id, "callback", c.url, c.attempts, c.error) for c in lost)
            unsent = await session.scalars(
                select(Reply).where(Reply.state == ReplyState.DEAD).order_by(Reply.id.desc()).limit(limit)
            )
            found.extend((r.id, "reply", r.ticket_id, r.attempts, r.error) for r in unsent)
            return found

    table(run(act), ["id", "topic", "subject", "attempts", "last error"])


@command.command("redrive")
@click.argument("job_id")
def redrive(job_id: str) -> None:
    """Try a dead job, callback or reply again, now."""

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("jobs.redrive") as tx:
            if job_id.startswith("cbd_"):
                await redrive_callback(tx, job_id, actor=OPERATOR)
                return
            if job_id.startswith("rep_"):
                await redrive_reply(tx, job_id, actor=OPERATOR)
                return
            if not await rows.redrive(tx, job_id):
                raise NotFound("job_not_dead", f"No dead job {job_id}")
            await record(tx, actor=OPERATOR, action="job.redriven", subject=job_id)

    run(act)
    click.echo(f"redriven {job_id}")
