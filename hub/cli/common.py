"""What commands share: settings, an open hub for one command, and plain tables."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeVar

import click
from sqlalchemy.ext.asyncio import AsyncSession

from core.access import organisations
from core.access.tables import Organisation
from core.db.revision import at_head
from core.errors import Misconfigured, NotFound
from hub.settings_file import load_settings
from hub.wiring import Wiring, wire

Result = TypeVar("Result")

OPERATOR = "hub"  # the actor of the audit when somebody with a shell acts


@contextlib.asynccontextmanager
async def hub() -> AsyncGenerator[Wiring]:
    settings, directory = load_settings()
    async with wire(settings, directory) as wiring:
        if not await at_head(wiring.services.database):
            raise Misconfigured(
                "schema", "the database does not carry this version's schema; run `hub migrate`"
            )
        await wiring.services.rates.look()
        yield wiring


def run(action: Callable[[Wiring], Awaitable[Result]]) -> Result:
    """Run one action on an open hub."""

    async def inside() -> Result:
        async with hub() as wiring:
            return await action(wiring)

    return asyncio.run(inside())


async def organisation_named(session: AsyncSession, name: str) -> Organisation:
    found = await organisations.by_name(session, name)
    if found is None:
        raise NotFound(
            "organisation_not_found", f"There is no organisation {name!r}; see `hub organisations list`"
        )
    return found


def table(rows: Sequence[Sequence[object]], headings: Sequence[str]) -> None:
    """Columns under headings; nothing but the headings when there is no row."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max([len(heading), *(len(row[n]) for row in cells)]) for n, heading in enumerate(headings)]
    for row in [list(headings), *cells]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
