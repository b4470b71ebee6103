"""The ASGI application of `hub serve`: wires the hub when the server starts it, closes it when it stops.
granian imports this in each of its processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any

from hub.app import create_app
from hub.observe.logging import configure
from hub.wiring import load_settings, wire


class _Application:
    """Litestar needs its services at construction, and they need a running loop: so it is built at lifespan start."""

    def __init__(self) -> None:
        self._inner: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self._inner(scope, receive, send)

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        settings, directory = load_settings()
        configure("INFO", os.environ.get("HUB_LOG", settings.log))
        async with contextlib.AsyncExitStack() as stack:
            wiring = await stack.enter_async_context(wire(settings, directory))
            self._inner = create_app(wiring.services)
            await self._inner(scope, receive, send)
            await asyncio.sleep(0)  # let a last nudge leave before the queue closes


app = _Application()
