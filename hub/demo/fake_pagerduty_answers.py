"""How the simulated PagerDuty reads and writes bodies: JSON wrapped in the name of its resource, rate-limit headers,
classic pagination."""

from __future__ import annotations

from typing import cast

import msgspec
from aiohttp import web

from hub.demo.fake_pagerduty_things import Refusal, Thing

MOST = 10_000  # offset + limit (PagerDuty/developer-docs docs/REST-API/06-Pagination.md)


def answer(body: object, status: int = 200) -> web.Response:
    limits = {"ratelimit-limit": "960", "ratelimit-remaining": "959", "ratelimit-reset": "60"}
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json", headers=limits
    )


async def body_of(request: web.Request) -> Thing:
    try:
        return msgspec.json.decode(await request.read(), type=Thing)
    except msgspec.DecodeError as error:
        raise Refusal(400, 2001, "Invalid Input Provided", "The body must be an object.") from error


async def wrapped(request: web.Request, name: str) -> Thing:
    found: object = (await body_of(request)).get(name)
    if not isinstance(found, dict):
        raise Refusal(400, 2001, "Invalid Input Provided", f"The body must hold `{name}`.")
    return cast("Thing", found)


def page(name: str, found: list[Thing], request: web.Request) -> web.Response:
    """limit (25, at most 100) and offset."""
    limit, offset = min(int(request.query.get("limit", "25")), 100), int(request.query.get("offset", "0"))
    if limit + offset > MOST:
        raise Refusal(400, 2001, "Invalid Input Provided", "Offset must be less than 10000.")
    shown = found[offset : offset + limit]
    return answer(
        {name: shown, "limit": limit, "offset": offset, "more": offset + limit < len(found), "total": None}
    )
