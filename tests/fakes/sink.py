"""A receiver of webhooks that remembers everything and can be told to misbehave."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web


@dataclass
class Received:
    """One request: the event's id and type, its body and headers, and when it came (monotonic seconds)."""

    id: str
    type: str
    body: bytes
    headers: dict[str, str]
    at: float

    @property
    def data(self) -> dict[str, Any]:
        return msgspec.json.decode(self.body)["data"]


@dataclass
class Sink:
    """`statuses` are the answers to the next requests; then 200 for ever."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    statuses: deque[int] = field(default_factory=deque)

    def of(self, task_id: str, event: str | None = None) -> list[Received]:
        return [r for r in self.received if r.data["id"] == task_id and event in (None, r.type)]

    async def handle(self, request: web.Request) -> web.Response:
        import time

        body = await request.read()
        event = msgspec.json.decode(body)
        self.received.append(
            Received(event["id"], event["type"], body, dict(request.headers), time.monotonic())
        )
        return web.Response(status=self.statuses.popleft() if self.statuses else 200)


@asynccontextmanager
async def serve_sink() -> AsyncIterator[Sink]:
    sink = Sink()
    application = web.Application(client_max_size=8 * 1024 * 1024)
    application.router.add_post("/{path:.*}", sink.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sink.url = f"http://127.0.0.1:{runner.addresses[0][1]}/callback"
    try:
        yield sink
    finally:
        await runner.cleanup()
