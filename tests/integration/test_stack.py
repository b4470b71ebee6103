"""`hub up` and `hub demo` as whole process trees: ready, stopped by one signal with nothing left behind, and a first step
that fails is said once, with its exit code, and starts nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.architecture.source import ROOT
from tests.stack.processes import free_port
from tests.wait import wait_until

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def start(tmp_path: Path, log: Path) -> Iterator[Start]:
    """`hub WORDS` with a data folder and a port of its own; `log` is what it says."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: str, **more: str) -> subprocess.Popen[bytes]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
        ours = {
            "HUB_DATA_DIR": str(tmp_path / "data"),
            "HUB_CONFIG_DIR": str(ROOT / "config"),
            "HUB__SERVER__PORT": str(free_port()),
        }
        with log.open("wb") as out:
            command = [sys.executable, "-m", "hub", *words]
            started.append(
                subprocess.Popen(command, cwd=ROOT, env=kept | ours | more, stdout=out, stderr=out)
            )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("words", "said"), [(("up",), "hub is ready at http://127.0.0.1:"), (("demo",), "hub is ready after")]
)
async def test_ready_and_stopped_by_one_signal(start: Start, log: Path, tmp_path: Path, words, said):
    hub = start(*words)
    await wait_until(lambda: said in log.read_text() or hub.poll() is not None, timeout=90)
    assert said in log.read_text()
    children = psutil.Process(hub.pid).children(recursive=True)
    assert len(children) == 5 + (words == ("demo",))  # valkey, web and its server, two workers, the simulator
    hub.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(hub.wait, 30) == 0
    assert [child for child in children if child.is_running()] == []
    assert "redis connection error" not in log.read_text()  # the queue stands before whoever asks for it
    assert not (tmp_path / "data" / "prepared.json").exists()  # it held one-time sign-in links


async def test_a_database_that_is_away_is_said_and_nothing_starts(start: Start, log: Path) -> None:
    hub = start("up", HUB_DATABASE_URL=f"postgresql://hub@127.0.0.1:{free_port()}/hub")
    assert await asyncio.to_thread(hub.wait, 45) == 1
    said = log.read_text()
    assert "database_unavailable: The database does not answer; nothing was changed" in said
    assert "migrate ended (exit 1); nothing else is started" in said
    assert "Traceback" not in said


async def test_a_demo_with_a_wrong_file_is_exit_2(start: Start, log: Path) -> None:
    hub = start("demo", "--check", HUB__RAILS__USE="cowrie")
    assert await asyncio.to_thread(hub.wait, 45) == 2
    assert "configuration: hub.yaml: rails.use: no rail ['cowrie']" in log.read_text()
