"""`hub connectors`: what is configured and how it is, the tests inside a file, the doctor, and what an operator does
when something did not go through. What the commands do is in `hub/connector_desk`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from connectors.config import load
from connectors.connector import Check
from connectors.file_tests import run_tests
from connectors.form import seconds
from core import clock
from core.errors import Conflict, Misconfigured
from core.intake import records
from core.intake.tables import InboundEvent
from core.replies.actions import resume as resume_connector
from hub.cli.common import OPERATOR, run, table
from hub.cli.connector import quarantine, replay
from hub.connector_desk import dead_letters as letters
from hub.connector_desk.coverage import untested
from hub.connector_desk.doctor import Clinic, examine
from hub.connector_desk.lookup import configured, known
from hub.connector_desk.overview import Overview, overview
from hub.connector_desk.poll import poll
from hub.observe.trail import printable
from hub.settings_file import load_settings
from hub.wiring import Wiring

_MARKS = {True: "ok", False: "FAIL", None: "??"}


@click.group("connectors")
def command() -> None:
    """Connector files, and what goes through them."""


command.add_command(quarantine.command)
command.add_command(replay.command)


@command.command("list")
def list_all() -> None:
    """Every connector with its webhook address and what waits for you; those without a file too."""

    async def act(wiring: Wiring) -> list[Overview]:
        async with wiring.services.work.read() as session:
            return await overview(session, wiring.book, wiring.settings.public_url)

    table(
        [
            (
                one.id,
                one.vendor,
                one.organisation or "-",
                one.environment or "-",
                one.mode or "-",
                one.repairs,
                one.quarantined,
                one.dead,
                clock.iso(one.reconciled_to) if one.reconciled_to else "never",
                one.address or one.note,
            )
            for one in run(act)
        ],
        [
            "id",
            "connector",
            "organisation",
            "environment",
            "mode",
            "repairs",
            "quarantined",
            "dead",
            "reconciled to",
            "webhook address",
        ],
    )


@command.command("test")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--fixtures",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the recorded deliveries are; else the folder `fixtures` beside FILE.",
)
def test(file: Path, fixtures: Path | None) -> None:
    """Run the tests inside FILE, offline; exit 1 when one fails. Routes and outcomes without a test get a warning."""
    config = load(file.read_text(), file.name, os.environ)
    outcomes = run_tests(config, fixtures or file.parent / "fixtures")
    for outcome in outcomes:
        click.echo(
            f"{'ok  ' if outcome.passed else 'FAIL'} {outcome.name}{'' if outcome.passed else ': ' + outcome.problem}"
        )
    if not outcomes:
        click.echo(f"{file}: has no tests: section")
    else:
        for missing in untested(config.settings):
            click.echo(f"warn {missing}")
    sys.exit(0 if outcomes and all(outcome.passed for outcome in outcomes) else 1)


@command.command("doctor")
@click.argument("name")
@click.option("--ticket", default="", help="A ticket into which a canary note may be written and read back.")
def doctor(name: str, ticket: str) -> None:
    """Examine connector NAME: file, secrets, hub, database, then the vendor. Exit 1 when something is broken."""
    _, directory = load_settings()

    async def act(wiring: Wiring) -> list[Check]:
        clinic = Clinic(
            work=wiring.services.work,
            types=wiring.services.types,
            tools=wiring.tools,
            fixtures=directory / "connectors" / "fixtures",
            public_url=wiring.settings.public_url,
        )
        return await examine(clinic, configured(wiring.book, name), ticket)

    checks = run(act)
    width = max(len(check.name) for check in checks)
    for check in checks:
        click.echo(f"{_MARKS[check.ok]:<4}  {check.name:<{width}}  {printable(check.said)}".rstrip())
        if check.ok is not True and check.fix:
            click.echo(f"{'':6}{'':<{width}}  -> {printable(check.fix)}")
    broken = sum(check.ok is False for check in checks)
    doubtful = sum(check.ok is None for check in checks)
    click.echo(f"{name}: {broken} broken, {doubtful} doubtful, {len(checks) - broken - doubtful} fine")
    sys.exit(1 if broken else 0)


@command.command("deadletters")
@click.argument("name", required=False)
@click.option("--limit", default=100, show_default=True)
def deadletters(name: str | None, limit: int) -> None:
    """Replies that were refused, gave up or are moot, and deliveries that could not be read, newest first."""

    async def act(wiring: Wiring) -> Sequence[letters.DeadLetter]:
        async with wiring.services.work.read() as session:
            if name is not None:
                await known(session, wiring.book, name)
            return await letters.dead_letters(session, name, limit)

    table(
        [
            (one.id, one.connector, one.state, printable(one.about), clock.iso(one.at), printable(one.reason))
            for one in run(act)
        ],
        ["id", "connector", "state", "what", "at", "reason"],
    )


@command.command("redrive")
@click.argument("letter_id", metavar="REPLY|EVENT")
def redrive(letter_id: str) -> None:
    """Try a dead reply again, or read a failed delivery again with today's file."""

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("connectors.redrive") as tx:
            await letters.redrive(tx, letter_id, actor=OPERATOR)

    run(act)
    click.echo(f"redriven {letter_id}")


@command.command("resume")
@click.argument("name")
def resume(name: str) -> None:
    """Say that connector NAME is mended: its repair items are closed and what waited goes out."""

    async def act(wiring: Wiring) -> int:
        async with wiring.services.work.begin("connectors.resume") as tx:
            await known(tx.session, wiring.book, name)
            return await resume_connector(tx, name, actor=OPERATOR)

    closed = run(act)
    click.echo(f"resumed {name}: {closed} repair item{'' if closed == 1 else 's'} closed")


@command.command("retire")
@click.argument("name")
def retire(name: str) -> None:
    """Tell the vendor of connector NAME, whose file is gone, that nobody is here any more."""

    async def act(wiring: Wiring) -> None:
        if name in wiring.book:
            file = wiring.book[name].file_name
            raise Conflict(
                "connector_in_use",
                f"config/connectors/{file} still configures {name}; take the file away first "
                "(or write `mode: off` into it to keep it)",
            )
        async with wiring.services.work.begin("connectors.retire") as tx:
            await records.retire(tx, await known(tx.session, wiring.book, name), actor=OPERATOR)

    run(act)
    click.echo(f"retired {name}")


@command.command("revive")
@click.argument("name")
def revive(name: str) -> None:
    """Take the retirement of connector NAME back: until its file is there, the vendor shall try again."""

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("connectors.revive") as tx:
            await records.revive(tx, await known(tx.session, wiring.book, name), actor=OPERATOR)

    run(act)
    click.echo(f"revived {name}")


def _duration(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Seconds of `90s`, `30m`, `6h`, `2d`."""
    if value is None:
        return None
    if not (value[:-1].isascii() and value[:-1].isdigit() and len(value) <= 6 and value[-1] in "smhd"):
        raise click.BadParameter("write a number and s, m, h or d, such as 30m")
    return seconds(value)


@command.command("reconcile")
@click.argument("name")
@click.option(
    "--since", callback=_duration, help="How far back to look, such as 30m; else since the last look."
)
def reconcile(name: str, since: int | None) -> None:
    """Ask the vendor of connector NAME now what changed, and take in what no delivery brought."""

    async def act(wiring: Wiring) -> Sequence[InboundEvent]:
        return await poll(wiring.services.work, wiring.tools, configured(wiring.book, name), since)

    came = run(act)
    for event in came:
        click.echo(f"{event.id}  {printable(event.event_type)}  {printable(event.delivery_id)}")
    click.echo(
        f"{name}: {len(came) or 'no'} change{'' if len(came) == 1 else 's'} that no delivery had brought"
    )


@command.command("setup")
@click.argument("name")
def setup(name: str) -> None:
    """Do at the vendor of connector NAME what its API allows: webhook subscriptions, fields."""

    async def act(wiring: Wiring) -> list[str]:
        config = configured(wiring.book, name)
        if config.connector.setup is None:
            raise Misconfigured(
                "no_setup",
                f"{config.connector.name} is set up by hand: connectors/{config.connector.name}/README.md says how",
            )
        return await config.connector.setup(config.settings, wiring.tools, wiring.settings.public_url)

    for line in run(act):
        click.echo(line)
