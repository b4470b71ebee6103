"""`hub migrate`."""

from __future__ import annotations

import asyncio

import click

from core.db.engine import Database
from core.db.migrate import upgrade
from core.db.revision import at_head
from hub.settings_file import load_settings


@click.command("migrate")
@click.option("--check", is_flag=True, help="Change nothing; exit 1 when the schema is not this version's.")
def command(check: bool) -> None:
    """Bring the database to this version's schema. Two at once wait for each other."""
    settings, _ = load_settings()
    settings.folder.mkdir(parents=True, exist_ok=True)

    async def act() -> bool:
        database = Database(settings.database_url)
        try:
            if not check:
                await upgrade(database)
            return await at_head(database)
        finally:
            await database.close()

    if not asyncio.run(act()):
        raise click.ClickException("the schema is not this version's; run `hub migrate`")
    click.echo("the schema is up to date")
