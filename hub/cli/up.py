"""`hub up`: everything on one machine, without simulations."""

from __future__ import annotations

import asyncio
import sys

import click

from hub.settings_file import load_settings


@click.command("up")
def command() -> None:
    """Start everything on this machine: migrate, then web, worker and money worker, with an embedded SQLite and Valkey
    unless database.url and queue.url say otherwise."""
    from hub.cli import stack

    settings, _ = load_settings()

    async def act() -> int:
        async def ready() -> None:
            click.echo(f"hub is ready at {settings.public_url}; data lies in {settings.folder}", err=True)

        return await stack.keep(settings, stack.child("migrate", "migrate"), stack.children(), ready)

    sys.exit(asyncio.run(act()))
