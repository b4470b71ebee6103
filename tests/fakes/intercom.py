"""The simulated Intercom with faults: one per coming request, in the order in which a test scripts them. Served on a
loopback port inside the test's own event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

from aiohttp import web
from aiohttp.typedefs import Handler

from tests.fakes.intercom_api import Limits, app
from tests.fakes.intercom_objects import Refusal
from tests.fakes.intercom_workspace import Workspace


class Fault(Enum):
    """What goes wrong with one request. "After" means that the workspace has taken it: the write is committed."""

    NONE = "none"
    SERVER_ERROR_BEFORE = "500 before"
    SERVER_ERROR_AFTER = "500 after"
    RESET_BEFORE = "reset before"
    RESET_AFTER = "reset after"
    TIMEOUT_AFTER = "time-out after"
    RATE_LIMITED = "429"
    RATE_LIMITED_BARE = "429 without headers"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    NOT_JSON = "200 that is not JSON"
    REDIRECT = "302"


REFUSALS = {
    Fault.SERVER_ERROR_BEFORE: Refusal(500, "server_error", "An internal error has occurred"),
    Fault.SERVER_ERROR_AFTER: Refusal(500, "server_error", "An internal error has occurred"),
    Fault.RATE_LIMITED: Refusal(429, "rate_limit_exceeded", "Exceeded rate limit of 167 in 10_seconds"),
    Fault.RATE_LIMITED_BARE: Refusal(429, "rate_limit_exceeded", "Exceeded rate limit of 167 in 10_seconds"),
    Fault.UNAUTHORIZED: Refusal(401, "unauthorized", "Access Token Invalid"),
    Fault.FORBIDDEN: Refusal(403, "api_plan_restricted", "Active subscription needed."),
    Fault.NOT_FOUND: Refusal(404, "not_found", "Resource Not Found"),
}
BEFORE = frozenset(REFUSALS) - {Fault.SERVER_ERROR_AFTER}


class FaultyIntercom:
    """`world` is the workspace, `url` where it is served, `script` the faults of the next requests."""

    def __init__(self, world: Workspace) -> None:
        self.world = world
        self.limits = Limits()
        self.url = ""
        self.script: deque[Fault] = deque()
        self.released = asyncio.Event()

    def next(self, *faults: Fault) -> None:
        self.script.extend(faults)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        fault = self.script.popleft() if self.script else Fault.NONE
        if fault in BEFORE:
            return self._refused(fault)
        if fault is Fault.RESET_BEFORE:
            _reset(request)
            return web.Response()
        if fault is Fault.REDIRECT:
            return web.Response(status=302, headers={"Location": f"{self.url}/me"})
        response = await handler(request)
        match fault:
            case Fault.SERVER_ERROR_AFTER:
                return self._refused(fault)
            case Fault.RESET_AFTER:
                _reset(request)
            case Fault.TIMEOUT_AFTER:
                await self.released.wait()
            case Fault.NOT_JSON:
                return web.Response(text="<html>upstream</html>", content_type="text/html")
            case _:
                pass
        return response

    def _refused(self, fault: Fault) -> web.Response:
        refusal = REFUSALS[fault]
        headers = {} if fault is Fault.RATE_LIMITED_BARE else self.limits.headers()
        if fault is Fault.RATE_LIMITED:
            headers["X-RateLimit-Remaining"] = "0"
        return web.json_response(refusal.body, status=refusal.status, headers=headers)


@asynccontextmanager
async def serve(world: Workspace | None = None) -> AsyncIterator[FaultyIntercom]:
    """Run the workspace on 127.0.0.1 and a free port; hanging answers are let go at the end."""
    fake = FaultyIntercom(world or Workspace())
    runner = web.AppRunner(
        app(fake.world, fake.limits, [fake.middleware]), access_log=None, shutdown_timeout=1
    )
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        fake.released.set()
        await runner.cleanup()


def _reset(request: web.Request) -> None:
    """An RST in place of an answer."""
    transport = request.transport
    assert transport is not None
    transport.abort()
