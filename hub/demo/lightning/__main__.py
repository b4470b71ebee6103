"""The two nodes and the workers' Lightning addresses as one process, for `hub demo` and for hands:

    python -m hub.demo.lightning FOLDER

FOLDER must be empty. One line of JSON (`told.py`) says where everything is; it ends with its standard input, or by Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import msgspec

from hub.demo.lightning.electrum_node import USER, ElectrumNode
from hub.demo.lightning.network import Network
from hub.demo.lightning.processes import free_ports, missing
from hub.demo.lightning.told import Node, Told
from hub.demo.lightning.wallets import serving


async def run(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    until_closed = loop.run_in_executor(None, sys.stdin.buffer.read)
    until_closed.add_done_callback(lambda _: stopped.set())
    network = Network(folder)
    try:
        starting = asyncio.create_task(network.start())
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return
        starting.result()
        async with serving(network.bob, free_ports(1)[0]) as addresses:
            nodes = [await _node(node, folder) for node in (network.alice, network.bob)]
            told = Told(
                alice=nodes[0],
                bob=nodes[1],
                addresses=addresses,
                boot_seconds=round(network.boot_seconds, 1),
                channel_seconds=round(network.channel_seconds, 1),
            )
            line = msgspec.json.encode(told).decode()
            sys.stdout.write(f"{line}\n")  # arch: no-print - the answer to the process that started this one
            sys.stdout.flush()
            await stopping
    finally:
        network.stop()


async def _node(node: ElectrumNode, folder: Path) -> Node:
    secret = folder / f"{node.name}.password"
    secret.touch(mode=0o600)
    secret.write_text(node.password)
    return Node(url=node.rpc.url, user=USER, password_file=str(secret), node_id=await node.node_id())


if __name__ == "__main__":
    absent = missing()
    if absent is not None:
        sys.exit(f"{absent} is missing")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    asyncio.run(run(parser.parse_args().folder))
    sys.stdout.close()
