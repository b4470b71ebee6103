"""Passes `/demo/…` on to the simulator's unix socket, so that the whole demo has one port. Mounted only when
`hub demo` says where that socket is."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
from litestar import HttpMethod, Litestar, Request, Response, Router, route
from litestar.datastructures import State
from litestar.params import FromPath

SOCKET_VARIABLE = "HUB_SIMULATOR_SOCKET"
_PASSED_ON = {"authorization", "accept", "content-type", "from", "user-agent"}
_METHODS = [HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.DELETE]


def enabled() -> bool:
    return bool(os.environ.get(SOCKET_VARIABLE))


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncGenerator[None]:
    connector = aiohttp.UnixConnector(os.environ[SOCKET_VARIABLE])
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        app.state.simulator = session
        yield


@route(
    "/{path:path}",
    http_method=_METHODS,
    opt={"public": "the demo's simulators check their own tokens"},
    include_in_schema=False,
)
async def pass_on(request: Request[None, None, State], path: FromPath[str]) -> Response[bytes]:
    session: aiohttp.ClientSession = request.app.state.simulator
    headers = {
        name: value
        for name, value in request.headers.items()
        if name.lower() in _PASSED_ON or name.lower().startswith("webhook-")
    }
    query = request.scope["query_string"].decode()
    url = f"http://simulator{path}{'?' + query if query else ''}"
    try:
        async with session.request(
            request.method, url, data=await request.body() or None, headers=headers, allow_redirects=False
        ) as answer:
            body = await answer.read()
            return Response(
                body, status_code=answer.status, media_type=answer.headers.get("content-type", "text/plain")
            )
    except (aiohttp.ClientError, OSError):
        return Response(b"the simulator is not up yet", status_code=503, media_type="text/plain")


ROUTER = Router("/demo", route_handlers=[pass_on])
