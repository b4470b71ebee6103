"""`hub keys`: mint, list, revoke."""

from __future__ import annotations

import click

from core.access import keys
from core.access.tables import ApiKey
from core.tasks.model import Environment
from hub.cli.common import OPERATOR, organisation_named, run, table
from hub.wiring import Wiring


@click.group("keys")
def command() -> None:
    """API keys of an organisation."""


@command.command("mint")
@click.argument("organisation")
@click.option(
    "--environment", type=click.Choice([str(e) for e in Environment]), default="test", show_default=True
)
@click.option("--name", default="cli", show_default=True)
def mint(organisation: str, environment: str, name: str) -> None:
    """Mint a key and print it, this once."""

    async def act(wiring: Wiring) -> str:
        async with wiring.services.work.begin("access.key") as tx:
            found = await organisation_named(tx.session, organisation)
            minted = await keys.mint(tx, found.id, Environment(environment), name=name, actor=OPERATOR)
            return minted.secret.reveal()

    click.echo(run(act))


@command.command("list")
@click.argument("organisation")
def list_all(organisation: str) -> None:
    """Every key of an organisation; the keys themselves are not stored."""

    async def act(wiring: Wiring) -> list[ApiKey]:
        async with wiring.services.work.read() as session:
            return await keys.of_organisation(session, (await organisation_named(session, organisation)).id)

    table(
        [
            (k.id, k.hint, k.environment, k.name, k.created_at, "revoked" if k.revoked_at else "")
            for k in run(act)
        ],
        ["id", "key", "environment", "name", "created", ""],
    )


@command.command("revoke")
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Revoke a key; it stops within five seconds everywhere."""

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("access.key") as tx:
            await keys.revoke(tx, key_id, actor=OPERATOR)

    run(act)
    click.echo(f"revoked {key_id}")
