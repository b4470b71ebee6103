"""`hub ledger`: is every rule of the books kept, and what lies where."""

from __future__ import annotations

import sys

import click
from sqlalchemy import select

from core.ledger.balances import check as check_books
from core.ledger.tables import LedgerAccount
from hub.cli.common import run, table
from hub.wiring import Wiring


@click.group("ledger")
def command() -> None:
    """The books, in millisatoshi."""


@command.command("check")
def check() -> None:
    """Check every invariant; exit 1 and name each that is broken."""

    async def act(wiring: Wiring) -> list[str]:
        async with wiring.services.work.read() as session:
            return [str(problem) for problem in await check_books(session)]

    problems = run(act)
    for problem in problems:
        click.echo(problem, err=True)
    click.echo("the books balance" if not problems else f"{len(problems)} rules are broken")
    sys.exit(1 if problems else 0)


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
