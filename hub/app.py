"""Puts the web application together from the services. Called by `hub serve` and by tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any, cast

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

from hub import api, pages, problems
from hub.api.health import SchemaCheck
from hub.api.waiting import TaskWatch
from hub.auth import KeyCache, person, visitor
from hub.demo import proxy
from hub.inbound_cold import Quarantine
from hub.middleware import complete_headers, log_context
from hub.ratelimit import RateLimit
from hub.services import Services

BODY_LIMIT = 1024 * 1024


def create_app(services: Services) -> Litestar:
    """The application of one process. It owns nothing of `services`; whoever built them closes them."""
    watch = TaskWatch(services.work)
    schema_check = SchemaCheck()

    @contextlib.asynccontextmanager
    async def long_polls(_: Litestar) -> AsyncGenerator[None]:
        yield
        await watch.close()

    @contextlib.asynccontextmanager
    async def connector_files(_: Litestar) -> AsyncGenerator[None]:
        if services.watch_connectors is None:
            yield
            return
        watching = asyncio.create_task(services.watch_connectors())
        yield
        watching.cancel()

    @contextlib.asynccontextmanager
    async def live_rates(_: Litestar) -> AsyncGenerator[None]:
        async with services.rates.running(keeper=False):
            yield

    return Litestar(
        route_handlers=[
            *api.routers(services.settings.public_url),
            *pages.ROUTERS,
            *([proxy.ROUTER] if proxy.enabled() else []),
        ],
        dependencies={
            "services": Provide(lambda: services, sync_to_thread=False),
            "person": Provide(person, sync_to_thread=False),
            "visitor": Provide(visitor, sync_to_thread=False),
            "schema_check": Provide(lambda: schema_check, sync_to_thread=False),
        },
        state=State(
            {
                "services": services,
                "keys": KeyCache(services.work),
                "rate_limit": RateLimit(services.settings.rate_limit_per_minute),
                "join_limit": RateLimit(services.settings.asks_per_minute),
                "watch": watch,
                "quarantine": Quarantine(services.work),
            }
        ),
        middleware=[log_context],
        before_send=[complete_headers],
        exception_handlers=cast("Any", problems.HANDLERS),
        lifespan=[long_polls, connector_files, live_rates, *([proxy.lifespan] if proxy.enabled() else [])],
        request_max_body_size=BODY_LIMIT,
        openapi_config=None,  # `/schema/openapi.json` is the published contract and our additions: hub/api/schema.py
        logging_config=None,
    )
