"""`hub sandbox`: the customer's wallet of a hub without a node. TEST MONEY."""

from __future__ import annotations

import click

from connectors.rails.sandbox import FILE_NAME
from connectors.rails.sandbox_controls import SandboxControls
from core.errors import Invalid, NotFound
from core.money import MSAT_PER_SAT
from hub.cli.common import run
from hub.wiring import Wiring


@click.group("sandbox")
def command() -> None:
    """Play the other side of the sandbox rail, with TEST MONEY."""


@command.command("pay")
@click.argument("invoice")
def pay(invoice: str) -> None:
    """Pay an invoice that the sandbox made for a top-up, as a customer's wallet would."""

    async def act(wiring: Wiring) -> int | None:
        if "sandbox" not in wiring.services.rails:
            raise Invalid("no_sandbox", "this hub pays real money: the sandbox is not in rails.use")
        return SandboxControls(wiring.settings.folder / FILE_NAME).pay_ours(invoice)

    arrived = run(act)
    if arrived is None:
        raise NotFound(
            "unknown_invoice", "the sandbox did not make this invoice; see `hub organisations top-up`"
        )
    click.echo(f"paid: {arrived // MSAT_PER_SAT} sats of TEST MONEY")
