"""A simulated ServiceNow with faults, one per coming request of a method, served on a loopback port; and the drain job of
its scoped app, which signs and sends what the business rule put into the outbox."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from core import clock
from tests.fakes.servicenow_api import API, app
from tests.fakes.servicenow_world import Instance, Refusal

__all__ = ["Fault", "FaultyServiceNow", "Instance", "drain", "serve"]


class Fault(Enum):
    """What goes wrong with one request. "After" means that the instance has done it."""

    NONE = "none"
    SERVER_ERROR_BEFORE = "500 before"
    SERVER_ERROR_AFTER = "500 after"
    RESET_BEFORE = "reset before"
    RESET_AFTER = "reset after"
    TIMEOUT_AFTER = "time-out after"
    RATE_LIMITED = "429"
    RATE_LIMITED_BARE = "429 without headers"
    QUEUED = "202"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    NOT_JSON = "200 that is not JSON"


_BEFORE = {
    Fault.SERVER_ERROR_BEFORE: Refusal(500, "Internal server error", "java.lang.NullPointerException"),
    Fault.UNAUTHORIZED: Refusal(401, "User is not authenticated", "Required to provide Auth information"),
    Fault.FORBIDDEN: Refusal(
        403, "Operation Failed", "ACL Exception Update Failed due to security constraints"
    ),
    Fault.NOT_FOUND: Refusal(
        404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval"
    ),
    Fault.RATE_LIMITED_BARE: Refusal(429, "Rejected", "Semaphore queue is full"),
}


class FaultyServiceNow:
    """`world` is the instance, `api` its HTTP, `url` where it is served, `script` the faults by method (`TOKEN` for the
    token's)."""

    def __init__(self, world: Instance) -> None:
        self.world = world
        self.url = ""
        self.script: dict[str, deque[Fault]] = defaultdict(deque)
        self.released = asyncio.Event()
        self.application = app(world, [self.middleware])
        self.api = self.application[API]

    def next(self, method: str, *faults: Fault) -> None:
        self.script[method].extend(faults)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        method = "TOKEN" if request.path.endswith("/oauth_token.do") else request.method
        fault = self.script[method].popleft() if self.script[method] else Fault.NONE
        if fault in _BEFORE:
            return web.json_response(_BEFORE[fault].body, status=_BEFORE[fault].status)
        if fault is Fault.RATE_LIMITED:
            body = Refusal(
                429, "Rate limit exceeded", "Rate limit of 100 requests per hour for Table API exceeded"
            )
            return web.json_response(body.body, status=429, headers={"Retry-After": "17"})
        if fault is Fault.QUEUED:
            return web.Response(status=202)
        if fault is Fault.RESET_BEFORE:
            _reset(request)
            return web.Response()
        response = await handler(request)
        return await self._after(request, fault, response)

    async def _after(
        self, request: web.Request, fault: Fault, response: web.StreamResponse
    ) -> web.StreamResponse:
        match fault:
            case Fault.SERVER_ERROR_AFTER:
                return web.json_response(_BEFORE[Fault.SERVER_ERROR_BEFORE].body, status=500)
            case Fault.RESET_AFTER:
                _reset(request)
            case Fault.TIMEOUT_AFTER:
                await self.released.wait()
            case Fault.NOT_JSON:
                return web.Response(text="<html>Instance Hibernating page</html>", content_type="text/html")
            case _:
                pass
        return response


@asynccontextmanager
async def serve(
    world: Instance | None = None, *, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[FaultyServiceNow]:
    """Run the instance on 127.0.0.1; hanging answers are let go at the end."""
    fake = FaultyServiceNow(world or Instance())
    runner = web.AppRunner(fake.application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    fake.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        fake.released.set()
        await runner.cleanup()


async def drain(world: Instance, url: str, secret: str) -> list[int]:
    """One run of the drain job: each outbox row signed and sent to `url`, kept where it has to be tried again. The
    statuses in order; 0 for no answer."""
    statuses: list[int] = []
    async with aiohttp.ClientSession() as session:
        for event in list(world.outbox):
            status = await _send(session, url, json.dumps(event).encode(), event["event_id"], secret)
            statuses.append(status)
            if status != 0 and status != 429 and status < 500:
                world.outbox.remove(event)
    return statuses


async def _send(session: aiohttp.ClientSession, url: str, body: bytes, event_id: str, secret: str) -> int:
    stamp = str(clock.unix())
    message = f"{event_id}.{stamp}.".encode() + body
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    headers = {
        "Content-Type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1,"
        + base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode(),
    }
    try:
        async with session.post(url, data=body, headers=headers) as response:
            return response.status
    except aiohttp.ClientError:
        return 0


def _reset(request: web.Request) -> None:
    """An RST in place of an answer."""
    transport = request.transport
    assert transport is not None
    transport.abort()
