"""`intake`: a signed PagerDuty delivery to its committed inbox row. The real web process against a bare Litestar
handler with one statement on the same PostgreSQL; on SQLite our group commit against a commit per delivery."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from tests.bench import servers
from tests.bench.client import Run, ratio, send, together
from tests.bench.harness import interleaved, say
from tests.bench.seed import count, must_equal, postgres_database, seed
from tests.bench.servers import Server

PATH = "/hooks/in/demo-oncall"
MOST_PER_SECOND = 7000  # more requests than any arm can take are built beforehand


class Arm:
    """One server with its database, and what it has acknowledged so far."""

    def __init__(self, name: str, server: Server, database: str):
        self.name, self.server, self.database = name, server, database
        self.accepted = 0
        self.runs = 0

    def send(self, seconds: float, connections: int, rate: float = 0) -> Run:
        self.runs += 1
        plan: dict[str, Any] = {
            "kind": "pagerduty",
            "host": "127.0.0.1",
            "port": self.server.port,
            "path": PATH,
            "secret": servers.SECRET,
            "prefix": f"{self.name.upper()}{self.runs:02}",
            "count": int(seconds * (rate or MOST_PER_SECOND)),
            "connections": connections,
            "seconds": seconds,
            "rate": rate,
        }
        run = send(plan, self.server.pid)
        self.accepted += run.accepted
        say(
            f"{self.name} c={connections} rate={rate or 'full'}: {run.rps:.0f}/s p50 {run.p50:.1f} p99 {run.p99:.1f} ms, {run.cpu_us:.0f} us CPU"
        )
        return run

    def check(self) -> None:
        """I1: every acknowledged id is one row with one job, and there is no other."""
        rows = count(self.database, "SELECT count(*) FROM inbound_events")
        distinct = count(self.database, "SELECT count(DISTINCT delivery_id) FROM inbound_events")
        jobs = count(self.database, "SELECT count(*) FROM outbox WHERE topic = 'inbound.received'")
        must_equal(f"{self.name}: inbox rows", rows, self.accepted)
        must_equal(f"{self.name}: distinct deliveries", distinct, self.accepted)
        must_equal(f"{self.name}: jobs", jobs, self.accepted)


def run() -> dict[str, Any]:
    with servers.folder() as where, servers.queue(where):
        figure = _postgres(where)
        figure["sqlite_full_sync"] = _sqlite(where)
    return figure


def _postgres(where: Path) -> dict[str, Any]:
    with servers.postgres(where) as server_url, contextlib.ExitStack() as stack:
        urls = {name: postgres_database(server_url, f"bench_{name}") for name in ("ours", "bare")}
        for url in urls.values():
            seed(url, where / "data")
        environment = servers.hub_environment(where, urls["ours"], servers.free_port())
        bare = {"BENCH_DATABASE": urls["bare"], "BENCH_SECRET": servers.SECRET}
        arms = {
            "ours": Arm(
                "ours", stack.enter_context(servers.hub_web(environment, where / "web.log")), urls["ours"]
            ),
            "bare": Arm(
                "bare",
                stack.enter_context(servers.bare_web("intake", bare, where / "bare.log")),
                urls["bare"],
            ),
        }
        for arm in arms.values():
            arm.send(1.0, 16)  # warm
        at_16 = interleaved(list(arms), 4, lambda name, _: arms[name].send(1.0, 16))
        at_64 = interleaved(list(arms), 2, lambda name, _: arms[name].send(1.0, 64))
        paced = {name: arm.send(3.0, 64, rate=200) for name, arm in arms.items()}
        for arm in arms.values():
            arm.check()
    return _figure(at_16, at_64, paced)


def _figure(
    at_16: dict[str, list[Run]], at_64: dict[str, list[Run]], paced: dict[str, Run]
) -> dict[str, Any]:
    narrow = {name: together(runs) for name, runs in at_16.items()}
    wide = {name: together(runs) for name, runs in at_64.items()}
    ours, bare = narrow["ours"], narrow["bare"]
    counted = ours["instructions_per_request"] and bare["instructions_per_request"]
    return {
        "name": "intake",
        "value": ours["rps"],
        "unit": "deliveries/s at 16 connections, PostgreSQL",
        "reference": bare["rps"],
        "ratio": ratio(at_16["ours"], at_16["bare"]),
        "aim": "ratio >= 0.90, instructions <= 1.3x, p99 < 50 ms at 200/s",
        "p50": ours["p50_ms"],
        "p99": ours["p99_ms"],
        "cpu_ratio": ratio(at_16["ours"], at_16["bare"], "cpu_us"),
        "instructions": ours["instructions_per_request"],
        "instructions_ratio": counted and ratio(at_16["ours"], at_16["bare"], "instructions"),
        "c16": narrow,
        "c64": {**wide, "ratio": ratio(at_64["ours"], at_64["bare"])},
        "paced_200": {name: {"p50_ms": run.p50, "p99_ms": run.p99} for name, run in paced.items()},
        "method": "hub serve against a bare Litestar + asyncpg handler (same HMAC, one CTE insert of row and job, pool "
        "16), both granian with 1 worker, own databases with one schema on one PostgreSQL; interleaved runs of 1 s, "
        "ratios pair by pair, medians; 2 % repeats; rows == acknowledged unique ids checked",
    }


def _sqlite(where: Path) -> dict[str, Any]:
    """The hub's handler with its group commit, the same handler with a commit a delivery, and plain aiosqlite."""
    with contextlib.ExitStack() as stack:
        arms: dict[str, Arm] = {}
        for name in ("group", "each", "aiosqlite"):
            path = where / f"{name}.db"
            url = f"sqlite:///{path}"
            seed(url, where / "data")
            log = where / f"{name}.log"
            if name == "aiosqlite":
                bare = {"BENCH_DATABASE": str(path), "BENCH_SECRET": servers.SECRET}
                server = stack.enter_context(servers.bare_web("intake_sqlite", bare, log))
            else:
                environment = servers.hub_environment(where, url, servers.free_port())
                if name == "each":
                    server = stack.enter_context(servers.bare_web("commit_each", environment, log))
                else:
                    server = stack.enter_context(servers.hub_web(environment, log))
            arms[name] = Arm(name, server, url)
        for arm in arms.values():
            arm.send(0.7, 16)
        at_16 = interleaved(list(arms), 2, lambda name, _: arms[name].send(1.0, 16))
        for arm in arms.values():
            arm.check()
    found = {name: together(runs) for name, runs in at_16.items()}
    return {
        **found,
        "ratio": ratio(at_16["group"], at_16["each"]),
        "ratio_to_aiosqlite": ratio(at_16["group"], at_16["aiosqlite"]),
        "aim": "ratio >= 4",
    }
