"""`hub demo-simulator`: the demo's simulator process; `hub demo` starts it with its plan in a private file."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import click


@click.command("demo-simulator", hidden=True)
@click.argument("plan", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def command(plan: Path) -> None:
    """Run the simulations of PLAN until stopped."""
    import msgspec
    from setproctitle import setproctitle

    from hub.demo.simulator import Plan, run
    from hub.observe.logging import configure

    configure("INFO", os.environ.get("HUB_LOG", "auto"))
    setproctitle("hub demo-simulator")
    wanted = msgspec.json.decode(plan.read_bytes(), type=Plan)

    async def act() -> None:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            await run(wanted)
        except asyncio.CancelledError:
            return

    asyncio.run(act())
