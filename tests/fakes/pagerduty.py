"""The simulated PagerDuty of the demo with faults: one per coming request, in the order in which a test scripts them.
Served on a loopback port inside the test's own event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

from aiohttp import web
from aiohttp.typedefs import Handler

from hub.demo.fake_pagerduty import PagerDuty, app


class Fault(Enum):
    """What goes wrong with one request. "After" means that the account has taken it: the write is committed."""

    NONE = "none"
    SERVER_ERROR_BEFORE = "500 before"
    SERVER_ERROR_AFTER = "500 after"
    RESET_BEFORE = "reset before"
    RESET_AFTER = "reset after"
    TIMEOUT_AFTER = "time-out after"
    RATE_LIMITED = "429"
    RATE_LIMITED_BARE = "429 without headers"
    LAST_CALL = "the last call of this minute"
    OLD_DATE = "a clock of long ago"
    SLOW = "slow"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    NOT_JSON = "200 that is not JSON"


class FaultyPagerDuty:
    """`world` is the account, `url` where it is served, `script` the faults of the next requests."""

    def __init__(self, world: PagerDuty) -> None:
        self.world = world
        self.url = ""
        self.script: deque[Fault] = deque()
        self.released = asyncio.Event()

    def next(self, *faults: Fault) -> None:
        self.script.extend(faults)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        fault = self.script.popleft() if self.script else Fault.NONE
        before = self._before(request, fault)
        if before is not None:
            return before
        if fault is Fault.SLOW:
            await asyncio.sleep(0.1)
        response = await handler(request)
        return await self._after(request, fault, response)

    def _before(self, request: web.Request, fault: Fault) -> web.StreamResponse | None:
        match fault:
            case Fault.SERVER_ERROR_BEFORE:
                return _error(500, 2000, "An internal error has occurred. PagerDuty team has been notified.")
            case Fault.RATE_LIMITED:
                return _error(429, 2020, "Rate Limit Exceeded", {"ratelimit-reset": "17"})
            case Fault.RATE_LIMITED_BARE:
                return _error(429, 2020, "Rate Limit Exceeded")
            case Fault.UNAUTHORIZED:
                return _error(401, 2006, "Authentication failed")
            case Fault.FORBIDDEN:
                return _error(403, 2010, "Access Denied")
            case Fault.NOT_FOUND:
                return _error(404, 5001, "Incident Not Found")
            case Fault.RESET_BEFORE:
                _reset(request)
                return web.Response()
            case _:
                return None

    async def _after(
        self, request: web.Request, fault: Fault, response: web.StreamResponse
    ) -> web.StreamResponse:
        match fault:
            case Fault.SERVER_ERROR_AFTER:
                return _error(500, 2000, "An internal error has occurred. PagerDuty team has been notified.")
            case Fault.RESET_AFTER:
                _reset(request)
            case Fault.TIMEOUT_AFTER:
                await self.released.wait()
            case Fault.LAST_CALL:
                response.headers.update({"ratelimit-remaining": "0", "ratelimit-reset": "41"})
            case Fault.OLD_DATE:
                response.headers["Date"] = "Wed, 01 Apr 2020 02:08:04 GMT"
            case Fault.NOT_JSON:
                return web.Response(text="<html>upstream</html>", content_type="text/html")
            case _:
                pass
        return response


@asynccontextmanager
async def serve(world: PagerDuty | None = None) -> AsyncIterator[FaultyPagerDuty]:
    """Run the account on 127.0.0.1 and a free port; hanging answers are let go at the end."""
    fake = FaultyPagerDuty(world or PagerDuty())
    runner = web.AppRunner(app(fake.world, [fake.middleware]), access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    fake.url = f"http://127.0.0.1:{port}"
    try:
        yield fake
    finally:
        fake.released.set()
        await runner.cleanup()


def _error(status: int, code: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message, "code": code}}, status=status, headers=headers)


def _reset(request: web.Request) -> None:
    """An RST in place of an answer."""
    transport = request.transport
    assert transport is not None
    transport.abort()
