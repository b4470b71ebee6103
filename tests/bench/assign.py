"""`assign`: from the API's answer to a creation until the assignment to a worker is committed, with web, arq and worker
as real processes, on both databases."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from hub.embedded import valkey
from tests.bench import arq_reference, servers
from tests.bench.harness import percentile, say
from tests.bench.observer import observer, until
from tests.bench.requests import TASK
from tests.bench.seed import Seeded, count, must_equal, postgres_database, seed
from tests.bench.servers import Server

TASKS = 120
WARM = 10
ASSIGNED = "SELECT id FROM assignments WHERE task_id = $1"


@contextlib.contextmanager
def running(where: Path, seeded: Seeded, **more: str) -> Iterator[tuple[Server, dict[str, str]]]:
    """A hub's web and worker on the database of `seeded`, with the queue of `where`; and what they were told."""
    environment = servers.hub_environment(where, seeded.url, servers.free_port(), **more)
    with (
        servers.hub_web(environment, where / "web.log") as web,
        servers.process(["hub", "work", "--queue", "default"], environment, where / "worker.log"),
    ):
        yield web, environment


def run() -> dict[str, Any]:
    found: dict[str, Any] = {}
    with servers.folder() as where, servers.postgres(where) as server_url:
        for name in ("postgresql", "sqlite"):
            place = where / name
            (place / "data").mkdir(parents=True)
            url = (
                postgres_database(server_url, "bench")
                if name == "postgresql"
                else f"sqlite:///{place}/hub.db"
            )
            seeded = seed(url, place / "data")
            with servers.queue(place), running(place, seeded) as (web, _), _arq(place) as arq_url:
                found[name] = asyncio.run(_measure(web, seeded, arq_url))
            must_equal(f"{name}: assignments", count(url, "SELECT count(*) FROM assignments"), TASKS + WARM)
            say(f"{name}: {found[name]}")
    first = found["postgresql"]
    return {
        "name": "assign",
        "value": first["p99_ms"],
        "unit": "ms from the API's answer to the committed assignment, p99, PostgreSQL",
        "reference": first["arq_p99_ms"],
        "ratio": first["p99_ms"] / first["arq_p99_ms"],
        "aim": "p99 < 50 ms",
        "p50": first["p50_ms"],
        "p99": first["p99_ms"],
        **found,
        "method": f"{TASKS} tasks one after the other at random distances, an outside connection looks for the assignment "
        "every 0.5 ms; reference: arq's own enqueue to start of a job that does nothing, same settings and Valkey, same "
        "run; a commit is one insert on the same database; assignments == tasks checked",
    }


@contextlib.contextmanager
def _arq(place: Path) -> Iterator[str]:
    url = f"unix://{valkey.socket_path(place / 'data' / 'valkey')}"
    environment = servers.hub_environment(place, "", servers.free_port())
    with servers.process(["tests.bench.arq_reference", url], environment, place / "arq.log"):
        yield url


async def _measure(web: Server, seeded: Seeded, arq_url: str) -> dict[str, float]:
    latencies: list[float] = []
    headers = {"Authorization": f"Bearer {seeded.api_key}"}
    async with aiohttp.ClientSession(headers=headers) as http, observer(seeded.url) as look:
        for number in range(TASKS + WARM):
            body = {"idempotencyKey": f"assign-{number}", **TASK}
            async with http.post(f"{web.url}/v1/tasks", json=body) as answer:
                answer.raise_for_status()
                answered = time.perf_counter()
                task_id = (await answer.json())["id"]
            await until(look, ASSIGNED, task_id)
            latencies.append((time.perf_counter() - answered) * 1000)
            await asyncio.sleep(random.uniform(0.005, 0.05))
        arq = [seconds * 1000 for seconds in await arq_reference.measured(arq_url, TASKS)]
        commits = [seconds * 1000 for seconds in await look.commits()]
    latencies = latencies[WARM:]
    return {
        "p50_ms": percentile(latencies, 50),
        "p99_ms": percentile(latencies, 99),
        "arq_p50_ms": percentile(arq, 50),
        "arq_p99_ms": percentile(arq, 99),
        "commit_p50_ms": percentile(commits, 50),
    }
