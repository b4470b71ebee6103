"""`hub rates`: the test rate, and live sources from the fakes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from connectors.http import OutboundHttp
from connectors.target_guard import parse_allow
from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from hub import rate_rules
from hub.rate_feed import RateFeed
from hub.settings import Rates
from tests.fakes.rates import RateFakes, serve_rates
from tests.integration.cli.conftest import Hub

NAMES = ("kraken", "bitstamp", "mempool")


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[RateFakes]:
    """In a thread of their own, since a command has the loop of this one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    serving = serve_rates()
    fakes = asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result()
    monkeypatch.setenv("HUB__RATES__SOURCES", ",".join(NAMES))
    monkeypatch.setenv("HUB__TARGETS__ALLOW", "127.0.0.1")
    for name in NAMES:
        monkeypatch.setenv(f"HUB__RATES__OPTIONS__{name.upper()}__URL", f"{fakes.url}/{name}")
    yield fakes
    asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def tick(folder: Path, fakes: RateFakes) -> None:
    """What the money worker does every half minute."""

    async def act() -> None:
        database = Database(f"sqlite:///{folder / 'data' / 'hub.db'}")
        block = Rates(sources=list(NAMES), options=fakes.options(*NAMES))
        async with OutboundHttp(allow=parse_allow(["127.0.0.1"])) as outbound:
            feed = RateFeed(UnitOfWork(database), outbound.get, rate_rules.read(block, real_money=False))
            await feed.tick(keeper=True)
        await database.close()

    asyncio.run(act())


def test_the_test_rate_calls_itself_so(hub: Hub) -> None:
    answer = hub("rates")
    assert (answer.code, answer.out) == (0, "payouts in dollars use 100000 (test rate of 2026-11-23)\n")


def test_before_the_first_decision_payouts_wait(hub: Hub, fakes: RateFakes) -> None:
    answer = hub("rates")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "payouts in dollars wait: No exchange rate has been decided on yet\n"


def test_what_was_decided_last(hub: Hub, fakes: RateFakes, tmp_path: Path) -> None:
    fakes.prices["mempool"] = "60000"
    tick(tmp_path, fakes)
    answer = hub("rates")
    assert answer.code == 0
    assert [line.split() for line in answer.lines[:2]] == [
        ["source", "dollars", "age", "counts"],
        ["bitstamp", "64000.5", *answer.lines[1].split()[2:4], "yes"],
    ]
    assert answer.lines[3].split(maxsplit=4)[0:2] == ["mempool", "60000"]
    assert answer.lines[3].endswith("no: 6.25 % off the median")
    assert answer.lines[4].endswith("s ago: 64000.5 dollars, median of bitstamp, kraken")
    assert answer.lines[5] == "payouts in dollars use 64000.5 (median of bitstamp, kraken)"


def test_asked_now(hub: Hub, fakes: RateFakes) -> None:
    fakes.broken |= {
        name: web.Response(status=302, headers={"Location": "/"}) for name in ("kraken", "bitstamp")
    }
    answer = hub("rates", "--ask")
    assert answer.code == 1
    assert [" ".join(line.split()) for line in answer.lines[2:4]] == [
        "kraken no answer: refused: the server answered 302",
        "bitstamp no answer: refused: the server answered 302",
    ]
    assert answer.lines[4].endswith("s ago: none, 1 of at least 2 sources have a usable price")


def test_a_wrong_block_names_the_key(hub: Hub, fakes: RateFakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB__RATES__SOURCES", "kraken,coingecko")
    answer = hub("rates")
    assert answer.code == 2
    assert answer.err.startswith(
        "configuration: hub.yaml: rates.sources: no source 'coingecko'; there are kraken,"
    )
