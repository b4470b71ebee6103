"""The processes of one machine: the embedded Valkey, web, worker and money worker (and the demo's simulator), kept
alive together. Used by `hub up` and `hub demo`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable

import aiohttp

from core import clock
from core.db.engine import Database
from core.db.migrate import upgrade
from core.errors import Misconfigured
from hub.cli.common import executable
from hub.embedded import valkey
from hub.embedded.supervise import Child, Supervisor
from hub.settings import Settings

READY_SECONDS = 60.0


def children(extra: tuple[Child, ...] = (), env: dict[str, str] | None = None) -> list[Child]:
    """What a hub on one machine runs. `env` is given to every child."""
    common = {"HUB_LOG": "human" if sys.stderr.isatty() else "json", **(env or {})}
    me = executable()
    return [
        Child(name="web", argv=(*me, "serve"), env=common),
        Child(name="worker", argv=(*me, "work", "--queue", "default"), env=common),
        Child(name="money", argv=(*me, "work", "--queue", "money"), env=common),
        *extra,
    ]


async def migrate(settings: Settings) -> None:
    settings.folder.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_url)
    try:
        await upgrade(database)
    finally:
        await database.close()


async def keep(
    settings: Settings, processes: list[Child], when_ready: Callable[[], Awaitable[None]] | None = None
) -> int:
    """Run until stopped; `when_ready` runs once when the hub answers on its port. The exit code."""
    async with contextlib.AsyncExitStack() as stack:
        watch: Callable[[], None] | None = None
        if not settings.queue.url:
            server = await asyncio.to_thread(valkey.start, settings.folder / "valkey")
            stack.callback(server.stop)
            watch = server.ensure
        supervisor = Supervisor(processes, prefix=sys.stderr.isatty(), watch=watch)

        async def announce() -> None:
            await until_ready(settings)
            if when_ready is not None:
                await when_ready()

        announcing = asyncio.create_task(announce())
        announcing.add_done_callback(lambda done: _stop_on_failure(done, supervisor))
        code = await supervisor.run()
        announcing.cancel()
        await asyncio.gather(announcing, return_exceptions=True)
        return code


async def until_ready(settings: Settings) -> None:
    """Wait until `/readyz` says yes. Raises Misconfigured when it does not within a minute."""
    end = clock.monotonic() + READY_SECONDS
    host = "127.0.0.1" if settings.server.host in ("0.0.0.0", "::") else settings.server.host  # noqa: S104 - compared, not bound
    async with aiohttp.ClientSession() as http:
        while clock.monotonic() < end:
            try:
                async with http.get(f"http://{host}:{settings.server.port}/readyz") as response:
                    if response.status == 200:
                        return
            except (aiohttp.ClientError, OSError):
                pass  # not listening yet; that is what we wait for
            await asyncio.sleep(0.05)
    raise Misconfigured(
        "not_ready", f"the hub did not answer on port {settings.server.port} within {READY_SECONDS:.0f} s"
    )


def _stop_on_failure(done: asyncio.Task[None], supervisor: Supervisor) -> None:
    if not done.cancelled() and done.exception() is not None:
        supervisor.stop()
