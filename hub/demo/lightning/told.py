"""Starts `python -m hub.demo.lightning` and reads what it tells. Light on purpose: its user, `hub demo`, lives as long as
the demo and does nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec

from core.errors import Misconfigured

READY_SECONDS = 240.0
STOP_SECONDS = 30.0


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON-RPC of one daemon."""

    url: str
    user: str
    password_file: str
    node_id: str


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """`addresses` is the base URL that answers for the workers' Lightning addresses; alice pays, bob is paid."""

    alice: Node
    bob: Node
    addresses: str
    boot_seconds: float
    channel_seconds: float


@contextlib.asynccontextmanager
async def two_nodes(folder: Path) -> AsyncGenerator[Told]:
    """Both nodes with an open channel, until left. `folder` must be empty. Raises Misconfigured when they do not start:
    what is missing has been told on standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hub.demo.lightning",
        str(folder),
        stdin=asyncio.subprocess.PIPE,  # closed by our end, whatever end that is: then it stops
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us: the hub stops first
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        try:
            line = await asyncio.wait_for(process.stdout.readline(), READY_SECONDS)
            told = msgspec.json.decode(line, type=Told)
        except (TimeoutError, msgspec.DecodeError) as error:
            raise Misconfigured(
                "lightning_nodes",
                f"the two Lightning nodes did not start: run hub/demo/lightning/install.sh, see {folder}",
            ) from error
        yield told
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


def environment(told: Told, hub_port: int) -> dict[str, str]:
    """What makes a hub pay from alice, to addresses that bob answers for."""
    options = {
        "URL": told.alice.url.rstrip("/"),
        "USER": told.alice.user,
        "PASSWORD": f"file:{told.alice.password_file}",
        "NODE_ID": told.alice.node_id,
        "NETWORK": "bcrt",
    }
    return {
        "HUB__RAILS__USE": "electrum",
        "HUB__RAILS__ADDRESS_DOMAINS__SANDBOX.TEST": told.addresses,
        "HUB__TARGETS__ALLOW": f"127.0.0.1:{hub_port},{told.addresses.removeprefix('http://')}",
        **{f"HUB__RAILS__OPTIONS__ELECTRUM__{key}": value for key, value in options.items()},
    }
