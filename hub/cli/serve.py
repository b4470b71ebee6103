"""`hub serve`: the web process, under granian."""

from __future__ import annotations

import os

import click

from hub.settings_file import load_settings


@click.command("serve")
@click.option("--host", help="Address to listen on; default server.host.")
@click.option("--port", type=int, help="Port to listen on; default server.port.")
@click.option("--workers", type=int, default=1, show_default=True, help="Web processes.")
def command(host: str | None, port: int | None, workers: int) -> None:
    """The web process alone."""
    from granian import Granian
    from granian.constants import Interfaces, Loops
    from setproctitle import setproctitle

    from hub.observe.logging import configure

    settings, _ = load_settings()
    configure("INFO", os.environ.get("HUB_LOG", settings.log))
    setproctitle("hub serve")
    Granian(
        "hub.cli.asgi:app",
        address=host or settings.server.host,
        port=port or settings.server.port,
        interface=Interfaces.ASGI,
        loop=Loops.asyncio,
        workers=workers,
        backlog=2048,
        log_enabled=False,
        websockets=False,
        respawn_failed_workers=workers > 1,  # one worker that dies ends us, and the supervisor starts us anew
        workers_kill_timeout=10,
    ).serve()
