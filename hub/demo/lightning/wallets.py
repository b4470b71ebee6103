"""Lightning addresses of the demo's workers, answered with bob's invoices (LUD-06, LUD-16): any name is his. Served by
`__main__.py`; the hub finds it by `rails.address_domains`."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator

import msgspec
from aiohttp import web

from hub.demo.lightning.electrum_node import ElectrumNode
from hub.demo.lightning.processes import NotReady

MIN_SENDABLE_MSAT = 1_000
MAX_SENDABLE_MSAT = 1_000_000_000  # a hundredth of a bitcoin; the channel holds fifteen of them
EXPIRY_SECONDS = 3_600
MSAT = 1_000

_NAME = re.compile(r"[a-z0-9._+-]{1,64}")
_AMOUNT = re.compile(r"[0-9]{1,12}")


class Wallets:
    def __init__(self, node: ElectrumNode, base_url: str):
        self._node = node
        self._base_url = base_url

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/lnurlp/{name}", self._pay_request)
        app.router.add_get("/.well-known/lnurlp/{name}/callback", self._callback)
        return app

    async def _pay_request(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if not _NAME.fullmatch(name):
            return _error("there is no such wallet")
        return _json(
            {
                "tag": "payRequest",
                "callback": f"{self._base_url}/.well-known/lnurlp/{name}/callback",
                "minSendable": MIN_SENDABLE_MSAT,
                "maxSendable": MAX_SENDABLE_MSAT,
                "metadata": msgspec.json.encode([["text/plain", f"to {name}"]]).decode(),
                "commentAllowed": 0,
            }
        )

    async def _callback(self, request: web.Request) -> web.Response:
        text = request.query.get("amount", "")
        sats, rest = divmod(int(text), MSAT) if _AMOUNT.fullmatch(text) else (0, 0)
        if rest or not MIN_SENDABLE_MSAT <= sats * MSAT <= MAX_SENDABLE_MSAT:
            return _error("amount must be whole satoshis within the limits, in millisatoshi")
        try:
            made = await self._node.invoice(sats, request.match_info["name"], EXPIRY_SECONDS)
        except NotReady as error:
            return _error(str(error))
        return _json({"pr": made, "routes": []})


@contextlib.asynccontextmanager
async def serving(node: ElectrumNode, port: int) -> AsyncGenerator[str]:
    """The base URL, while it is answered."""
    base_url = f"http://127.0.0.1:{port}"
    runner = web.AppRunner(Wallets(node, base_url).app())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield base_url
    finally:
        await runner.cleanup()


def _error(reason: str) -> web.Response:
    """LUD-01: an error is a 200 like any answer."""
    return _json({"status": "ERROR", "reason": reason})


def _json(content: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(content), content_type="application/json")
