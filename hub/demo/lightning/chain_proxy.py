"""Stands between ElectrumX and bcoin, which knows no fee estimates: answers those, hands everything else on. A program of
its own, started by `chain.py`:  chain_proxy.py BCOIN_URL PORT, with bcoin's API key in BCOIN_KEY."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from typing import Any, cast

import msgspec
from aiohttp import ClientSession, encode_basic_auth, web

FEE = 0.0001  # bitcoin per kilobyte; without an answer Electrum drops its server
ANSWERS = {"estimatefee": FEE, "estimatesmartfee": {"feerate": FEE, "blocks": 2}}
MAX_BODY = 1 << 28  # bytes; ElectrumX asks for hundreds of blocks at once
UPSTREAM = web.AppKey("upstream", ClientSession)


async def answer(request: web.Request) -> web.Response:
    asked = msgspec.json.decode(await request.read())
    session = request.app[UPSTREAM]
    if isinstance(asked, list):
        said: Any = [await one(session, call) for call in cast("list[dict[str, Any]]", asked)]
    else:
        said = await one(session, asked)
    # ElectrumX compares the content type as text: no charset.
    return web.Response(body=msgspec.json.encode(said), headers={"Content-Type": "application/json"})


async def one(session: ClientSession, call: dict[str, Any]) -> Any:
    if call.get("method") in ANSWERS:
        return {"result": ANSWERS[call["method"]], "error": None, "id": call.get("id")}
    async with session.post(sys.argv[1], data=msgspec.json.encode(call)) as response:
        return msgspec.json.decode(await response.read())


async def upstream(app: web.Application) -> AsyncGenerator[None]:
    auth = encode_basic_auth("x", os.environ["BCOIN_KEY"])
    async with ClientSession(headers={"Authorization": auth, "Content-Type": "application/json"}) as session:
        app[UPSTREAM] = session
        yield


if __name__ == "__main__":
    app = web.Application(client_max_size=MAX_BODY)
    app.cleanup_ctx.append(upstream)
    app.router.add_post("/", answer)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), print=None)
