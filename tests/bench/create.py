"""`create`: `POST /v1/tasks` to the committed task, on PostgreSQL. The real web process (key, limits, schema check,
reservation, event, jobs) against a bare handler that looks the key up and writes task and job in one statement."""

from __future__ import annotations

import contextlib
from typing import Any

from tests.bench import servers
from tests.bench.client import Arm, compared, figure
from tests.bench.seed import Seeded, count, must_equal, postgres_database, seed

MOST_PER_SECOND = 4000


def check(arm: Arm) -> None:
    tasks = count(arm.database, "SELECT count(*) FROM tasks")
    jobs = count(arm.database, "SELECT count(*) FROM outbox WHERE topic = 'task.posted'")
    must_equal(f"{arm.name}: tasks", tasks, arm.accepted)
    must_equal(f"{arm.name}: jobs", jobs, arm.accepted)


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
        arms = {
            name: Arm(name, server, seeded[name].url, made_for(seeded[name]), MOST_PER_SECOND)
            for name, server in web.items()
        }
        runs = compared(arms)
        for arm in arms.values():
            check(arm)
    return {
        "name": "create",
        "unit": "tasks/s at 16 connections, PostgreSQL",
        "aim": "ratio >= 0.60, p99 < 50 ms at 200/s",
        **figure(runs),
        "method": "hub serve against a bare Litestar + asyncpg handler (key digest, task and job in one CTE, pool 16), "
        "both granian with 1 worker, own databases with one schema on one PostgreSQL; interleaved runs of 1 s, ratios "
        "pair by pair, medians; 2 % repeats; tasks == acknowledged keys checked",
    }


def made_for(seeded: Seeded) -> dict[str, Any]:
    return {"kind": "task", "path": "/v1/tasks", "api_key": seeded.api_key}
