"""The sources of the exchange rate, faked on one port: each answers as its published API does (fields as told in
`connectors/rates/*.py`), or misbehaves as a test wants. Written for this project, no vendor's bytes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable

import msgspec
from aiohttp import web

from core import clock

HTML = b"<!doctype html><title>Attention required</title><p>One more step"


def kraken(price: str, at_s: int) -> object:
    return {
        "error": [],
        "result": {
            "XXBTZUSD": {"a": [price, "1", "1.000"], "b": [price, "2", "2.000"], "c": [price, "0.01"]}
        },
    }


def coinbase(price: str, at_s: int) -> object:
    return {"data": {"currency": "BTC", "rates": {"EUR": "1", "USD": price}}}


def coinbase_exchange(price: str, at_s: int) -> object:
    time = clock.iso(clock.from_ms(at_s * 1000))
    return {
        "ask": price,
        "bid": price,
        "volume": "1.5",
        "trade_id": 7,
        "price": price,
        "size": "0.1",
        "time": time,
    }


def bitstamp(price: str, at_s: int) -> object:
    return {"timestamp": str(at_s), "last": price, "bid": price, "ask": price, "pair": "BTC/USD", "open": "1"}


def strike(price: str, at_s: int) -> object:
    return [
        {"amount": "0.9", "sourceCurrency": "USD", "targetCurrency": "EUR"},
        {"amount": price, "sourceCurrency": "BTC", "targetCurrency": "USD"},
    ]


def mempool(price: str, at_s: int) -> object:
    return {"time": at_s, "USD": msgspec.Raw(price.encode()), "EUR": 1}


ANSWERS: dict[str, Callable[[str, int], object]] = {
    "kraken": kraken,
    "coinbase": coinbase,
    "coinbase_exchange": coinbase_exchange,
    "bitstamp": bitstamp,
    "strike": strike,
    "mempool": mempool,
}


def answer(name: str, price: str, at_s: int) -> bytes:
    """The body in which that source says this price."""
    return msgspec.json.encode(ANSWERS[name](price, at_s))


class RateFakes:
    """`prices` by source, `late_s` how old each says its price is, `broken` what to answer in its place. `asked` counts
    the requests, `seen` keeps the Authorization of the last."""

    def __init__(self) -> None:
        self.url = ""
        self.prices = dict.fromkeys(ANSWERS, "64000.5")
        self.late_s: dict[str, int] = {}
        self.broken: dict[str, web.Response] = {}
        self.asked = dict.fromkeys(ANSWERS, 0)
        self.seen: dict[str, str] = {}

    def options(self, *names: str) -> dict[str, dict[str, str]]:
        """`rates.options` that lead here."""
        return {name: {"url": f"{self.url}/{name}"} for name in names}

    async def serve(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.asked[name] += 1
        self.seen[name] = request.headers.get("Authorization", "")
        if name in self.broken:
            wrong = self.broken[name]
            return web.Response(body=wrong.body, status=wrong.status, headers=wrong.headers)
        body = answer(name, self.prices[name], clock.unix() - self.late_s.get(name, 0))
        return web.Response(body=body, content_type="application/json")


@contextlib.asynccontextmanager
async def serve_rates() -> AsyncGenerator[RateFakes]:
    """All sources under `http://127.0.0.1:PORT/<name>`; mempool's under `<name>/api/v1/prices`."""
    fakes = RateFakes()
    app = web.Application()
    app.add_routes([web.get("/{name}", fakes.serve), web.get("/{name}/api/v1/prices", fakes.serve)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    fakes.url = f"http://{host}:{port}"
    try:
        yield fakes
    finally:
        await runner.cleanup()
