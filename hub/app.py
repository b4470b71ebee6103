"""Puts the web application together from the services. Called by `hub serve` and by tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
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
    app = routes(services.settings.public_url)
    furnish(app, services)
    return app


def furnish(app: Litestar, services: Services) -> None:
    """Has `app`, which serves nobody now, answer from these services, and remember nothing of those before."""
    app.state.clear()
    app.state.update(
        {
            "services": services,
            "keys": KeyCache(services.work),
            "rate_limit": RateLimit(services.settings.rate_limit_per_minute),
            "join_limit": RateLimit(services.settings.asks_per_minute),
            "watch": TaskWatch(services.work),
            "quarantine": Quarantine(services.work),
            "schema_check": SchemaCheck(),
        }
    )


def routes(public_url: str) -> Litestar:
    """Every route, not yet furnished. To read the signatures of two hundred handlers takes longer than most tests run,
    which is why they use one of these for many hubs, one after the other."""
    return Litestar(
        route_handlers=[
            *api.routers(public_url),
            *pages.ROUTERS,
            *([proxy.ROUTER] if proxy.enabled() else []),
        ],
        dependencies={
            "services": Provide(_of_state("services"), sync_to_thread=False),
            "person": Provide(person, sync_to_thread=False),
            "visitor": Provide(visitor, sync_to_thread=False),
            "schema_check": Provide(_of_state("schema_check"), sync_to_thread=False),
        },
        middleware=[log_context],
        before_send=[complete_headers],
        exception_handlers=cast("Any", problems.HANDLERS),
        lifespan=[_long_polls, _connector_files, _live_rates, *([proxy.lifespan] if proxy.enabled() else [])],
        request_max_body_size=BODY_LIMIT,
        openapi_config=None,  # `/schema/openapi.json` is the published contract and our additions: hub/api/schema.py
        logging_config=None,
    )


def _of_state(name: str) -> Callable[[State], Any]:
    def read(state: State) -> Any:
        return state[name]

    return read


@contextlib.asynccontextmanager
async def _long_polls(app: Litestar) -> AsyncGenerator[None]:
    yield
    await cast("TaskWatch", app.state["watch"]).close()


@contextlib.asynccontextmanager
async def _connector_files(app: Litestar) -> AsyncGenerator[None]:
    services = cast("Services", app.state["services"])
    if services.watch_connectors is None:
        yield
        return
    watching = asyncio.create_task(services.watch_connectors())
    yield
    watching.cancel()


@contextlib.asynccontextmanager
async def _live_rates(app: Litestar) -> AsyncGenerator[None]:
    async with cast("Services", app.state["services"]).rates.running(keeper=False):
        yield
