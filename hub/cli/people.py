"""`hub people`: workers, operators, and their one-time sign-in links."""

from __future__ import annotations

import click

from core.access import people, sessions
from core.access.roles import Role
from core.access.tables import Person
from core.errors import NotFound
from core.money import MSAT_PER_SAT
from core.tasks.model import Environment
from core.workers import actions as workers
from core.workers import joining, suspensions
from core.workers import skills as worker_skills
from core.workers.model import NewWorker
from hub.cli.common import OPERATOR, run, table
from hub.tier_rules import TierRules, general, published
from hub.wiring import Wiring


@click.group("people")
def command() -> None:
    """Workers and operators."""


@command.command("add-operator")
@click.argument("email")
@click.option("--name", required=True)
def add_operator(email: str, name: str) -> None:
    """Add an operator and print a one-time sign-in link."""

    async def act(wiring: Wiring) -> str:
        async with wiring.services.work.begin("people.create") as tx:
            person = await people.create(tx, role=Role.OPERATOR, name=name, email=email, actor=OPERATOR)
            return await _link(wiring, tx, person)

    click.echo(run(act))


@command.command("add-worker")
@click.argument("email")
@click.option("--name", required=True)
@click.option("--skill", "skills", multiple=True, help="Repeat for several.")
@click.option("--tier", default=1, show_default=True)
@click.option("--capacity", default=1, show_default=True)
@click.option("--price-floor-sats", default=0, show_default=True)
@click.option(
    "--environment", type=click.Choice([str(e) for e in Environment]), default="live", show_default=True
)
@click.option("--address", help="Lightning address to pay to.")
def add_worker(
    email: str,
    name: str,
    skills: tuple[str, ...],
    tier: int,
    capacity: int,
    price_floor_sats: int,
    environment: str,
    address: str | None,
) -> None:
    """Add a worker and print a one-time sign-in link."""

    async def act(wiring: Wiring) -> str:
        async with wiring.services.work.begin("people.create") as tx:
            person = await people.create(tx, role=Role.WORKER, name=name, email=email, actor=OPERATOR)
            new = NewWorker(
                person_id=person.id,
                environment=Environment(environment),
                skills=frozenset(skills),
                tier=tier,
                capacity=capacity,
                price_floor_msat=price_floor_sats * MSAT_PER_SAT,
                payout_address=address,
            )
            await workers.create(tx, new, actor=OPERATOR)
            tx.emit(
                "worker.evidence", person.id
            )  # there is none: reliability begins as is usual for the tier
            return await _link(wiring, tx, person)

    click.echo(run(act))


@command.command("link")
@click.argument("email")
def link(email: str) -> None:
    """Print a one-time sign-in link (15 minutes)."""

    async def act(wiring: Wiring) -> str:
        async with wiring.services.work.begin("people.link") as tx:
            person = await people.by_email(tx.session, email)
            if person is None:
                raise NotFound("person_not_found", f"Nobody has the address {email}")
            return await _link(wiring, tx, person)

    click.echo(run(act))


@command.command("invite")
@click.argument("email")
@click.option("--skill", "skills", multiple=True, help="Granted without a quiz; repeat for several.")
@click.option("--tier", default=0, show_default=True)
@click.option(
    "--environment", type=click.Choice([str(e) for e in Environment]), default="live", show_default=True
)
def invite(email: str, skills: tuple[str, ...], tier: int, environment: str) -> None:
    """Print an invitation link (7 days, one use) for a new worker; the hub sends no mail."""

    async def act(wiring: Wiring) -> str:
        async with wiring.services.work.begin("invitations.made") as tx:
            _, token = await joining.invite(
                tx, email, actor=OPERATOR, environment=Environment(environment), tier=tier, skills=skills
            )
            return f"{wiring.settings.public_url}/join/{token.reveal()}"

    click.echo(run(act))


@command.command("suspend")
@click.argument("email")
@click.option("--reason", required=True, help="The worker reads it.")
def suspend(email: str, reason: str) -> None:
    """Suspend a worker: no offers, what is owed is paid."""

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("operator.worker") as tx:
            await suspensions.suspend(tx, await _worker_id(tx, email), reason, actor=OPERATOR)

    run(act)
    click.echo(f"{email} is suspended")


@command.command("unsuspend")
@click.argument("email")
def unsuspend(email: str) -> None:
    """Lift a suspension."""

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("operator.worker") as tx:
            await suspensions.lift(tx, await _worker_id(tx, email), actor=OPERATOR)

    run(act)
    click.echo(f"{email} is no longer suspended")


@command.command("grant-skill")
@click.argument("email")
@click.argument("skill")
def grant_skill(email: str, skill: str) -> None:
    """Give a worker a skill without its quiz."""

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("operator.worker") as tx:
            await worker_skills.grant(tx, await _worker_id(tx, email), skill, by=OPERATOR)

    run(act)
    click.echo(f"{email} has {skill}")


@command.command("expert")
@click.argument("email")
@click.argument("word", type=click.Choice(["yes", "no"]))
def expert(email: str, word: str) -> None:
    """Put a worker into the pool of experts, or take them out."""

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("operator.worker") as tx:
            await workers.set_expert(tx, await _worker_id(tx, email), word == "yes", actor=OPERATOR)

    run(act)
    click.echo(f"{email} {'is' if word == 'yes' else 'is not'} an expert")


@command.command("cluster")
@click.argument("email")
@click.argument("name", required=False)
def cluster(email: str, name: str | None) -> None:
    """Say which accounts seem to be one person: no two of a cluster get the same task. Without NAME: out of theirs."""

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("operator.worker") as tx:
            await workers.set_cluster(tx, await _worker_id(tx, email), name, actor=OPERATOR)

    run(act)
    click.echo(f"{email} is in {name}" if name else f"{email} is in no cluster")


async def _worker_id(tx: people.Transaction, email: str) -> str:
    person = await people.by_email(tx.session, email)
    if person is None:
        raise NotFound("person_not_found", f"Nobody has the address {email}")
    return person.id


@command.command("tiers")
def tiers() -> None:
    """The rules of the trust tiers that are in force."""

    async def act(wiring: Wiring) -> tuple[list[TierRules], list[str]]:
        s = wiring.services
        return published(s.trust, s.policy, s.types.checks.review.reviewer_tier), general(s.trust)

    found, rules = run(act)
    rows = [
        [f"{one.number} {one.name}", "; ".join(one.may), "; ".join(one.comes_in), "; or ".join(one.falls)]
        for one in found
    ]
    table(rows, ["tier", "may have", "comes in with", "falls by"])
    for one in rules:
        click.echo(one)


async def _link(wiring: Wiring, tx: people.Transaction, person: Person) -> str:
    token = await sessions.make_link(tx, person.id, actor=OPERATOR)
    return f"{wiring.settings.public_url}/sign-in/{token.reveal()}"
