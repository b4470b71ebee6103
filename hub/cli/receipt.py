"""`hub receipt`: a task's signed receipts, their verification without a network, the whole chain, and the keys."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from core.errors import NotFound
from core.receipts import keys, queries
from core.receipts.model import File, KeySet, PublicKey
from core.receipts.verify import Fault, Judge, answers_differ, judge
from hub.cli.common import OPERATOR, run, table
from hub.wiring import Wiring

T = TypeVar("T")

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("receipt")
def command() -> None:
    """Signed proof of what was verified and paid."""


@command.command("show")
@click.argument("task_id")
def show(task_id: str) -> None:
    """A task's receipts as a file that `verify` reads, and the API gives out."""

    async def act(wiring: Wiring) -> File:
        async with wiring.services.work.read() as session:
            return File(receipts=await queries.of_task(session, task_id))

    found = run(act)
    if not found.receipts:
        raise NotFound("receipt_not_issued", f"There is no receipt of a task {task_id}")
    click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))


@command.command("verify")
@click.argument("file", type=_FILE)
@click.option("--keys", "keys_file", type=_FILE, help="The well-known file; else this hub's own keys.")
@click.option(
    "--answer", type=_FILE, help="A JSON file with the answer: it must be the one that was verified."
)
def verify(file: Path, keys_file: Path | None, answer: Path | None) -> None:
    """Verify receipts; asks nobody. Exit 1 and name each fault."""
    receipts = _read(file, File).receipts
    if not receipts:
        raise click.ClickException(f"{file}: there is no receipt in it")
    faults = judge(receipts, _read(keys_file, KeySet) if keys_file else run(_own_keys))
    if answer is not None:
        faults += answers_differ(receipts, _read(answer, dict[str, Any]))
    _say(faults, f"{len(receipts)} receipts are good" if len(receipts) > 1 else "the receipt is good")


@command.command("check")
def check() -> None:
    """Verify every receipt of this hub and that none was changed, left out or put in. Exit 1 and name each fault."""

    async def act(wiring: Wiring) -> tuple[int, list[Fault]]:
        async with wiring.services.work.read(unlimited=True) as session:
            one, count, faults = Judge(await keys.public_keys(session), whole=True), 0, list[Fault]()
            async for signed in queries.chain(session):
                count += 1
                faults += one.faults(signed)
            return count, faults

    count, faults = run(act)
    _say(faults, f"{count} receipts follow each other")


@command.group("keys")
def key_commands() -> None:
    """The keys that sign receipts."""


@key_commands.command("list")
@click.option("--json", "as_json", is_flag=True, help="The well-known file, for `hub receipt verify --keys`.")
def list_keys(as_json: bool) -> None:
    """Every key, newest first."""
    found = run(_own_keys)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    table([_line(key) for key in found.keys], ["id", "since", "until", ""])


@key_commands.command("rotate")
def rotate() -> None:
    """Sign with a new key from now on; the old one's private half is forgotten, its receipts stay verifiable."""

    async def act(wiring: Wiring) -> str:
        async with wiring.services.work.begin("receipts.rotate") as tx:
            return await keys.rotate(tx, wiring.services.sealer, actor=OPERATOR)

    click.echo(run(act))


async def _own_keys(wiring: Wiring) -> KeySet:
    async with wiring.services.work.read() as session:
        return await keys.public_keys(session)


def _line(key: PublicKey) -> tuple[str, str, str, str]:
    return (key.kid, key.created_at, key.retired_at or "", "" if key.retired_at else "signs")


def _read(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise click.ClickException(f"{path}: {error}") from error


def _say(faults: list[Fault], good: str) -> None:
    for fault in faults:
        click.echo(fault, err=True)
    click.echo(good if not faults else f"{len(faults)} faults")
    sys.exit(1 if faults else 0)
