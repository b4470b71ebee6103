"""Lightning addresses of the workers of `crash_cells.py`, answered with invoices of bob's (LUD-06, LUD-16): made before
they are asked for, since bob may stand still by then."""

from __future__ import annotations

import contextlib
from collections import defaultdict, deque
from collections.abc import AsyncGenerator
from itertools import count

import msgspec
from aiohttp import web

from core import clock
from tests.fakes.payee import Payee
from tests.lightning.electrum_lab import ElectrumLab, invoice_of

AMOUNT_MSAT = 500_000  # what a task of `tests/factories.py` pays
MADE_BEFORE = 3  # a worker that dies with an invoice in hand asks for another
HOUR_S = 3_600


class BobWallets:
    """`given`: the payment hashes of all invoices that a wallet gave out, by its name. `last_end_ms` (UTC): when the last
    short one ends."""

    def __init__(self, lab: ElectrumLab):
        self.url = ""
        self.given: dict[str, list[str]] = defaultdict(list)
        self.last_end_ms = 0
        self._lab = lab
        self._made: dict[str, deque[str]] = {}
        self._numbers = count(1)

    async def open(self, no_route: bool, first_seconds: int) -> str:
        """A new wallet's name. Its first invoice ends after `first_seconds` (0: as any), and may be one of a node that has
        no channel."""
        name = f"worker{next(self._numbers)}"
        made = [await self._lab.bob.invoice(AMOUNT_MSAT // 1000, name, HOUR_S) for _ in range(MADE_BEFORE)]
        if no_route:
            made.insert(0, Payee().invoice(AMOUNT_MSAT, made_at_s=clock.unix() - HOUR_S + first_seconds))
        elif first_seconds:
            made.insert(0, await self._lab.bob.invoice(AMOUNT_MSAT // 1000, name, first_seconds))
            self.last_end_ms = invoice_of(made[0]).expires_at_ms
        self._made[name] = deque(made)
        return name

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncGenerator[BobWallets]:
        app = web.Application()
        app.router.add_get("/.well-known/lnurlp/{name}", self._pay_request)
        app.router.add_get("/.well-known/lnurlp/{name}/callback", self._callback)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        try:
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

    async def _pay_request(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return web.json_response(
            {
                "tag": "payRequest",
                "callback": f"{self.url}/.well-known/lnurlp/{name}/callback",
                "minSendable": 1_000,
                "maxSendable": 10**9,
                "metadata": msgspec.json.encode([["text/plain", f"to {name}"]]).decode(),
            }
        )

    async def _callback(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        assert request.query["amount"] == str(AMOUNT_MSAT)
        made = self._made[name]
        if not made:  # more than any life needs; bob answers when he is awake
            made.append(await self._lab.bob.invoice(AMOUNT_MSAT // 1000, name, HOUR_S))
        text = made.popleft()
        self.given[name].append(invoice_of(text).payment_hash)
        return web.json_response({"pr": text, "routes": []})
