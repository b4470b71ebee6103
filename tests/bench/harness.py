"""What every benchmark shares: percentiles, medians over interleaved repetitions, CPU and instructions of a process
tree, and the JSON line at the end."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all are not above."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def interleaved(
    arms: Sequence[str], repetitions: int, once: Callable[[str, int], Any]
) -> dict[str, list[Any]]:
    """Runs A B A B …, turning the order round each time, so that a busy minute of the machine hits both."""
    results: dict[str, list[Any]] = {arm: [] for arm in arms}
    for number in range(repetitions):
        for arm in arms if number % 2 == 0 else reversed(arms):
            results[arm].append(once(arm, number))
    return results


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def report(run: Callable[[], dict[str, Any]]) -> None:
    """Run a benchmark; one line on stdout, numbers cut to what they are worth. `load` is the machine's load average of
    one minute before and after, and how many processors share it: a figure of a busy machine says so."""
    before = os.getloadavg()[0]
    figure = run()
    load = {"before": before, "after": os.getloadavg()[0], "processors": os.cpu_count()}
    sys.stdout.write(json.dumps(_short({**figure, "load": load})) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Progress, for a person who watches."""
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}") if abs(value) < 1000 else round(value)
    if isinstance(value, dict):
        return {key: _short(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_short(inner) for inner in value]
    return value


@dataclass
class Spent:
    """What a process tree used while it was watched. `instructions` is None where the machine does not count them."""

    cpu_seconds: float = 0.0
    instructions: int | None = None
    _before: dict[int, float] = field(default_factory=dict)


def tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _cpu(pid: int) -> dict[int, float]:
    used: dict[int, float] = {}
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used[process.pid] = times.user + times.system
    return used


@contextlib.contextmanager
def watched(pid: int) -> Iterator[Spent]:
    """CPU seconds (user + system) of the tree under `pid`, and its instructions where `perf` can count them."""
    spent = Spent()
    before = _cpu(pid)
    counter = _perf(pid) if counts_instructions() else None
    try:
        yield spent
    finally:
        after = _cpu(pid)
        spent.cpu_seconds = sum(used - before.get(number, 0.0) for number, used in after.items())
        if counter is not None:
            spent.instructions = _counted(counter)


_counts: bool | None = None


def counts_instructions() -> bool:
    """False in most virtual machines, whose processor hides its counters."""
    global _counts
    if _counts is None:
        command = ["perf", "stat", "-x,", "-e", "instructions:u,instructions:k", "true"]
        found = shutil.which("perf") and subprocess.run(command, capture_output=True, text=True, check=False)
        _counts = bool(found) and found.returncode == 0 and "not supported" not in found.stderr
    return _counts


def _perf(pid: int) -> subprocess.Popen[str]:
    pids = ",".join(str(process.pid) for process in tree(pid))
    return subprocess.Popen(
        ["perf", "stat", "-x,", "-e", "instructions:u,instructions:k", "-p", pids],
        stderr=subprocess.PIPE,
        text=True,
    )


def _counted(counter: subprocess.Popen[str]) -> int | None:
    counter.send_signal(2)
    _, text = counter.communicate(timeout=10)
    counts = [line.split(",")[0] for line in text.splitlines() if "instructions" in line]
    return sum(int(count) for count in counts) if counts and all(c.isdigit() for c in counts) else None


def pss_mb(pid: int, *, alone: bool = False) -> float:
    """Proportional set size of the tree (or of this process alone), in MB: shared pages are divided among those who
    share them, so that a sum over processes is real."""
    total = 0
    for process in [psutil.Process(pid)] if alone else tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            total += process.memory_full_info().pss
    return total / 1e6
