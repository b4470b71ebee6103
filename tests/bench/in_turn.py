"""`python -m tests.bench.in_turn CHECKOUT [WORKERS]`: what an offer costs this code and that of another checkout (a `git worktree`
of the commit before), one round of the one and then of the other, each on a database of its own on the same PostgreSQL. The
speed of a virtual machine drifts by half within minutes: of two runs of `claim` one after the other neither says what a change
is worth. The same code twice differs by half a percent here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench import servers
from tests.bench.harness import interleaved, median, percentile, report, say
from tests.bench.seed import postgres_database

ROUNDS, EACH, WORKERS = 40, 4, 100_000
FIRST = 6  # rounds in which PostgreSQL still plans its statements
CLIENTS = (1, 8)
_ARM = Path(__file__).with_name("in_turn_arm.py")


class Arm:
    """The code of one checkout, with its database."""

    def __init__(self, checkout: Path, url: str):
        self.checkout, self.url = checkout, url

    def prepare(self, folder: Path, workers: int) -> None:
        subprocess.run(
            [sys.executable, str(_ARM), "prepare", self.url, str(folder), str(workers)],
            cwd=self.checkout, check=True,
        )  # fmt: skip

    def start(self, clients: int) -> None:
        arguments = ["run", self.url, str(ROUNDS), str(clients), str(EACH)]
        self._process = subprocess.Popen(
            [sys.executable, str(_ARM), *arguments],
            cwd=self.checkout, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._line() == "ready"

    def round(self) -> list[float]:
        """Processor time of the router and of PostgreSQL, ms an offer; then how long each offer took, ms."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return [float(one) for one in self._line().split()]

    def end(self) -> None:
        assert self._process.wait(60) == 0

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def run(other: Path, workers: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with servers.folder() as where, servers.postgres(where) as server_url:
        arms = {
            name: Arm(checkout, postgres_database(server_url, name))
            for name, checkout in (("this", Path.cwd()), ("other", other))
        }
        for name, arm in arms.items():
            arm.prepare(where / name, workers)
        for clients in CLIENTS:
            for arm in arms.values():
                arm.start(clients)
            results = interleaved(list(arms), ROUNDS, lambda name, _: arms[name].round())
            for arm in arms.values():
                arm.end()
            found[f"{clients}"] = {name: _figures(rounds[FIRST:]) for name, rounds in results.items()}
            say(f"{clients} clients: {found[f'{clients}']}")
    alone = found["1"]
    return {
        "name": "in_turn",
        "value": alone["this"]["router_cpu_ms"],
        "unit": f"ms of the router's processor time an offer, one client, {workers:,} workers",
        "reference": alone["other"]["router_cpu_ms"],
        "ratio": alone["this"]["router_cpu_ms"] / alone["other"]["router_cpu_ms"],
        **found,
    }


def _figures(rounds: list[list[float]]) -> dict[str, float]:
    took = [one for each in rounds for one in each[2:]]
    return {
        "router_cpu_ms": median([each[0] for each in rounds]),
        "server_cpu_ms": median([each[1] for each in rounds]),
        "p50_ms": percentile(took, 50),
        "p99_ms": percentile(took, 99),
    }


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit("python -m tests.bench.in_turn CHECKOUT [WORKERS]")
    report(lambda: run(Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else WORKERS))
