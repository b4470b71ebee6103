"""`hub organisations`: create, list, plan, credit, top up over Lightning, monthly statements."""

from __future__ import annotations

import click
from sqlalchemy import select

from core import clock
from core.access import organisations
from core.access.tables import Organisation
from core.billing import monthly, top_ups
from core.billing.actions import credit
from core.billing.tables import TopUp
from core.errors import Invalid
from core.ledger import accounts
from core.ledger.tables import LedgerAccount
from core.money import MSAT_PER_SAT, Currency, decimal_of, to_msat
from core.tasks.model import Environment
from hub.cli import organisation_people
from hub.cli.common import OPERATOR, organisation_named, run, table
from hub.wiring import Wiring

_ENVIRONMENT = click.option(
    "--environment", type=click.Choice([str(e) for e in Environment]), default="live", show_default=True
)


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


command.add_command(organisation_people.command)


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
def change_plan(name: str, plan: str) -> None:
    """Put an organisation on another plan of plans.yaml, from the next task on."""

    async def act(wiring: Wiring) -> None:
        services = wiring.services
        services.plans.get(plan)
        async with services.work.begin("organisation.plan") as tx:
            found = await organisation_named(tx.session, name)
            await organisations.set_plan(tx, found, plan, actor=OPERATOR)

    run(act)
    click.echo(f"{name} is on {plan}")


@command.command("credit")
@click.argument("name")
@click.argument("sats")
@_ENVIRONMENT
@click.option(
    "--reference", required=True, help="Your own number of this payment; the same one twice credits once."
)
def credit_account(name: str, sats: str, environment: str, reference: str) -> None:
    """Book a payment that the organisation made, in satoshis."""
    msat = _msat(sats)

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("billing.credit") as tx:
            found = await organisation_named(tx.session, name)
            await credit(tx, found.id, Environment(environment), msat, reference=reference, actor=OPERATOR)

    run(act)
    click.echo(f"credited {msat // MSAT_PER_SAT} sats to {name} ({environment})")


@command.command("top-up")
@click.argument("name")
@click.argument("sats")
@_ENVIRONMENT
def top_up(name: str, sats: str, environment: str) -> None:
    """Make a Lightning invoice; what is paid to it is credited within seconds, by the money worker."""
    msat = _msat(sats)

    async def act(wiring: Wiring) -> TopUp:
        services = wiring.services
        async with services.work.read() as session:
            found = await organisation_named(session, name)
        return await top_ups.ask(
            services.work,
            services.rails,
            services.top_ups,
            organisation_id=found.id,
            environment=Environment(environment),
            amount_msat=msat,
            actor=OPERATOR,
        )

    made = run(act)
    click.echo(f"{made.id} over {made.rail}, until {clock.iso(made.expires_at)}\n{made.invoice}")


@command.command("top-ups")
@click.argument("name")
@_ENVIRONMENT
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
def list_top_ups(name: str, environment: str, limit: int) -> None:
    """The newest invoices of an organisation, in satoshis, and what came in."""

    async def act(wiring: Wiring) -> list[TopUp]:
        async with wiring.services.work.read() as session:
            found = await organisation_named(session, name)
            rows, _ = await top_ups.listing(session, found.id, environment, limit=limit)
            return rows

    table(
        [
            (
                row.id,
                row.state,
                row.rail,
                row.amount_msat // MSAT_PER_SAT,
                row.received_msat // MSAT_PER_SAT,
                clock.iso(row.created_at),
                clock.iso(row.expires_at),
            )
            for row in run(act)
        ],
        ["id", "state", "rail", "asked", "received", "made", "until"],
    )


@command.command("look")
@click.argument("top_up_id")
def look(top_up_id: str) -> None:
    """Ask the rail now what has arrived for a top-up, also for one that has lapsed."""

    async def act(wiring: Wiring) -> TopUp:
        return await top_ups.look_now(wiring.services.work, wiring.services.rails, top_up_id, actor=OPERATOR)

    row = run(act)
    click.echo(f"{row.id} is {row.state}; {row.received_msat // MSAT_PER_SAT} sats arrived")


@command.command("statement")
@click.argument("name")
@click.argument("month")
@_ENVIRONMENT
def statement(name: str, month: str, environment: str) -> None:
    """What a month (2026-11, UTC) cost an organisation, in millisatoshi; as it was closed, or as it stands."""

    async def act(wiring: Wiring) -> monthly.Shown:
        async with wiring.services.work.read() as session:
            found = await organisation_named(session, name)
        async with wiring.services.work.read() as session:
            return await monthly.shown(session, found.id, environment, month)

    found = run(act)
    told = found.statement
    closed = f"closed {clock.iso(found.closed_at)}" if found.closed_at else "not closed"
    click.echo(f"{name}, {environment}, {told.month}, plan {told.plan}, {closed}")
    table(
        [
            ("opening", "", told.opening_msat),
            *((line.kind, line.transfers, line.amount_msat) for line in told.lines),
            ("closing", "", told.closing_msat),
        ],
        ["what", "transfers", "msat"],
    )
    click.echo(
        f"tasks created {told.tasks_created}, verified {told.tasks_verified}; "
        f"payouts {told.payouts} (${told.payouts_usd})"
    )


def _msat(sats: str) -> int:
    """Raises Invalid for anything but a whole number above zero."""
    try:
        amount = decimal_of(sats)
    except ValueError as error:
        raise Invalid("bad_amount", str(error)) from error
    if amount <= 0 or amount != amount.to_integral_value():
        raise Invalid("bad_amount", "sats must be a whole number above zero")
    return to_msat(amount, Currency.SATS, None)
