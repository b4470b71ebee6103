"""`intake`: a signed PagerDuty delivery to its committed inbox row. The real web process against a bare Litestar
handler with one statement on the same PostgreSQL; on SQLite our group commit against a commit per delivery."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from tests.bench import servers
from tests.bench.client import Arm, compared, figure, ratio, together
from tests.bench.harness import interleaved
from tests.bench.seed import count, must_equal, postgres_database, seed

PATH = "/hooks/in/demo-oncall"
MOST_PER_SECOND = 7000  # more requests than any arm can take are built beforehand


MADE = {"kind": "pagerduty", "path": PATH, "secret": servers.SECRET}


def check(arm: Arm) -> None:
    """I1: every acknowledged id is one row with one job, and there is no other."""
    rows = count(arm.database, "SELECT count(*) FROM inbound_events")
    distinct = count(arm.database, "SELECT count(DISTINCT delivery_id) FROM inbound_events")
    jobs = count(arm.database, "SELECT count(*) FROM outbox WHERE topic = 'inbound.received'")
    must_equal(f"{arm.name}: inbox rows", rows, arm.accepted)
    must_equal(f"{arm.name}: distinct deliveries", distinct, arm.accepted)
    must_equal(f"{arm.name}: jobs", jobs, arm.accepted)


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
        web = {
            "ours": stack.enter_context(servers.hub_web(environment, where / "web.log")),
            "bare": stack.enter_context(servers.bare_web("intake", bare, where / "bare.log")),
        }
        arms = {name: Arm(name, server, urls[name], MADE, MOST_PER_SECOND) for name, server in web.items()}
        runs = compared(arms)
        for arm in arms.values():
            check(arm)
    return {
        "name": "intake",
        "unit": "deliveries/s at 16 connections, PostgreSQL",
        "aim": "ratio >= 0.90, instructions <= 1.3x, p99 < 50 ms at 200/s",
        **figure(runs),
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
            arms[name] = Arm(name, server, url, MADE, MOST_PER_SECOND)
        for arm in arms.values():
            arm.send(0.7, 16)
        at_16 = interleaved(list(arms), 2, lambda name, _: arms[name].send(1.0, 16))
        for arm in arms.values():
            check(arm)
    found = {name: together(runs) for name, runs in at_16.items()}
    return {
        **found,
        "ratio": ratio(at_16["group"], at_16["each"]),
        "ratio_to_aiosqlite": ratio(at_16["group"], at_16["aiosqlite"]),
        "aim": "ratio >= 4",
    }
