"""`hub inbound`: the raw inbox of all connectors, and reading a delivery again. `hub connectors replay --dry-run` shows
first what that would do."""

from __future__ import annotations

import click
from sqlalchemy import select

from core import clock
from core.intake.actions import replay as replay_event
from core.intake.states import InboundState
from core.intake.tables import InboundEvent
from hub.cli.common import OPERATOR, run, table
from hub.observe.trail import printable
from hub.wiring import Wiring


@click.group("inbound")
def command() -> None:
    """The raw inbox."""


@command.command("list")
@click.option(
    "--state", type=click.Choice([str(s) for s in InboundState]), default="failed", show_default=True
)
@click.option("--connector", "name", help="Of this connector alone.")
@click.option("--limit", default=100, show_default=True)
def list_some(state: str, name: str | None, limit: int) -> None:
    """Deliveries in one state, newest first."""

    async def act(wiring: Wiring) -> list[InboundEvent]:
        async with wiring.services.work.read() as session:
            statement = select(InboundEvent).where(InboundEvent.state == state)
            if name is not None:
                statement = statement.where(InboundEvent.connector == name)
            found = await session.scalars(statement.order_by(InboundEvent.id.desc()).limit(limit))
            return list(found)

    table(
        [
            (e.id, e.connector, printable(e.event_type), clock.iso(e.received_at), printable(e.reason or ""))
            for e in run(act)
        ],
        ["id", "connector", "event", "received", "reason"],
    )


@command.command("replay")
@click.argument("event_id")
def replay(event_id: str) -> None:
    """Read a failed or ignored delivery again with today's configuration."""

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("inbound.replay") as tx:
            await replay_event(tx, event_id, actor=OPERATOR)

    run(act)
    click.echo(f"replaying {event_id}")
