"""`hub gold`: questions whose answer is known, in and out as JSON Lines. The operator's page `/operator/gold` edits them."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from core.errors import HubError, Invalid
from core.verification import gold_items
from core.verification.gold_items import NewItem
from core.verification.tables import GoldItem
from hub.cli.common import OPERATOR, run, table
from hub.wiring import Wiring

PAGE = 500


@click.group("gold")
def command() -> None:
    """Questions whose answer is known."""


@command.command("list")
@click.option("--type", "task_type", default="", help="Only this task type.")
def list_all(task_type: str) -> None:
    """Every item, how many have seen it, and its state."""
    rows = [
        (
            one.id,
            one.task_type,
            one.environment,
            one.state,
            f"{one.exposures}/{one.most_exposures}",
            one.author,
        )
        for one in _all(task_type)
    ]
    table(rows, ["id", "task type", "environment", "state", "seen", "author"])


def _all(task_type: str) -> list[GoldItem]:
    async def act(wiring: Wiring) -> list[GoldItem]:
        found: list[GoldItem] = []
        async with wiring.services.work.read() as session:
            while True:
                after = found[-1].id if found else ""
                some = await gold_items.items(session, task_type=task_type, after=after, limit=PAGE)
                found.extend(some)
                if len(some) < PAGE:
                    return found

    return run(act)


@command.command("export")
@click.option("--type", "task_type", default="", help="Only this task type.")
def export(task_type: str) -> None:
    """Active items as JSON Lines, as `hub gold import` takes them."""
    for one in _all(task_type):
        if one.state == "active":
            click.echo(msgspec.json.encode(gold_items.exported(one)))


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_file(file: Path) -> None:
    """Take in a file of JSON Lines: task_type, payload, answer, and as wanted output_schema, environment,
    most_exposures, note. All of it, or nothing when a line is wrong."""
    lines = file.read_bytes().splitlines()

    async def act(wiring: Wiring) -> int:
        added = 0
        async with wiring.services.work.begin("gold.import") as tx:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    new = msgspec.json.decode(line, type=NewItem)
                    await gold_items.add(tx, new, wiring.services.types, actor=OPERATOR)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    raise Invalid("gold_file", f"{file.name}, line {number}: {error}") from error
                except HubError as error:
                    raise Invalid(
                        "gold_file",
                        f"{file.name}, line {number}: {error.message}",
                        field_errors=error.field_errors,
                    ) from error
                added += 1
        return added

    click.echo(f"{run(act)} items added")


@command.command("retire")
@click.argument("gold_id")
def retire(gold_id: str) -> None:
    """Ask nobody new this item."""

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("gold.retire") as tx:
            await gold_items.retire(tx, gold_id, actor=OPERATOR)

    run(act)
    click.echo(f"retired {gold_id}")
