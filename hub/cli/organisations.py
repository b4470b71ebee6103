"""`hub organisations`: create, list, plan, credit."""

from __future__ import annotations

from decimal import Decimal

import click
from sqlalchemy import select

from core.access import organisations
from core.access.tables import Organisation
from core.billing.actions import credit
from core.errors import Invalid
from core.ledger import accounts
from core.ledger.tables import LedgerAccount
from core.money import MSAT_PER_SAT, Currency, decimal_of, to_msat
from core.tasks.model import Environment
from hub.cli.common import OPERATOR, organisation_named, run, table
from hub.wiring import Wiring


@click.group("organisations")
def command() -> None:
    """Tenants and their balances."""


@command.command("create")
@click.argument("name")
@click.option("--plan", default="pay_as_you_go", show_default=True)
def create(name: str, plan: str) -> None:
    """Create an organisation; its test environment gets a grant of test money."""

    async def act(wiring: Wiring) -> str:
        services = wiring.services
        services.plans.get(plan)
        async with services.work.begin("organisation.create") as tx:
            made = await organisations.create(
                tx, name=name, plan=plan, sealer=services.sealer, actor=OPERATOR
            )
            return (
                f"{made.id}\nwebhook secret: {organisations.webhook_secret(made, services.sealer).reveal()}"
            )

    click.echo(run(act))


@command.command("list")
def list_all() -> None:
    """Every organisation with what it has left, in satoshis."""

    async def act(wiring: Wiring) -> list[tuple[object, ...]]:
        async with wiring.services.work.read() as session:
            rows: list[tuple[object, ...]] = []
            for one in await session.scalars(select(Organisation).order_by(Organisation.name)):
                balances: list[object] = []
                for environment in Environment:
                    account = await session.get(LedgerAccount, accounts.prefund(one.id, environment).id)
                    balances.append(
                        (account.credits_msat - account.debits_msat) // MSAT_PER_SAT if account else 0
                    )
                rows.append((one.name, one.id, one.plan, *balances))
            return rows

    table(run(act), ["name", "id", "plan", "live sats", "test sats"])


@command.command("plan")
@click.argument("name")
@click.argument("plan")
def plan(name: str, plan: str) -> None:
    """Put an organisation on another plan, for the tasks that come from now on."""

    async def act(wiring: Wiring) -> None:
        services = wiring.services
        services.plans.get(plan)
        async with services.work.begin("organisation.plan") as tx:
            await organisations.set_plan(tx, await organisation_named(tx.session, name), plan, actor=OPERATOR)

    run(act)
    click.echo(f"{name} is on {plan}")


@command.command("credit")
@click.argument("name")
@click.argument("sats")
@click.option(
    "--environment", type=click.Choice([str(e) for e in Environment]), default="live", show_default=True
)
@click.option(
    "--reference", required=True, help="Your own number of this payment; the same one twice credits once."
)
def credit_account(name: str, sats: str, environment: str, reference: str) -> None:
    """Book a payment that the organisation made, in satoshis."""
    try:
        amount = decimal_of(sats)
    except ValueError as error:
        raise Invalid("bad_amount", str(error)) from error
    if amount <= 0 or amount != amount.to_integral_value():
        raise Invalid("bad_amount", "sats must be a whole number above zero")

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("billing.credit") as tx:
            found = await organisation_named(tx.session, name)
            msat = to_msat(Decimal(amount), Currency.SATS, None)
            await credit(tx, found.id, Environment(environment), msat, reference=reference, actor=OPERATOR)

    run(act)
    click.echo(f"credited {amount} sats to {name} ({environment})")
