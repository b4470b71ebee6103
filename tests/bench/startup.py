"""`startup`: `hub demo` from the command to its banner, with an empty data folder and warm files, and what the whole
stack then holds in memory; beside a bare Litestar application under the same server."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from tests.bench import servers
from tests.bench.harness import median, pss_mb, say

STARTS = 3
SETTLED_SECONDS = 4.0  # after the banner the simulated people sign in and the first incident comes
GIVE_UP_SECONDS = 90.0


def run() -> dict[str, Any]:
    starts = [_demo() for _ in range(STARTS)][1:]  # the first one warms files and byte code
    bare = [_bare() for _ in range(2)]
    seconds = median([start[0] for start in starts])
    memory = median([sum(mb for _, mb in start[1]) for start in starts])
    bare_seconds, bare_memory = median([one[0] for one in bare]), median([one[1] for one in bare])
    return {
        "name": "startup",
        "value": seconds,
        "unit": "s from `hub demo` to its banner",
        "reference": bare_seconds,
        "ratio": seconds / bare_seconds,
        "aim": "ready < 15 s, memory < 400 MB",
        "idle_pss_mb": memory,
        "processes": len(starts[-1][1]),
        "idle_pss_mb_each": starts[-1][1],
        "bare_pss_mb": bare_memory,
        "memory_ratio": memory / bare_memory,
        "method": f"median of {STARTS - 1} starts with fresh data folders after one to warm up; memory is the sum of PSS "
        f"(shared pages divided) of every process of the stack, its Valkey included, {SETTLED_SECONDS:.0f} s after the "
        "banner; reference: a Litestar application of one route under granian, time to its first answer and its PSS",
    }


def _demo() -> tuple[float, list[tuple[str, float]]]:
    """Seconds to the banner; name and MB of each process."""
    with servers.folder() as where:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HUB_")},
            "HUB_DATA_DIR": str(where / "data"),
            "HUB__SERVER__PORT": str(servers.free_port()),
        }
        log = where / "demo.log"
        with log.open("wb") as out:
            began = time.monotonic()
            demo = subprocess.Popen(
                [sys.executable, "-m", "hub", "demo", "--every", "3600"],
                env=environment,
                cwd=servers.REPOSITORY,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            _until_banner(demo, log, began)
            seconds = time.monotonic() - began
            time.sleep(SETTLED_SECONDS)
            stack = [(psutil.Process(pid).name(), pss_mb(pid, alone=True)) for pid in _stack(demo.pid, where)]
            each = ", ".join(f"{name} {mb:.0f}" for name, mb in stack)
            say(f"ready after {seconds:.1f} s, {sum(mb for _, mb in stack):.0f} MB: {each}")
            return seconds, stack
        finally:
            demo.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                demo.wait(30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(demo.pid, signal.SIGKILL)
            demo.wait()


def _until_banner(demo: subprocess.Popen[bytes], log: Path, began: float) -> None:
    while "hub is ready after" not in log.read_text(errors="replace"):
        if demo.poll() is not None or time.monotonic() - began > GIVE_UP_SECONDS:
            raise RuntimeError(f"hub demo did not get ready:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.02)


def _stack(pid: int, where: Path) -> list[int]:
    """The demo's process tree, and what it has put into a session of its own (Valkey), known by its folder."""
    found = {process.pid for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]}
    for process in psutil.process_iter(["cmdline"]):
        if str(where) in " ".join(process.info["cmdline"] or ()):
            found.add(process.pid)
    return sorted(found)


def _bare() -> tuple[float, float]:
    with servers.folder() as where:
        began = time.monotonic()
        with servers.bare_web("empty", {}, where / "bare.log") as server:
            return time.monotonic() - began, pss_mb(server.pid)
