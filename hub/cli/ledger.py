"""`hub ledger`: is every rule of the books kept, what lies where, and the books as files that anybody can check."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Generator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import click
from sqlalchemy import select

from core import clock
from core.ledger import chain, export
from core.ledger.balances import TrialBalance, trial_balance
from core.ledger.balances import check as check_books
from core.ledger.check import snapshot
from core.ledger.export import Format
from core.ledger.seal import seal_all
from core.ledger.statements import Period, Statement, moment, statement
from core.ledger.tables import LedgerAccount
from hub.cli.common import run, table
from hub.wiring import Wiring


class Moment(click.ParamType[datetime]):
    """A day, or a moment, in UTC."""

    name = "UTC"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return moment(value)
        except ValueError as error:
            self.fail(f"{error}: write 2026-11-24 or 2026-11-24T13:30:00, in UTC", param, ctx)


_SINCE = click.option("--from", "since", type=Moment(), help="From this day or moment on.")
_UNTIL = click.option("--to", "until", type=Moment(), help="Up to this day or moment, which is not in it.")
_FORMAT = click.option(
    "--format", "form", type=click.Choice([str(one) for one in Format]), default="csv", show_default=True
)
_OUTPUT = click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Else stdout.")


@click.group("ledger")
def command() -> None:
    """The books, in millisatoshi."""


@command.command("check")
@click.option("--head", help="A hash that `hub ledger head` said before: it must be in the chain still.")
def check(head: str | None) -> None:
    """Check every invariant; exit 1 and name each that is broken."""

    async def act(wiring: Wiring) -> list[str]:
        rails = wiring.services.rails.items()
        without = [name for name, rail in rails if not rail.capabilities.proves_by_preimage]
        await seal_all(wiring.services.work)
        async with wiring.services.work.read() as session:
            found = await check_books(session, rails_without_preimage=without, head=head)
        return [str(problem) for problem in found]

    problems = run(act)
    for problem in problems:
        click.echo(problem, err=True)
    click.echo("the books balance" if not problems else f"{len(problems)} rules are broken")
    sys.exit(1 if problems else 0)


@command.command("head")
def show_head() -> None:
    """Seal what is new; the chain's newest number and hash. Keep them where the hub's operator cannot write."""

    async def act(wiring: Wiring) -> chain.Head | None:
        await seal_all(wiring.services.work)
        async with wiring.services.work.read() as session:
            return await chain.head(session)

    found = run(act)
    click.echo(f"{found.number} {found.hash}" if found else "no transfers yet")


@command.command("balances")
def balances() -> None:
    """Every account with its sums."""

    async def act(wiring: Wiring) -> list[LedgerAccount]:
        async with wiring.services.work.read() as session:
            return list(await session.scalars(select(LedgerAccount).order_by(LedgerAccount.id)))

    table(
        [(a.id, a.debits_msat, a.credits_msat, a.credits_msat - a.debits_msat) for a in run(act)],
        ["account", "debits", "credits", "credits - debits"],
    )


@command.command("trial-balance")
def show_trial_balance() -> None:
    """The sums by kind of account, of what moved and of what is held; exit 1 when a side is heavier."""

    async def act(wiring: Wiring) -> TrialBalance:
        async with wiring.services.work.read() as session:
            return await trial_balance(session)

    found = run(act)
    sums = ("debits_msat", "credits_msat", "balance_msat", "debits_pending_msat", "credits_pending_msat")
    rows = [
        (one.kind or "sum", one.accounts, *(getattr(one, name) for name in sums))
        for one in (*found.lines, found.total)
    ]
    headings = ["kind", "accounts", "debits", "credits", "credits - debits", "held debits", "held credits"]
    table(rows, headings)
    sys.exit(0 if found.balanced else 1)


@command.command("statement")
@click.argument("account")
@_SINCE
@_UNTIL
@click.option("--before", help="Lines older than this transfer.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option(
    "--format", "form", type=click.Choice([str(one) for one in Format]), help="All lines, as a file."
)
@_OUTPUT
def show_statement(
    account: str,
    since: datetime | None,
    until: datetime | None,
    before: str | None,
    limit: int,
    form: str | None,
    output: Path | None,
) -> None:
    """One account's transfers with the balance after each, newest first; times are UTC."""
    period = Period(since=since, until=until)

    async def write(wiring: Wiring) -> None:
        async with wiring.services.work.read() as session:
            with _opened(output) as out:
                await _copy(export.statement(session, Format(form), account, period), out)

    async def act(wiring: Wiring) -> Statement:
        async with wiring.services.work.read() as session:
            return await statement(session, account, period=period, before=before, limit=limit)

    if form or output:
        form = form or "csv"
        run(write)
        return
    found = run(act)
    click.echo(f"{found.account} ({found.kind}): {found.balance_msat} msat, {found.held_msat} held")
    click.echo(f"opening {found.opening_msat}, closing {found.closing_msat}")
    table(
        [
            (
                clock.iso(one.at),
                one.kind,
                one.phase,
                one.other,
                one.amount_msat,
                one.change_msat,
                one.balance_msat,
            )
            for one in found.lines
        ],
        ["at (UTC)", "kind", "phase", "other account", "amount", "change", "balance"],
    )
    if found.next_before:
        click.echo(f"older lines: --before {found.next_before}")


@command.command("export")
@_FORMAT
@_SINCE
@_UNTIL
@_OUTPUT
@click.option(
    "--accounts",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the accounts to this file, of the same moment.",
)
def write_export(
    form: str, since: datetime | None, until: datetime | None, output: Path | None, accounts: Path | None
) -> None:
    """All transfers in the order of the chain, with number and hash. Whoever has both files of a whole export can verify
    them without the hub."""

    async def act(wiring: Wiring) -> None:
        await seal_all(wiring.services.work)
        async with wiring.services.work.read() as session:
            await snapshot(session)
            with _opened(output) as out:
                await _copy(export.transfers(session, Format(form), Period(since=since, until=until)), out)
            if accounts is not None:
                with _opened(accounts) as out:
                    await _copy(export.accounts(session, Format(form)), out)

    run(act)


@contextlib.contextmanager
def _opened(path: Path | None) -> Generator[IO[str]]:
    """The file, or stdout. The export brings its own line ends."""
    if path is None:
        yield sys.stdout
    else:
        with path.open("w", encoding="utf-8", newline="") as out:
            yield out


async def _copy(text: AsyncIterator[str], out: IO[str]) -> None:
    async for part in text:
        out.write(part)
