"""The hub as real processes for a test: web, worker and money worker on a database of the test's choice, each of which
can be killed, paused and started again with a crash point."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from core import crash
from hub.embedded import valkey
from tests.wait import wait_until

ROOT = Path(__file__).parent.parent.parent
ARGUMENTS = {
    "web": ("serve",),
    "worker": ("work", "--queue", "default"),
    "money": ("work", "--queue", "money"),
}


class Processes:
    """`env` is what every process is told; logs go to one file per process in `folder`."""

    def __init__(self, folder: Path, env: dict[str, str], port: int):
        self.folder = folder
        self.env = env
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *, crash_at: str | None = None) -> None:
        env = {**os.environ, **self.env, "HUB_LOG": "json"}
        if crash_at is not None:
            env["HUB_CRASH_AT"] = crash_at
        log = (self.folder / f"{name}.log").open("ab")
        self.running[name] = subprocess.Popen(
            [sys.executable, "-m", "hub", *ARGUMENTS[name]],
            env=env,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()

    def start_all(self) -> None:
        for name in ARGUMENTS:
            self.start(name)

    def died(self, name: str) -> bool:
        """True when the process, or for the web one of its children, has been killed."""
        return self.running[name].poll() is not None

    def kill(self, name: str) -> None:
        process = self.running[name]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def pause(self, name: str) -> None:
        os.killpg(self.running[name].pid, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        os.killpg(self.running[name].pid, signal.SIGCONT)

    def stop_all(self) -> None:
        for process in self.running.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
                os.killpg(process.pid, signal.SIGTERM)
        for name, process in self.running.items():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill(name)

    async def ready(self) -> None:
        async def answers() -> bool:
            try:
                async with aiohttp.ClientSession() as http, http.get(f"{self.url}/readyz") as answer:
                    return answer.status == 200
            except (aiohttp.ClientError, OSError):
                return False

        await wait_until(answers, timeout=40, every=0.1)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def process_of(point: str) -> str:
    """Which process passes a crash point."""
    name = point.partition(":")[0]
    if name in ("intake.receive", "tasks.create", "routing.accept", "routing.submit"):
        return "web"
    return "money" if name.startswith(("payouts.", "rail.")) else "worker"


@asynccontextmanager
async def running(folder: Path, database_url: str, env: dict[str, str]) -> AsyncIterator[Processes]:
    """Everything started and ready, and stopped at the end."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "HUB_DATA_DIR": str(folder),
        "HUB_DATABASE_URL": database_url,
        "HUB_CONFIG_DIR": str(ROOT / "config"),
        "HUB__SERVER__PORT": str(port),
        "HUB__RAILS__ADDRESS_DOMAINS__SANDBOX.TEST": url,
        # Processes die here many times a minute: the rail shall not be stopped for the doubt that each death leaves.
        "HUB__PAYOUTS__BREAKER__UNKNOWNS": "1000",
        **env,
    }
    server = await asyncio.to_thread(valkey.start, folder / "valkey")
    processes = Processes(folder, told, port)
    try:
        processes.start_all()
        await processes.ready()
        yield processes
    finally:
        await asyncio.to_thread(processes.stop_all)
        await asyncio.to_thread(server.stop)


POINTS = crash.POINTS
