"""`hub connectors replay`: reads a delivery again, for show or for good."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from connectors.config import ConnectorConfig, load
from core.errors import Invalid
from core.intake.actions import delivery_of
from core.intake.actions import replay as replay_event
from core.intake.envelope import InboundDelivery
from hub.cli.common import OPERATOR, run
from hub.connector_desk.dry_run import DryRun, dry_run
from hub.connector_desk.dry_run_text import difference, lines
from hub.connector_desk.lookup import configured, event_named
from hub.observe.trail import printable
from hub.understanding import Connectors
from hub.wiring import Wiring


@click.command("replay")
@click.argument("event")
@click.option(
    "--config",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read it with this connector file instead of the configured one (dry run only).",
)
@click.option(
    "--connector", "name", help="With a file as EVENT: the id of the connector that it was sent to."
)
@click.option(
    "--dry-run", "dry", is_flag=True, help="Write nothing; show the task and every request of its endings."
)
@click.option("--offline", is_flag=True, help="Never ask the vendor; refuse where a route wants context.")
@click.option("--diff", is_flag=True, help="Show how the task would differ from the one that was made.")
def command(event: str, file: Path | None, name: str | None, dry: bool, offline: bool, diff: bool) -> None:
    """Read EVENT (inb_…, or a file with a recorded body) again with today's configuration.

    Without --dry-run a failed or ignored delivery is brought back and read for good. With it nothing is written, here
    or at the vendor. Exit 1 when an ending would be refused."""
    if not dry:
        _for_good(event, file, offline=offline, diff=diff)
        return

    async def act(wiring: Wiring) -> tuple[str, DryRun]:
        delivery, connector_id, said = await _delivery(wiring, event, name)
        config = _config(wiring, file, connector_id)
        services = wiring.services
        desk = Connectors(
            {config.settings.id: config}, services.types, services.plans, wiring.tools, services.sealer
        )
        done = await dry_run(services, desk, config, delivery, offline=offline)
        return f"{said}\nfile      {config.file_name} (connector {config.settings.id})", done

    said, done = run(act)
    click.echo(said)
    for line in lines(done):
        click.echo(line)
    if diff:
        _difference(done)
    sys.exit(1 if any(write.problem for write in done.writes) else 0)


def _for_good(event: str, file: Path | None, *, offline: bool, diff: bool) -> None:
    if file is not None or offline or diff:
        raise click.UsageError(
            "--config, --offline and --diff go with --dry-run; to read for good with another file, put it into "
            "config/connectors first"
        )
    if not event.startswith("inb_"):
        raise click.UsageError(
            "only a stored delivery (inb_…) can be read for good; add --dry-run to read a file"
        )

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("inbound.replay") as tx:
            await replay_event(tx, event, actor=OPERATOR)

    run(act)
    click.echo(f"replaying {event}")


async def _delivery(wiring: Wiring, event: str, name: str | None) -> tuple[InboundDelivery, str | None, str]:
    """The delivery, the id of its connector where that is known, and what it is."""
    if event.startswith("inb_"):
        async with wiring.services.work.read() as session:
            row = await event_named(session, event)
        if name is not None and name != row.connector:
            raise Invalid("other_connector", f"{event} was sent to {row.connector}; leave --connector out")
        said = f"event     {row.id} {printable(row.event_type)} of {row.connector}, {row.state}"
        return delivery_of(row), row.connector, said
    path = Path(event)
    try:
        body = path.read_bytes()
    except OSError as error:
        raise Invalid(
            "no_such_event", f"{event} is neither an inbound event (inb_…) nor a file: {error.strerror}"
        ) from error
    delivery = InboundDelivery(
        delivery_id=path.name, event_type="replayed", body=body, headers={}, verified_by=0
    )
    return delivery, name, f"event     {path.name}, {len(body)} bytes"


def _config(wiring: Wiring, file: Path | None, connector_id: str | None) -> ConnectorConfig:
    if file is None:
        if connector_id is None:
            raise Invalid("which_connector", "Say which connector the file was sent to: --connector NAME")
        return configured(wiring.book, connector_id)
    config = load(file.read_text(), file.name, os.environ)
    if connector_id is not None and config.settings.id != connector_id:
        raise Invalid(
            "other_connector",
            f"{file.name} is of connector {config.settings.id}, the delivery of {connector_id}; "
            f"write `id: {connector_id}` into the file",
        )
    return config


def _difference(done: DryRun) -> None:
    click.echo("")
    if done.new is None or done.existing is None:
        click.echo("diff      there is no task to compare with")
        return
    found = difference(done.existing, done.new)
    for line in found:
        click.echo(line)
    if not found:
        click.echo("diff      the task would be the same")
