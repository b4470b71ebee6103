"""`hub rates`: what the sources of the exchange rate say, what was dropped and why, and what was decided."""

from __future__ import annotations

import sys

import click

from core import clock
from core.errors import Retryable
from core.rates.model import Rate
from core.rates.records import Decision
from hub.cli.common import run, table
from hub.rate_feed import RateFeed
from hub.wiring import Wiring


@click.command("rates")
@click.option(
    "--ask", is_flag=True, help="Ask the sources now, instead of reading what the hub decided last."
)
def command(ask: bool) -> None:
    """The exchange rate: sources, decision, age. Exit 1 when nothing could be paid in dollars now."""

    async def act(wiring: Wiring) -> tuple[Decision | None, Rate | str]:
        rates = wiring.services.rates
        if not isinstance(rates, RateFeed):
            return None, rates.current()
        decision = await rates.ask_now() if ask else rates.decision
        try:
            return decision, rates.current()
        except Retryable as error:
            return decision, error.message

    decision, now = run(act)
    if decision is not None:
        table(list(_lines(decision)), ["source", "dollars", "age", "counts"])
        click.echo(_told(decision))
    if isinstance(now, Rate):
        click.echo(f"payouts in dollars use {now.usd_per_btc:f} ({now.source})")
    else:
        click.echo(f"payouts in dollars wait: {now}", err=True)
        sys.exit(1)


def _lines(decision: Decision) -> list[tuple[str, str, str, str]]:
    """A line for every source: its sample, or why there is none."""
    said = [
        (
            one.source,
            f"{one.usd_per_btc:f}",
            f"{(decision.decided_ms - one.at_ms) // 1000} s",
            f"no: {one.dropped}" if one.dropped else "yes",
        )
        for one in decision.found.samples
    ]
    known = {line[0] for line in said}
    silent = [
        (name, "", "", f"no answer: {why}") for name, why in decision.silent.items() if name not in known
    ]
    failing = {name: why for name, why in decision.silent.items() if name in known}
    told = [
        (*line[:3], f"{line[3]}; now {failing[line[0]]}" if line[0] in failing else line[3]) for line in said
    ]
    return [*told, *silent]


def _told(decision: Decision) -> str:
    age = f"{max(0, clock.now_ms() - decision.decided_ms) // 1000} s ago"
    found = decision.found
    if isinstance(found, Rate):
        return f"decided {age}: {found.usd_per_btc:f} dollars, {found.source}"
    return f"decided {age}: none, {found.reason}"
