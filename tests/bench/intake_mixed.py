"""`intake_mixed`: deliveries of the four helpdesks by turns, 500 a second, from the first byte to the committed rows on
PostgreSQL; and an Outbound Message of a hundred Cases to its Ack. The real web process against a bare handler with the
same proofs."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

from tests.bench import servers
from tests.bench.client import Arm, Run, ratio
from tests.bench.deliveries import CONFIG, TOKEN, outbound_message, senders
from tests.bench.harness import interleaved, median
from tests.bench.seed import count, must_equal, postgres_database, seed

RATE = 500
SECONDS, RUNS = 2.0, 8  # short and many, so that a busy moment of the machine spoils few of them
CASES, MESSAGES_A_SECOND = 100, 4
_ENV = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")


class Sent:
    """An arm, the numbers its deliveries have had, and how many rows they must have left."""

    def __init__(self, arm: Arm, all_senders: list[dict[str, Any]]):
        self.arm, self.senders = arm, all_senders
        self.number = 1
        self.rows = 0

    def mixed(self, seconds: float) -> Run:
        return self._send("mixed", self.senders, seconds, 64, RATE, 1)

    def messages(self, seconds: float) -> Run:
        only = [one for one in self.senders if one["vendor"] == "salesforce"]
        return self._send("cases", only, seconds, 4, MESSAGES_A_SECOND, CASES)

    def _send(self, kind: str, who: list[Any], seconds: float, at_once: int, rate: int, each: int) -> Run:
        more = {"kind": kind, "senders": who, "first": self.number, "cases": each}
        run = self.arm.send(seconds, at_once, rate, **more)
        self.number += int(seconds * rate) * each
        self.rows += run.accepted * each
        return run

    def check(self) -> None:
        """Every acknowledged delivery is one row with one job, and there is no other."""
        name, database = self.arm.name, self.arm.database
        rows = count(database, "SELECT count(*) FROM inbound_events")
        jobs = count(database, "SELECT count(*) FROM outbox WHERE topic = 'inbound.received'")
        must_equal(f"{name}: inbox rows", rows, self.rows)
        must_equal(f"{name}: jobs", jobs, self.rows)


def run() -> dict[str, Any]:
    with (
        servers.folder() as where,
        servers.queue(where),
        servers.postgres(where) as server_url,
        contextlib.ExitStack() as stack,
    ):
        arms = _arms(where, server_url, stack)
        for arm in arms.values():
            arm.mixed(1.0)
            arm.messages(0.5)
        mixed = interleaved(list(arms), RUNS, lambda name, _: arms[name].mixed(SECONDS))
        cases = interleaved(list(arms), 4, lambda name, _: arms[name].messages(3.0))
        for arm in arms.values():
            arm.check()
    return _figure(mixed, cases, senders(servers.SECRET))


def _arms(where: Path, server_url: str, stack: contextlib.ExitStack) -> dict[str, Sent]:
    urls = {name: postgres_database(server_url, f"bench_{name}") for name in ("ours", "bare")}
    for url in urls.values():
        seed(url, where / "data")
    who = senders(servers.SECRET)
    environment = servers.hub_environment(
        where, urls["ours"], servers.free_port(), only="*", **secrets_of_files()
    )
    bare = {
        "BENCH_DATABASE": urls["bare"],
        "BENCH_SECRET": servers.SECRET,
        "BENCH_SENDERS": json.dumps(who),
    }
    web = {
        "ours": stack.enter_context(servers.hub_web(environment, where / "web.log")),
        "bare": stack.enter_context(
            servers.bare_web("tests.bench.bare_mixed:intake", bare, where / "bare.log")
        ),
    }
    return {name: Sent(Arm(name, server, urls[name], {}, RATE), who) for name, server in web.items()}


def secrets_of_files() -> dict[str, str]:
    """Every secret that the shipped files ask the environment for; a token in a path is one that fits a path."""
    names = {name for path in CONFIG.glob("*.yaml") for name in _ENV.findall(path.read_text())}
    return {name: TOKEN if "TOKEN" in name and "PATH" in name else servers.SECRET for name in sorted(names)}


def _figure(
    mixed: dict[str, list[Run]], cases: dict[str, list[Run]], who: list[dict[str, Any]]
) -> dict[str, Any]:
    def times(runs: list[Run]) -> dict[str, float]:
        return {
            "p50_ms": median([run.p50 for run in runs]),
            "p99_ms": median([run.p99 for run in runs]),
            "worst_p99_ms": max(run.p99 for run in runs),
            "cpu_us_per_request": median([run.cpu_us for run in runs]),
        }

    [salesforce] = [one for one in who if one["vendor"] == "salesforce"]
    size = len(outbound_message(salesforce, list(range(CASES))))
    both = {name: times(runs) for name, runs in mixed.items()}
    messages = {name: times(runs) for name, runs in cases.items()}
    return {
        "name": "intake_mixed",
        "value": both["ours"]["p99_ms"],
        "unit": f"ms, p99 at {RATE} deliveries/s of {len(who)} vendors by turns, PostgreSQL",
        "reference": both["bare"]["p99_ms"],
        "ratio": ratio(mixed["ours"], mixed["bare"], "p99"),
        "aim": "p99 < 50 ms; a message of 100 Cases < 150 ms",
        "p50": both["ours"]["p50_ms"],
        "p99": both["ours"]["p99_ms"],
        "cpu_ratio": ratio(mixed["ours"], mixed["bare"], "cpu_us"),
        "mixed": both,
        "message_of_100_cases": {**messages, "kilobytes": size / 1000},
        "method": "hub serve with the files we ship against a bare Litestar + asyncpg handler (same proofs with the "
        "standard library, one CTE insert of row and job), both granian with 1 worker, own databases with one schema "
        f"on one PostgreSQL; {RATE}/s for {SECONDS:.0f} s, interleaved, latency from when a request was due, medians of "
        f"{RUNS} runs; messages of 100 Cases {MESSAGES_A_SECOND} a second; 2 % repeats; rows == acknowledged checked",
    }
