"""Starts the load generator (`tests/bench/load.py`) and puts its answer beside what the server spent meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from tests.bench.harness import median, percentile, watched


@dataclass(frozen=True)
class Run:
    """One repetition of one arm. `cpu_us` is of the server's process tree, a request; `instructions` likewise."""

    rps: float
    p50: float
    p99: float
    cpu_us: float
    instructions: float | None
    accepted: int
    statuses: dict[str, int]


def send(plan: dict[str, Any], server_pid: int) -> Run:
    """Run the plan. Raises RuntimeError when an answer was no 2xx: a figure with errors in it is none."""
    with watched(server_pid) as spent:
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.load"],
            input=json.dumps(plan),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    seen = json.loads(done.stdout)
    wrong = {status: n for status, n in seen["statuses"].items() if not status.startswith("2")}
    if wrong:
        raise RuntimeError(f"{plan['path']}: not every request was accepted: {seen['statuses']}")
    answers = len(seen["latencies_ms"])
    return Run(
        rps=answers / seen["seconds"],
        p50=percentile(seen["latencies_ms"], 50),
        p99=percentile(seen["latencies_ms"], 99),
        cpu_us=spent.cpu_seconds / answers * 1e6,
        instructions=None if spent.instructions is None else spent.instructions / answers,
        accepted=seen["accepted"],
        statuses=seen["statuses"],
    )


def together(runs: list[Run]) -> dict[str, Any]:
    """Medians over the repetitions, as they go into the figure."""
    counted = [run.instructions for run in runs if run.instructions is not None]
    return {
        "rps": median([run.rps for run in runs]),
        "p50_ms": median([run.p50 for run in runs]),
        "p99_ms": median([run.p99 for run in runs]),
        "cpu_us_per_request": median([run.cpu_us for run in runs]),
        "instructions_per_request": median(counted) if counted else None,
    }


def ratio(ours: list[Run], reference: list[Run], name: str = "rps") -> float:
    """The median over repetitions of ours / reference, each pair taken in the same moment of a noisy machine."""
    pairs = zip(ours, reference, strict=True)
    return median([getattr(one, name) / getattr(other, name) for one, other in pairs])
