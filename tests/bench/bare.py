"""The references: the least that a Litestar application can do for the same promise, on the driver itself, under the
same server and options as `hub serve`. `python -m tests.bench.bare APPLICATION PORT` serves one
(`module:function` for one of another file)."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import sys
import time
from collections.abc import AsyncGenerator
from typing import Any

import asyncpg
import msgspec
from litestar import Litestar, Request, Response, get, post

from core import ids
from tests.bench.bare_sql import CREATE, INBOX, INBOX_SQLITE

POOL = 16


class Event(msgspec.Struct):
    id: str
    event_type: str


class Delivery(msgspec.Struct):
    event: Event


class Asked(msgspec.Struct, rename="camel"):
    idempotency_key: str
    task_type: str
    payload: msgspec.Raw
    output_schema: msgspec.Raw
    payout: dict[str, Any]
    sla_seconds: int


_delivery = msgspec.json.Decoder(Delivery)
_asked = msgspec.json.Decoder(Asked)


@get("/")
async def hello() -> str:
    return "ok"


def _verified(request: Request[Any, Any, Any], body: bytes) -> bool:
    expected = hmac.new(os.environ["BENCH_SECRET"].encode(), body, hashlib.sha256).hexdigest()
    presented = request.headers.get("x-pagerduty-signature", "").removeprefix("v1=")
    return hmac.compare_digest(expected.encode(), presented.encode())


def _inbox_row(body: bytes) -> tuple[Any, ...]:
    event = _delivery.decode(body).event
    now = time.time_ns() // 1_000_000
    return (ids.new("inb"), "demo-oncall", event.id, event.event_type, body, now, ids.new("job"))


@contextlib.asynccontextmanager
async def pool(app: Litestar) -> AsyncGenerator[None]:
    async with asyncpg.create_pool(os.environ["BENCH_DATABASE"], min_size=POOL, max_size=POOL) as opened:
        app.state.pool = opened
        yield


def intake() -> Litestar:
    """A signed PagerDuty delivery to an inbox row and its job: signature, id, one statement, one commit."""

    @post("/hooks/in/demo-oncall", status_code=202)
    async def receive(request: Request[Any, Any, Any]) -> Response[bytes]:
        body = await request.body()
        if not _verified(request, body):
            return Response(b"", status_code=401, media_type="text/plain")
        await request.app.state.pool.execute(INBOX, *_inbox_row(body))
        return Response(b"", status_code=202, media_type="text/plain")

    return served(receive, pool)


def intake_sqlite() -> Litestar:
    """The same on SQLite with aiosqlite: one connection, one commit a delivery."""
    import asyncio

    import aiosqlite

    @contextlib.asynccontextmanager
    async def opened(app: Litestar) -> AsyncGenerator[None]:
        async with aiosqlite.connect(os.environ["BENCH_DATABASE"], isolation_level=None) as connection:
            await connection.execute("PRAGMA journal_mode = WAL")
            await connection.execute("PRAGMA synchronous = FULL")
            app.state.connection, app.state.lock = connection, asyncio.Lock()
            yield

    @post("/hooks/in/demo-oncall", status_code=202)
    async def receive(request: Request[Any, Any, Any]) -> Response[bytes]:
        body = await request.body()
        if not _verified(request, body):
            return Response(b"", status_code=401, media_type="text/plain")
        row, connection = _inbox_row(body), request.app.state.connection
        async with request.app.state.lock:
            await connection.execute("BEGIN IMMEDIATE")
            stored = await connection.execute(INBOX_SQLITE[0], row[:6])
            if stored.rowcount:
                await connection.execute(INBOX_SQLITE[1], (row[6], row[0], row[5]))
            await connection.execute("COMMIT")
        return Response(b"", status_code=202, media_type="text/plain")

    return served(receive, opened)


def create() -> Litestar:
    """`POST /v1/tasks` to a task row and its job: the key's digest looked up, one statement, one commit."""

    @post("/v1/tasks", status_code=201)
    async def create_task(request: Request[Any, Any, Any]) -> Response[bytes]:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        body = await request.body()
        asked = _asked.decode(body)
        now, task = time.time_ns() // 1_000_000, ids.uuid7()
        found = await request.app.state.pool.fetchrow(
            CREATE,
            hashlib.sha256(key.encode()).hexdigest(),
            task,
            asked.idempotency_key,
            hashlib.sha256(body).hexdigest(),
            asked.task_type,
            asked.sla_seconds,
            bytes(asked.payload).decode(),
            bytes(asked.output_schema).decode(),
            str(asked.payout["maxAmount"]),
            now,
            ids.new("job"),
        )
        if not found["known"]:
            return Response(b"{}", status_code=401, media_type="application/json")
        answer = msgspec.json.encode({"id": task, "status": "posted", "createdAt": now})
        return Response(answer, status_code=201, media_type="application/json")

    return served(create_task, pool)


def commit_each() -> Any:
    """The hub itself with its group commit taken out: the same handler, a transaction for each delivery."""
    import dataclasses

    from hub.app import create_app
    from hub.settings_file import load_settings
    from hub.wiring import wire

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await opened[0](scope, receive, send)
            return
        settings, directory = load_settings()
        async with wire(settings, directory) as wiring:
            services = dataclasses.replace(wiring.services, intake=EachAlone(wiring.services.work))
            opened.append(create_app(services))
            await opened[0](scope, receive, send)

    opened: list[Any] = []
    return application


class EachAlone:
    """`hub/lanes.py:IntakeLane` without the lane."""

    def __init__(self, work: Any):
        self._work = work

    async def receive(self, connector_id: str, deliveries: Any) -> list[bool]:
        from core.intake.actions import Received, receive_many

        async with self._work.begin("intake.receive") as tx:
            return await receive_many(tx, [Received(connector_id, one) for one in deliveries])


def empty() -> Litestar:
    """Nothing but the framework."""
    return Litestar([hello], openapi_config=None, logging_config=None)


def served(handler: Any, opened: Any) -> Litestar:
    return Litestar([hello, handler], lifespan=[opened], openapi_config=None, logging_config=None)


def main(application: str, port: str) -> None:
    from granian import Granian
    from granian.constants import Interfaces, Loops

    Granian(
        application if ":" in application else f"tests.bench.bare:{application}",
        factory=True,
        address="127.0.0.1",
        port=int(port),
        interface=Interfaces.ASGI,
        loop=Loops.asyncio,
        workers=1,
        backlog=2048,
        log_enabled=False,
        websockets=False,
    ).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
