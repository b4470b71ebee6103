"""`hub connectors quarantine`: deliveries that no secret of ours verified."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from core import clock
from core.audit.record import record
from core.errors import NotFound
from core.intake.quarantine import held, let_go
from core.intake.tables import QuarantinedDelivery
from hub.cli.common import OPERATOR, run, table
from hub.connector_desk.lookup import known
from hub.connector_desk.release import Released, release
from hub.observe.trail import printable
from hub.wiring import Wiring


@click.command("quarantine")
@click.argument("name", required=False)
@click.option("--release", "releasing", is_flag=True, help="Verify each again with today's secrets.")
@click.option("--show", metavar="ID", help="Show one with its headers and body.")
@click.option("--forget", metavar="ID", help="Throw one away.")
def command(name: str | None, releasing: bool, show: str | None, forget: str | None) -> None:
    """Deliveries that no secret verified: perhaps ours is stale, perhaps they are forged. Exit 1 when a release
    leaves something behind."""
    if sum((releasing, show is not None, forget is not None)) > 1:
        raise click.UsageError("--release, --show and --forget exclude each other")
    if show is not None:
        _show(show)
    elif forget is not None:
        _forget(forget)
    elif releasing:
        _release(name)
    else:
        _list(name)


def _list(name: str | None) -> None:
    async def act(wiring: Wiring) -> Sequence[QuarantinedDelivery]:
        async with wiring.services.work.read() as session:
            if name is not None:
                await known(session, wiring.book, name)
            return await held(session, name)

    table(
        [
            (
                row.id,
                row.connector,
                clock.iso(row.received_at),
                row.client_ip or "-",
                len(row.body),
                row.reason,
            )
            for row in run(act)
        ],
        ["id", "connector", "received", "from", "bytes", "reason"],
    )


def _release(name: str | None) -> None:
    async def act(wiring: Wiring) -> list[Released]:
        work = wiring.services.work
        async with work.read() as session:
            if name is not None:
                await known(session, wiring.book, name)
            rows = await held(session, name)
        return await release(work, wiring.book, rows, actor=OPERATOR)

    done = run(act)
    for one in done:
        said = one.kept or (f"released, {one.stored} new" if one.stored else "released, all of it was known")
        click.echo(f"{'kept' if one.kept else 'ok  '} {one.id}  {one.connector}  {said}")
    kept = sum(bool(one.kept) for one in done)
    click.echo(f"{len(done) - kept} released, {kept} kept")
    sys.exit(1 if kept else 0)


def _show(row_id: str) -> None:
    async def act(wiring: Wiring) -> QuarantinedDelivery:
        async with wiring.services.work.read() as session:
            return _found(await session.get(QuarantinedDelivery, row_id), row_id)

    row = run(act)
    click.echo(
        f"{row.id} for {row.connector}, {clock.iso(row.received_at)}, from {row.client_ip or 'unknown'}"
    )
    click.echo(f"reason: {printable(row.reason)}")
    for header, value in sorted(row.headers.items()):
        click.echo(f"{printable(header)}: {printable(value)}")
    click.echo("")
    for line in row.body.decode(errors="replace").split("\n"):
        click.echo(printable(line))


def _forget(row_id: str) -> None:
    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("quarantine.forget") as tx:
            row = _found(await tx.session.get(QuarantinedDelivery, row_id), row_id)
            await let_go(tx, row.connector, [row.id], actor=OPERATOR)
            await record(
                tx, actor=OPERATOR, action="quarantine.forgotten", subject=row.id, connector=row.connector
            )

    run(act)
    click.echo(f"forgotten {row_id}")


def _found(row: QuarantinedDelivery | None, row_id: str) -> QuarantinedDelivery:
    if row is None:
        raise NotFound(
            "quarantined_not_found",
            f"Nothing in quarantine is called {row_id}; see `hub connectors quarantine`",
        )
    return row
