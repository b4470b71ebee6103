"""`callback`: from the transaction that verifies a task until the receiver has the `task.verified` webhook, with web,
arq and worker as real processes and the receiver on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from core.routing import actions as routing
from hub.settings_file import load_settings
from hub.wiring import wire
from tests.bench import servers
from tests.bench.assign import running
from tests.bench.harness import percentile
from tests.bench.observer import Observer, observer, until
from tests.bench.requests import TASK
from tests.bench.seed import Seeded, postgres_database, seed

TASKS = 60
WARM = 5
OFFER = "SELECT id || ' ' || worker_id FROM assignments WHERE task_id = $1"
ANSWER = {"eligible": True, "notes": "The photo shows the damage clearly."}


class Sink:
    """Receives webhooks and notes when. `verified` is task id -> (received, created), both in unix milliseconds."""

    def __init__(self) -> None:
        self.verified: dict[str, tuple[float, float]] = {}
        self.twice = 0
        self.url = ""

    async def receive(self, request: web.Request) -> web.Response:
        received = time.time() * 1000
        event = msgspec.json.decode(await request.read())
        if event.get("type") == "task.verified":
            self.twice += event["data"]["id"] in self.verified
            created = datetime.fromisoformat(event["createdAt"]).timestamp() * 1000
            self.verified[event["data"]["id"]] = (received, created)
        return web.Response(status=204)


@contextlib.asynccontextmanager
async def sink() -> AsyncGenerator[Sink]:
    receiver = Sink()
    application = web.Application()
    application.router.add_post("/", receiver.receive)
    runner = web.AppRunner(application)
    await runner.setup()
    port = servers.free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    receiver.url = f"http://127.0.0.1:{port}/"
    try:
        yield receiver
    finally:
        await runner.cleanup()


def run() -> dict[str, Any]:
    with servers.folder() as where, servers.queue(where), servers.postgres(where) as server_url:
        seeded = seed(postgres_database(server_url, "bench"), where / "data")
        with running(where, seeded) as (hub, environment):
            found = asyncio.run(_measure(hub.url, seeded, environment))
    return {
        "name": "callback",
        "value": found["p95"],
        "unit": "ms from the verifying transaction to the webhook received, p95, PostgreSQL",
        "reference": found["bare_post"]["p95"],
        "ratio": found["p95"] / found["bare_post"]["p95"],
        "aim": "p95 < 250 ms",
        **found,
        "method": f"{TASKS} tasks one after the other, created over the API, answered by a worker, verified by the worker "
        "process; from the event's own createdAt (the database's clock inside the verifying transaction, so before its "
        "commit) to the receipt at a loopback receiver; reference: the same bodies posted by a bare aiohttp session; "
        "each task's event received exactly once checked",
    }


async def _measure(base: str, seeded: Seeded, environment: dict[str, str]) -> dict[str, Any]:
    settings, directory = load_settings(environment)
    headers = {"Authorization": f"Bearer {seeded.api_key}"}
    from_answer: list[float] = []
    async with (
        sink() as receiver,
        aiohttp.ClientSession(headers=headers) as http,
        observer(seeded.url) as look,
        wire(settings, directory, environment) as wiring,
    ):
        tasks: list[str] = []
        for number in range(TASKS + WARM):
            body = {"idempotencyKey": f"callback-{number}", **TASK, "callbackUrl": receiver.url}
            async with http.post(f"{base}/v1/tasks", json=body) as answer:
                answer.raise_for_status()
                tasks.append((await answer.json())["id"])
            answered = await _answer(wiring.services.work, look, tasks[-1])
            await _received(receiver, tasks[-1])
            from_answer.append(receiver.verified[tasks[-1]][0] - answered)
            await asyncio.sleep(random.uniform(0.005, 0.05))
        bare = await _bare_posts(receiver.url)
        if receiver.twice or set(tasks) != set(receiver.verified):
            raise RuntimeError(
                f"{len(receiver.verified)} of {len(tasks)} events, {receiver.twice} of them twice"
            )
    latencies = [receiver.verified[task][0] - receiver.verified[task][1] for task in tasks[WARM:]]
    return {**_percentiles(latencies), "from_answer": _percentiles(from_answer[WARM:]), "bare_post": bare}


async def _answer(work: Any, look: Observer, task_id: str) -> float:
    """A worker takes the task and answers it; unix milliseconds when that was committed."""
    assignment, worker = (await until(look, OFFER, task_id)).split()
    async with work.begin("routing.accept") as tx:
        await routing.accept(tx, assignment, worker)
    async with work.begin("routing.submit") as tx:
        await routing.submit(tx, assignment, worker, ANSWER)
    return time.time() * 1000


async def _received(receiver: Sink, task_id: str) -> None:
    async with asyncio.timeout(20):
        while task_id not in receiver.verified:
            await asyncio.sleep(0.001)


async def _bare_posts(url: str) -> dict[str, float]:
    body = msgspec.json.encode({"type": "bench", "data": TASK})
    found: list[float] = []
    async with aiohttp.ClientSession() as http:
        for _ in range(TASKS):
            began = time.perf_counter()
            async with http.post(url, data=body) as answer:
                await answer.read()
            found.append((time.perf_counter() - began) * 1000)
    return _percentiles(found)


def _percentiles(values: list[float]) -> dict[str, float]:
    return {f"p{percent}": percentile(values, percent) for percent in (50, 95, 99)}
