"""The processes of one machine: the embedded Valkey, web, worker and money worker (and the demo's simulator), kept
alive together. Used by `hub up` and `hub demo`, whose process stays as small as this file's imports."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable

from core.errors import Misconfigured
from hub.embedded import valkey
from hub.embedded.supervise import Child, Supervisor
from hub.settings import Settings

READY_SECONDS = 60.0


def child(name: str, *arguments: str) -> Child:
    """One of our own commands as a process."""
    env = {"HUB_LOG": "human" if sys.stderr.isatty() else "json"}
    return Child(name=name, argv=(sys.executable, "-m", "hub", *arguments), env=env)


def children() -> list[Child]:
    """What a hub on one machine runs."""
    return [
        child("web", "serve"),
        child("worker", "work", "--queue", "default"),
        child("money", "work", "--queue", "money"),
    ]


async def keep(
    settings: Settings,
    first: Child,
    processes: list[Child],
    when_ready: Callable[[], Awaitable[None]],
) -> int:
    """Run `first` to its end, then `processes` until stopped; `when_ready` runs once when the hub answers on its port. The
    exit code. Raises what `when_ready` raises, and Misconfigured when the hub does not get ready. `first` is a process because what it loads (ORM, migrations) would stay in the memory of this one."""
    async with contextlib.AsyncExitStack() as stack:
        watch: Callable[[], None] | None = None
        if not settings.queue.url:
            server = await asyncio.to_thread(valkey.start, settings.folder / "valkey")
            stack.callback(server.stop)
            watch = server.ensure
        supervisor = Supervisor(processes, first=first, prefix=sys.stderr.isatty(), watch=watch)

        async def announce() -> None:
            await supervisor.started.wait()
            await until_ready(settings)
            await when_ready()

        announcing = asyncio.create_task(announce())
        announcing.add_done_callback(lambda done: _stop_on_failure(done, supervisor))
        code = await supervisor.run()
        announcing.cancel()
        [problem] = await asyncio.gather(announcing, return_exceptions=True)
        if isinstance(problem, Exception):
            raise problem
        return code


async def until_ready(settings: Settings) -> None:
    """Wait until `/readyz` says yes. Raises Misconfigured when it does not within a minute."""
    host = "127.0.0.1" if settings.server.host in ("0.0.0.0", "::") else settings.server.host  # noqa: S104 - compared, not bound
    try:
        async with asyncio.timeout(READY_SECONDS):
            while not await _answers(host, settings.server.port):  # noqa: ASYNC110 - another process's event
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise Misconfigured(
            "not_ready", f"the hub did not answer on port {settings.server.port} within {READY_SECONDS:.0f} s"
        ) from error


async def _answers(host: str, port: int) -> bool:
    """Asked by hand: an HTTP client is 12 MB, for as long as the hub runs."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False  # not listening yet; that is what we wait for
    try:
        writer.write(f"GET /readyz HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        return (await reader.readline()).split()[1:2] == [b"200"]
    except OSError:
        return False
    finally:
        writer.close()


def _stop_on_failure(done: asyncio.Task[None], supervisor: Supervisor) -> None:
    if not done.cancelled() and done.exception() is not None:
        supervisor.stop()
