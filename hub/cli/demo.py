"""`hub demo`: the whole road with simulated people and TEST MONEY, in one command; `--check` proves it and exits."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from core import clock
from core.errors import HubError
from hub.settings_file import load_settings

if TYPE_CHECKING:  # this process lives as long as the demo and loads the database only for --check
    from hub.wiring import Wiring


@click.command("demo")
@click.option(
    "--check", is_flag=True, help="Run until --tasks tasks are paid and the books balance, then exit 0."
)
@click.option("--tasks", default=20, show_default=True, help="With --check: how many.")
@click.option("--every", default=15.0, show_default=True, help="Seconds between two incidents.")
@click.option("--speed", default=1.0, show_default=True, help="Divides every waiting of the simulation.")
@click.option(
    "--timeout", default=240.0, show_default=True, help="With --check: give up after so many seconds."
)
@click.option(
    "--lightning",
    type=click.Choice(["sandbox", "electrum"]),
    default="sandbox",
    show_default=True,
    help="What pays: our own test rail, or two real Electrum nodes on a chain of their own (hub/demo/lightning).",
)
def command(check: bool, tasks: int, every: float, speed: float, timeout: float, lightning: str) -> None:
    """Start everything with simulated people, PagerDuty and a webhook catcher. Nothing of it is real money."""
    began = clock.monotonic()
    with contextlib.ExitStack() as stack:
        if check or lightning == "electrum":  # the chain lives as long as the demo, so its payments do
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hub-demo-"))
            os.environ["HUB_DATA_DIR"] = folder
        if check:
            os.environ["HUB__SERVER__PORT"] = str(_free_port())
            every, speed = min(every, 4.0), max(speed, 2.0)
        code = asyncio.run(_run(began, tasks if check else None, every, speed, timeout, lightning))
    sys.exit(code)


async def _run(
    began: float, until_paid: int | None, every: float, speed: float, timeout: float, lightning: str
) -> int:
    settings, _ = load_settings()
    os.environ.update(_environment(settings.folder, settings.public_url, settings.server.port))
    if lightning == "sandbox":
        return await _keep(began, until_paid, every, speed, timeout, lightning)
    from hub.demo.lightning.told import environment, two_nodes

    async with two_nodes(settings.folder / "lightning") as nodes:
        os.environ.update(environment(nodes, settings.server.port))
        return await _keep(began, until_paid, every, speed, timeout, lightning)


async def _keep(
    began: float, until_paid: int | None, every: float, speed: float, timeout: float, lightning: str
) -> int:
    from hub.cli import stack
    from hub.demo.banner import banner
    from hub.demo.prepared import plan_file, take

    settings, _ = load_settings()
    folder, url = settings.folder, settings.public_url
    outcome: list[int] = []

    async def ready() -> None:
        click.echo(
            banner(url, folder, take(folder), clock.monotonic() - began, lightning=lightning), err=True
        )
        if until_paid is not None:
            outcome.append(await _check(until_paid, timeout))
            os.kill(os.getpid(), 15)

    code = await stack.keep(
        settings,
        stack.child("prepare", "prepare", "--every", str(every), "--speed", str(speed)),
        [*stack.children(), stack.child("simulator", "demo-simulator", str(plan_file(folder)))],
        ready,
    )
    return outcome[0] if outcome else (code if until_paid is None else code or 1)


def _environment(folder: Path, url: str, port: int) -> dict[str, str]:
    """What every process of the demo is told. The vendor's secrets are made up at the first start and kept."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "demo-secrets.json"
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            made = {
                name: secrets.token_urlsafe(24)
                for name in ("PAGERDUTY_API_TOKEN", "PAGERDUTY_WEBHOOK_SECRET")
            }
            file.write(msgspec.json.encode(made))
    kept: dict[str, str] = msgspec.json.decode(path.read_bytes())
    return {
        **kept,
        "HUB_DATA_DIR": str(folder),
        "HUB_SIMULATOR_SOCKET": str(folder / "simulator.sock"),
        "HUB_SIMULATOR_URL": f"http://127.0.0.1:{port}/demo",
        "HUB__TARGETS__ALLOW": f"127.0.0.1:{port}",
        "HUB__RAILS__ADDRESS_DOMAINS__SANDBOX.TEST": url,
    }


async def _check(wanted: int, timeout: float) -> int:
    """Wait for `wanted` paid tasks and delivered notes, then audit the books, and who was caught. 0 when all of it is
    so."""
    from hub.cli.common import hub

    async with hub() as wiring:
        return await _watch(wiring, wanted, timeout)


async def _watch(wiring: Wiring, wanted: int, timeout: float) -> int:
    from hub.demo.audit import audit, caught, progress
    from hub.demo.seed import read

    end = clock.monotonic() + timeout
    while clock.monotonic() < end:
        try:
            state = await progress(wiring)
        except HubError as error:
            click.echo(f"  {error.message}", err=True)
            await asyncio.sleep(1)
            continue
        if state.paid >= wanted and state.notes > 0 and state.callbacks > 0:
            problems = await audit(wiring)
            demo = read(wiring.settings.folder)
            told, missing = await caught(wiring, demo.worker_ids if demo else {})
            for line in told:
                click.echo(f"  caught {line}", err=True)
            problems += missing if demo else ["the demo's people are not known"]
            for problem in problems:
                click.echo(f"  WRONG: {problem}", err=True)
            click.echo(
                f"  {state.paid} tasks paid, {state.notes} notes, {state.callbacks} callbacks; "
                f"{'the books balance, the careless are caught' if not problems else 'NOT all of it is right'}",
                err=True,
            )
            return 1 if problems else 0
        await asyncio.sleep(0.5)
    click.echo(f"  gave up after {timeout:.0f} s", err=True)
    return 1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
