"""The ASGI application of `hub serve`: wires the hub when the server starts it, closes it when it stops.
granian imports this in each of its processes."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import Any

from hub.app import create_app
from hub.frozen import freeze
from hub.observe.logging import configure
from hub.settings_file import load_settings
from hub.wiring import wire

log = logging.getLogger(__name__)


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
            try:
                wiring = await stack.enter_async_context(wire(settings, directory))
                self._inner = create_app(wiring.services)
                freeze()
            except Exception as error:
                # granian takes an exception here for "no lifespan" and would answer 500 for ever
                log.exception("the hub cannot start")
                await receive()
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            await self._inner(scope, receive, send)


app = _Application()
