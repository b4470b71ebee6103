"""`hub bank`: workers' bank accounts, batches of payments that two people agree to, and the bank's answers."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from core.access import people
from core.access.roles import Scope, may
from core.bank import actions, queries
from core.bank.answers import Told, import_answers
from core.bank.file import dollars
from core.db.unit_of_work import Transaction
from core.errors import Conflict, Forbidden, Misconfigured
from core.payouts.limits import PayoutLimits
from core.payouts.rail import Capabilities
from hub.cli.common import run, table
from hub.wiring import Wiring

_AS = click.option(
    "--as", "email", required=True, metavar="EMAIL", help="Your address: an operator who may release payouts."
)


@click.group("bank")
def command() -> None:
    """Payments that people send to banks."""


@command.group("batch")
def batch() -> None:
    """One operator makes a batch, another confirms it, then its file can be read."""


@command.command("accounts")
def accounts() -> None:
    """Workers' accounts in use; of a number the last characters alone."""

    async def act(wiring: Wiring) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = []
        async with wiring.services.work.read() as session:
            after = ""
            while found := await queries.accounts(session, after=after):
                rows += [(one.worker_id, one.kind, one.label, one.usable_at.isoformat()) for one in found]
                after = found[-1].id
        return rows

    table(run(act), ["worker", "kind", "account", "paid from"])


@command.command("list")
def list_all() -> None:
    """What waits for a batch, and the batches, newest first."""

    async def act(wiring: Wiring) -> tuple[int, int, list[queries.BatchView]]:
        async with wiring.services.work.read() as session:
            waiting = await queries.waiting(session)
            return len(waiting), sum(one.cents for one in waiting), await queries.batches(session)

    count, cents, batches = run(act)
    click.echo(f"{count} payments wait for a batch, ${dollars(cents)}")
    table(
        [
            (one.id, one.state, one.payments, dollars(one.cents), one.made_by, one.confirmed_by or "")
            for one in batches
        ],
        ["batch", "state", "payments", "dollars", "made by", "confirmed by"],
    )


@batch.command("make")
@_AS
def make(email: str) -> None:
    """Freeze what waits into a batch, and print its id."""

    async def act(wiring: Wiring) -> tuple[str, int, int]:
        async with wiring.services.work.begin("bank.make") as tx:
            made = await actions.make_batch(
                tx,
                await _actor(tx, email),
                unseal=wiring.services.sealer.unseal,
                capabilities=_capabilities(wiring),
                limits=PayoutLimits.from_sats(wiring.settings.payouts),
            )
        if made is None:
            raise Conflict("nothing_to_send", "No payment waits for a batch")
        return made.id, made.payments, made.cents

    name, payments, cents = run(act)
    click.echo(f"{name}: {payments} payments, ${dollars(cents)}; another operator confirms it")


@batch.command("confirm")
@click.argument("batch_id")
@_AS
def confirm(batch_id: str, email: str) -> None:
    """The second person's word. Look at `hub bank list` first."""

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("bank.confirm") as tx:
            await actions.confirm(tx, batch_id, await _actor(tx, email))

    run(act)
    click.echo("confirmed")


@batch.command("dissolve")
@click.argument("batch_id")
@_AS
def dissolve(batch_id: str, email: str) -> None:
    """Take a batch apart that nobody has confirmed."""

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("bank.dissolve") as tx:
            await actions.dissolve(tx, batch_id, await _actor(tx, email))

    run(act)
    click.echo("dissolved")


@batch.command("export")
@click.argument("batch_id")
@_AS
def export(batch_id: str, email: str) -> None:
    """Write the file of a confirmed batch to standard output. It holds account numbers in the clear."""

    async def act(wiring: Wiring) -> str:
        async with wiring.services.work.begin("bank.export") as tx:
            actor = await _actor(tx, email)
            return await actions.export(tx, batch_id, actor, unseal=wiring.services.sealer.unseal)

    click.echo(run(act), nl=False)


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_AS
def take_in(file: Path, email: str) -> None:
    """Take in what the bank answered: a CSV with reference,status,reason. Exit 1 when a line was refused."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file} is not UTF-8: save it as CSV (UTF-8)") from error

    async def act(wiring: Wiring) -> list[Told]:
        async with wiring.services.work.begin("bank.import") as tx:
            return await import_answers(
                tx,
                text,
                await _actor(tx, email),
                capabilities=_capabilities(wiring),
                limits=PayoutLimits.from_sats(wiring.settings.payouts),
            )

    report = run(act)
    table(
        [(one.number, one.reference, one.status, one.outcome, one.why) for one in report],
        ["line", "reference", "status", "outcome", "why"],
    )
    sys.exit(1 if any(one.outcome == "refused" for one in report) else 0)


async def _actor(tx: Transaction, email: str) -> str:
    """The two-person rule is about people: a shell alone is nobody."""
    person = await people.by_email(tx.session, email)
    if person is None or person.blocked_at is not None or not may(person.role, Scope.MONEY):
        raise Forbidden("not_an_operator", f"{email} is no operator who may release payouts")
    return f"person:{person.id}"


def _capabilities(wiring: Wiring) -> Capabilities:
    rail = wiring.services.rails.get(queries.RAIL)
    if rail is None:
        raise Misconfigured(
            "no_bank_rail", "This hub pays no banks by hand: add `bank` to rails.use in hub.yaml"
        )
    return rail.capabilities
