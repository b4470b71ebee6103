"""`hub rails`: what each rail is, whether it answers, what it holds, and what is known of its history."""

from __future__ import annotations

import click

from core import clock
from core.payouts.desk import RailLine, rail_lines
from hub.cli.common import run, table
from hub.wiring import Wiring


@click.command("rails")
def command() -> None:
    """Every configured rail: reachable, balance, breaker, payments in doubt, last reconciliation."""

    async def act(wiring: Wiring) -> list[RailLine]:
        return await rail_lines(wiring.services.work, wiring.services.rails, ask=True)

    table(
        [
            (
                line.name,
                "real" if line.real_money else "TEST MONEY",
                line.answers or "cannot be asked",
                "" if line.balance_msat is None else line.balance_msat,
                "; ".join(line.stopped) or "no",
                line.in_doubt,
                _reconciled(line),
            )
            for line in run(act)
        ],
        ["rail", "money", "answers", "msat", "stopped", "in doubt", "reconciled"],
    )


def _reconciled(line: RailLine) -> str:
    if not line.can_be_reconciled:
        return "has no history"
    if line.reconciled_at is None:
        return "not yet"
    return f"{clock.iso(line.reconciled_at)}, {line.findings} findings"
