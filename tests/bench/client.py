"""Starts the load generator (`tests/bench/load.py`) and puts its answer beside what the server spent meanwhile; the arm of
a comparison, and the runs that `create` and `intake` share."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from tests.bench.harness import interleaved, median, percentile, say, watched
from tests.bench.servers import Server


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


class Arm:
    """One server, and what it has acknowledged so far. `made` is the part of the plan that is its own (kind, path, keys);
    `most` requests a second are built beforehand, more than it can take."""

    def __init__(self, name: str, server: Server, database: str, made: dict[str, Any], most: int):
        self.name, self.server, self.database = name, server, database
        self._made, self._most = made, most
        self.accepted = 0
        self.runs = 0

    def send(self, seconds: float, connections: int, rate: float = 0, **more: Any) -> Run:
        """One run: as fast as it goes, or `rate` requests a second. `more` replaces parts of the plan."""
        self.runs += 1
        plan: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.server.port,
            "prefix": f"{self.name.upper()}{self.runs:02}",
            "count": int(seconds * (rate or self._most)),
            "connections": connections,
            "seconds": seconds,
            "rate": rate,
            **self._made,
            **more,
        }
        run = send(plan, self.server.pid)
        self.accepted += run.accepted
        say(
            f"{self.name} c={connections} rate={rate or 'full'}: {run.rps:.0f}/s p50 {run.p50:.1f} p99 {run.p99:.1f} ms, {run.cpu_us:.0f} us CPU"
        )
        return run


Compared = tuple[dict[str, list[Run]], dict[str, list[Run]], dict[str, Run]]


def compared(arms: dict[str, Arm]) -> Compared:
    """Each arm warmed, then at 16 connections, at 64, and at 200 requests a second."""
    for arm in arms.values():
        arm.send(1.0, 16)
    at_16 = interleaved(list(arms), 4, lambda name, _: arms[name].send(1.0, 16))
    at_64 = interleaved(list(arms), 2, lambda name, _: arms[name].send(1.0, 64))
    return at_16, at_64, {name: arm.send(3.0, 64, rate=200) for name, arm in arms.items()}


def figure(runs: Compared) -> dict[str, Any]:
    """What `ours` against `bare` says in all three runs, with `ours` at 16 connections as the value."""
    at_16, at_64, paced = runs
    narrow = {name: together(some) for name, some in at_16.items()}
    wide = {name: together(some) for name, some in at_64.items()}
    ours, bare = narrow["ours"], narrow["bare"]
    counted = ours["instructions_per_request"] and bare["instructions_per_request"]
    return {
        "value": ours["rps"],
        "reference": bare["rps"],
        "ratio": ratio(at_16["ours"], at_16["bare"]),
        "p50": ours["p50_ms"],
        "p99": ours["p99_ms"],
        "cpu_ratio": ratio(at_16["ours"], at_16["bare"], "cpu_us"),
        "instructions": ours["instructions_per_request"],
        "instructions_ratio": counted and ratio(at_16["ours"], at_16["bare"], "instructions"),
        "c16": narrow,
        "c64": {**wide, "ratio": ratio(at_64["ours"], at_64["bare"])},
        "paced_200": {name: {"p50_ms": run.p50, "p99_ms": run.p99} for name, run in paced.items()},
    }
