"""`create`: `POST /v1/tasks` to the committed task, on PostgreSQL. The real web process (key, limits, schema check,
reservation, event, jobs) against a bare handler that looks the key up and writes task and job in one statement."""

from __future__ import annotations

import contextlib
from typing import Any

from tests.bench import servers
from tests.bench.client import Run, ratio, send, together
from tests.bench.harness import interleaved, say
from tests.bench.seed import Seeded, count, must_equal, postgres_database, seed
from tests.bench.servers import Server

MOST_PER_SECOND = 4000


class Arm:
    """One server with its database, and what it has acknowledged so far."""

    def __init__(self, name: str, server: Server, seeded: Seeded):
        self.name, self.server, self.seeded = name, server, seeded
        self.accepted = 0
        self.runs = 0

    def send(self, seconds: float, connections: int, rate: float = 0) -> Run:
        self.runs += 1
        plan: dict[str, Any] = {
            "kind": "task",
            "host": "127.0.0.1",
            "port": self.server.port,
            "path": "/v1/tasks",
            "api_key": self.seeded.api_key,
            "prefix": f"{self.name}-{self.runs}",
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
        tasks = count(self.seeded.url, "SELECT count(*) FROM tasks")
        jobs = count(self.seeded.url, "SELECT count(*) FROM outbox WHERE topic = 'task.posted'")
        must_equal(f"{self.name}: tasks", tasks, self.accepted)
        must_equal(f"{self.name}: jobs", jobs, self.accepted)


def run() -> dict[str, Any]:
    with (
        servers.folder() as where,
        servers.queue(where),
        servers.postgres(where) as server_url,
        contextlib.ExitStack() as stack,
    ):
        seeded = {
            name: seed(postgres_database(server_url, f"bench_{name}"), where / "data")
            for name in ("ours", "bare")
        }
        environment = servers.hub_environment(where, seeded["ours"].url, servers.free_port())
        bare = {"BENCH_DATABASE": seeded["bare"].url}
        web = {
            "ours": stack.enter_context(servers.hub_web(environment, where / "web.log")),
            "bare": stack.enter_context(servers.bare_web("create", bare, where / "bare.log")),
        }
        arms = {name: Arm(name, server, seeded[name]) for name, server in web.items()}
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
    return {
        "name": "create",
        "value": narrow["ours"]["rps"],
        "unit": "tasks/s at 16 connections, PostgreSQL",
        "reference": narrow["bare"]["rps"],
        "ratio": ratio(at_16["ours"], at_16["bare"]),
        "aim": "ratio >= 0.60, p99 < 50 ms at 200/s",
        "p50": narrow["ours"]["p50_ms"],
        "p99": narrow["ours"]["p99_ms"],
        "cpu_ratio": ratio(at_16["ours"], at_16["bare"], "cpu_us"),
        "c16": narrow,
        "c64": {**wide, "ratio": ratio(at_64["ours"], at_64["bare"])},
        "paced_200": {name: {"p50_ms": run.p50, "p99_ms": run.p99} for name, run in paced.items()},
        "method": "hub serve against a bare Litestar + asyncpg handler (key digest, task and job in one CTE, pool 16), "
        "both granian with 1 worker, own databases with one schema on one PostgreSQL; interleaved runs of 1 s, ratios "
        "pair by pair, medians; 2 % repeats; tasks == acknowledged keys checked",
    }
