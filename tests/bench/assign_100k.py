"""`assign_100k`: a hundred tasks a second through the API of a hub with a hundred thousand workers; from the API's answer
to a creation until the assignment is committed, over arq, with web, worker and Valkey as real processes on PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import asyncpg

from hub.embedded import valkey
from tests.bench import arq_reference, many_workers, servers
from tests.bench.assign import running
from tests.bench.harness import percentile, say
from tests.bench.requests import TASK
from tests.bench.seed import Seeded, count, must_equal, postgres_database, seed
from tests.bench.servers import Server

WORKERS = int(os.environ.get("ASSIGN_WORKERS", "100000"))
A_SECOND, SECONDS, WARM = 100, 10, 100
# The database itself tells of each assignment, when its transaction commits.
_DUE = """SELECT count(*) FROM outbox WHERE queue <> 'money' AND state IN ('pending', 'leased')
    AND due_at <= (extract(epoch from clock_timestamp()) * 1000)::bigint"""
_TELL = """
    CREATE FUNCTION bench_tell() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('assigned', NEW.task_id); RETURN NULL; END $$;
    CREATE TRIGGER bench_tell AFTER INSERT ON assignments FOR EACH ROW EXECUTE FUNCTION bench_tell()"""


def run() -> dict[str, Any]:
    with servers.folder() as where, servers.postgres(where) as server_url:
        place = where / "hub"
        (place / "data").mkdir(parents=True)
        seeded = seed(postgres_database(server_url, "bench"), place / "data")
        asyncio.run(many_workers.grow(seeded.url, 0, WORKERS, also="refund_review"))
        with servers.queue(place), running(place, seeded) as (web, _):
            arq_url = f"unix://{valkey.socket_path(place / 'data' / 'valkey')}"
            environment = servers.hub_environment(place, "", servers.free_port())
            with servers.process(["tests.bench.arq_reference", arq_url], environment, place / "arq.log"):
                found = asyncio.run(_measure(web, seeded, arq_url))
        must_equal(
            "assignments", count(seeded.url, "SELECT count(*) FROM assignments"), WARM + A_SECOND * SECONDS
        )
        from_memory = """SELECT count(*) FROM routing_decisions WHERE body LIKE '%"source":"directory"%'"""
        found["from_the_directory"] = count(seeded.url, from_memory)
        say(f"{found}")
    return {
        "name": "assign_100k",
        "value": found["p99_ms"],
        "unit": f"ms from the API's answer to the committed assignment, p99, {A_SECOND} tasks a second, {WORKERS:,} workers",
        "reference": found["arq_p99_ms"],
        "ratio": found["p99_ms"] / found["arq_p99_ms"],
        "aim": "p99 < 50 ms",
        **found,
        "method": f"{A_SECOND * SECONDS} tasks, one each {1000 // A_SECOND} ms whatever the answers take; a trigger of the bench tells of each "
        "assignment at its commit; reference: arq's own enqueue to start of a job that does nothing, same settings and "
        "Valkey, before the load; assignments == tasks checked",
    }


@asynccontextmanager
async def _told(url: str) -> AsyncGenerator[dict[str, float]]:
    """Task id -> when its assignment was committed."""
    seen: dict[str, float] = {}

    def hear(connection: Any, pid: int, channel: str, payload: str) -> None:
        seen[payload] = time.perf_counter()

    connection = await asyncpg.connect(url)
    await connection.execute(_TELL)
    await connection.add_listener("assigned", hear)
    try:
        yield seen
    finally:
        await connection.close()


async def _measure(web: Server, seeded: Seeded, arq_url: str) -> dict[str, float]:
    arq = [seconds * 1000 for seconds in await arq_reference.measured(arq_url, 100)]
    answered: dict[str, float] = {}
    created: list[float] = []

    async def ask(number: int) -> None:
        body = {"idempotencyKey": f"assign-{number}", **TASK, "payout": {"currency": "USD", "maxAmount": 2}}
        began = time.perf_counter()
        async with http.post(f"{web.url}/v1/tasks", json=body) as answer:
            answer.raise_for_status()
            task_id = (await answer.json())["id"]
        now = time.perf_counter()
        if number >= WARM:
            answered[task_id] = now
            created.append((now - began) * 1000)

    headers = {"Authorization": f"Bearer {seeded.api_key}"}
    async with aiohttp.ClientSession(headers=headers) as http, _told(seeded.url) as seen:
        for numbers in (range(WARM), range(WARM, WARM + A_SECOND * SECONDS)):
            begin, asking = time.perf_counter(), list[asyncio.Task[None]]()
            for place, number in enumerate(numbers):
                await asyncio.sleep(max(0.0, begin + place / A_SECOND - time.perf_counter()))
                asking.append(asyncio.create_task(ask(number)))
            await asyncio.gather(*asking)
            async with asyncio.timeout(
                120
            ):  # the first hundred: until the worker has read its directory, and done what else a start brings
                while len(seen) <= numbers[-1]:
                    await asyncio.sleep(0.05)
                while await asyncio.to_thread(count, seeded.url, _DUE):
                    await asyncio.sleep(0.05)
    took = [max(0.0, seen[name] - at) * 1000 for name, at in answered.items()]
    return {
        "p50_ms": percentile(took, 50),
        "p99_ms": percentile(took, 99),
        "created_p50_ms": percentile(created, 50),
        "arq_p50_ms": percentile(arq, 50),
        "arq_p99_ms": percentile(arq, 99),
    }
