"""`hub task`: a task's whole trail, why it was offered to whom, its decisions made again, and cancelling one."""

from __future__ import annotations

import sys

import click

from core.errors import NotFound
from core.routing.endings import cancel as cancel_task
from core.tasks.tables import Task
from core.verification.replay import Replayed
from core.verification.replay import replay as replay_task
from hub.cli.common import OPERATOR, run
from hub.observe import trail, why_one
from hub.observe import why as reasons
from hub.wiring import Wiring


@click.group("task")
def command() -> None:
    """One task."""


@command.command("show")
@click.argument("task_id")
def show(task_id: str) -> None:
    """Everything that happened to a task, in order."""

    async def act(wiring: Wiring) -> str:
        async with wiring.services.work.read() as session:
            return trail.render_text(await trail.collect(session, task_id))

    click.echo(run(act))


@command.command("why")
@click.argument("task_id")
@click.option(
    "--worker", "who", default="", help="Why not this one, by e-mail address or id, as things are now."
)
def why(task_id: str, who: str) -> None:
    """Why a task was offered to whom: candidates, scores, weights, and who could not take it for which reason."""

    async def act(wiring: Wiring) -> str:
        s = wiring.services
        async with s.work.read() as session:
            task = await session.get(Task, task_id)
            if task is None:
                raise NotFound("task_not_found", f"There is no task {task_id}")
            if who:
                return "\n".join(await why_one.lines(session, task, who, s.types, wiring.policy))
            told = await reasons.of_task(session, task_id)
            return reasons.render_text(told) or await why_one.untold(session, task, wiring.policy)

    click.echo(run(act))


@command.command("replay")
@click.argument("task_id")
def replay(task_id: str) -> None:
    """Make every decision on the task's answers again from the stored record. Exits 1 when one comes out otherwise."""

    async def act(wiring: Wiring) -> list[Replayed]:
        async with wiring.services.work.read() as session:
            return await replay_task(session, task_id)

    made = run(act)
    for one in made:
        click.echo(f"{one.what} {one.number}: {'the same, byte for byte' if one.equal else 'DIFFERENT'}")
        click.echo(f"  stored {trail.printable(one.stored)}")
        if not one.equal:
            click.echo(f"  again  {trail.printable(one.again)}")
    if not made:
        click.echo("nothing was decided on this task")
    sys.exit(0 if all(one.equal for one in made) else 1)


@command.command("cancel")
@click.argument("task_id")
def cancel(task_id: str) -> None:
    """Withdraw a task that nobody has answered yet."""

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("tasks.cancel") as tx:
            task = await tx.session.get(Task, task_id)
            if task is None:
                raise NotFound("task_not_found", f"There is no task {task_id}")
            await cancel_task(tx, task, actor=OPERATOR)

    run(act)
    click.echo(f"cancelled {task_id}")
