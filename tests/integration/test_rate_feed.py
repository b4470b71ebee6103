"""The live exchange rate against faked sources on both databases: who lies, sleeps, redirects or is away, and what a
payout and a new task may still use."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import func, select, update

from connectors.http import OutboundHttp
from connectors.target_guard import NOTHING, parse_allow
from core import clock
from core.db.unit_of_work import UnitOfWork, refuse_open_transaction
from core.errors import Retryable
from core.rates import records
from core.rates.decide import Cause, Refusal
from core.rates.model import Rate
from core.rates.tables import RateRow
from hub import rate_rules
from hub.rate_feed import RateFeed
from hub.settings import Rates
from tests.fakes.rates import HTML, RateFakes, serve_rates
from tests.wait import wait_until

NAMES = ("kraken", "coinbase_exchange", "bitstamp", "mempool")
LOOPBACK = parse_allow(["127.0.0.1"])


@pytest.fixture
async def fakes() -> AsyncGenerator[RateFakes]:
    async with serve_rates() as fakes:
        yield fakes


@pytest.fixture
async def outbound() -> AsyncGenerator[OutboundHttp]:
    async with OutboundHttp(allow=LOOPBACK, before_call=refuse_open_transaction) as outbound:
        yield outbound


Make = Callable[..., RateFeed]


@pytest.fixture
def make(work: UnitOfWork, fakes: RateFakes, outbound: OutboundHttp) -> Make:
    """A feed of one process; `ahead_ms` is how wrong its clock is, `settings` are of `rates`."""

    def made(*names: str, ahead_ms: int = 0, http: OutboundHttp = outbound, **settings: Any) -> RateFeed:
        chosen = names or NAMES
        block = Rates(sources=list(chosen), options=fakes.options(*chosen), **settings)
        rules = rate_rules.read(block, real_money=False)
        return RateFeed(work, http.get, rules, now_ms=lambda: clock.now_ms() + ahead_ms)

    return made


def refusal(feed: RateFeed) -> Refusal:
    assert feed.decision is not None
    assert isinstance(feed.decision.found, Refusal)
    return feed.decision.found


def dropped(feed: RateFeed) -> dict[str, str]:
    assert feed.decision is not None
    return {one.source: one.dropped for one in feed.decision.found.samples if one.dropped}


def no_rate(feed: RateFeed) -> str:
    with pytest.raises(Retryable) as caught:
        feed.current()
    assert (caught.value.code, caught.value.after) == ("no_rate", 30)
    return caught.value.message


async def age(work: UnitOfWork, by: timedelta) -> None:
    """All decisions, and their samples, become older."""
    async with work.begin("test.age") as tx:
        for row in await tx.session.scalars(select(RateRow)):
            samples = [
                one | {"at_ms": one["at_ms"] - by // timedelta(milliseconds=1)}
                for one in row.samples["samples"]
            ]
            await tx.session.execute(
                update(RateRow)
                .where(RateRow.id == row.id)
                .values(decided_at=row.decided_at - by, samples=row.samples | {"samples": samples})
            )


async def test_all_processes_agree_on_what_one_of_them_decided(make: Make, fakes: RateFakes) -> None:
    fakes.prices |= {
        "kraken": "64000",
        "coinbase_exchange": "64010.5",
        "bitstamp": "64020",
        "mempool": "64100",
    }
    keeper, reader = make(), make()
    assert no_rate(keeper) == "No exchange rate has been decided on yet"
    await keeper.tick(keeper=True)
    found = keeper.current()
    assert found.usd_per_btc == Decimal("64015.25")
    assert found.source == "median of bitstamp, coinbase_exchange, kraken, mempool"
    await reader.tick(keeper=False)
    assert reader.current() == found
    assert reader.to_reserve() == found
    assert fakes.asked | dict.fromkeys(NAMES, 1) == fakes.asked  # once each


async def test_a_lying_source_is_dropped(make: Make, fakes: RateFakes) -> None:
    fakes.prices["bitstamp"] = "640.005"
    feed = make()
    await feed.tick(keeper=True)
    assert feed.current().usd_per_btc == Decimal("64000.5")
    assert dropped(feed) == {"bitstamp": "99.00 % off the median"}


async def test_when_half_of_them_lie_there_is_no_rate(make: Make, fakes: RateFakes) -> None:
    fakes.prices |= {"bitstamp": "640", "mempool": "640"}
    feed = make()
    await feed.tick(keeper=True)
    assert refusal(feed).cause is Cause.DISPUTE
    assert no_rate(feed).startswith(
        "There is no exchange rate: the sources disagree: 4 of 4 are off the median"
    )


async def test_a_stale_source_is_dropped(make: Make, fakes: RateFakes) -> None:
    fakes.late_s["mempool"] = 3600
    feed = make()
    await feed.tick(keeper=True)
    assert feed.current().usd_per_btc == Decimal("64000.5")
    assert list(dropped(feed)) == ["mempool"]
    assert dropped(feed)["mempool"] in ("3600 s old", "3601 s old")


@pytest.mark.parametrize(
    ("answer", "silent"),
    [
        (web.Response(body=HTML, content_type="text/html"), "not_json: the answer is not JSON"),
        (
            web.Response(status=302, headers={"Location": "http://169.254.169.254/latest"}),
            "refused: the server answered 302",
        ),
        (web.Response(status=500), "unreachable: the server answered 500"),
        (web.Response(body=b""), "empty: the answer is empty"),
        (web.Response(body=b"9" * 65_537), "refused: the answer is larger than 65536 bytes"),
    ],
)
async def test_a_source_that_gives_no_price_is_named(
    make: Make, fakes: RateFakes, answer: web.Response, silent: str
) -> None:
    fakes.broken["kraken"] = answer
    feed = make()
    await feed.tick(keeper=True)
    assert feed.current().usd_per_btc == Decimal("64000.5")
    assert feed.decision is not None
    assert feed.decision.silent == {"kraken": silent}


async def test_a_private_address_is_refused(make: Make, fakes: RateFakes) -> None:
    async with OutboundHttp(allow=NOTHING) as guarded:
        feed = make(http=guarded)
        await feed.tick(keeper=True)
    assert feed.decision is not None
    assert set(feed.decision.silent) == set(NAMES)
    assert all(why.startswith("refused: ") for why in feed.decision.silent.values())
    assert sum(fakes.asked.values()) == 0


async def test_the_key_of_strike_is_sent_and_printed_nowhere(
    make: Make, fakes: RateFakes, monkeypatch: pytest.MonkeyPatch, work: UnitOfWork, outbound: OutboundHttp
) -> None:
    monkeypatch.setenv("STRIKE_KEY", "for-tests-only")
    options: dict[str, dict[str, Any]] = dict(fakes.options("kraken", "strike"))
    options["strike"]["api_key"] = "env:STRIKE_KEY"
    rules = rate_rules.read(Rates(sources=["kraken", "strike"], options=options), real_money=False)
    feed = RateFeed(work, outbound.get, rules)
    await feed.tick(keeper=True)
    assert feed.current().source == "median of kraken, strike"
    assert fakes.seen == {"kraken": "", "strike": "Bearer for-tests-only"}
    assert "for-tests-only" not in repr(rules)


@pytest.mark.parametrize("ahead_ms", [3_600_000, -3_600_000])
async def test_a_clock_that_is_an_hour_off_gives_no_rate(make: Make, ahead_ms: int) -> None:
    feed = make(ahead_ms=ahead_ms)
    await feed.tick(keeper=True)
    assert no_rate(feed) == (
        "There is no exchange rate: 1 of at least 2 sources have a usable price, 3 more are out of time"
    )


async def test_when_all_are_down_the_last_rate_counts_while_it_is_fresh(
    make: Make, fakes: RateFakes, work: UnitOfWork
) -> None:
    first = make()
    await first.tick(keeper=True)
    fakes.broken |= {name: web.Response(status=503) for name in NAMES}
    feed = make()
    await feed.tick(keeper=True)
    assert refusal(feed).cause is Cause.FEW
    assert feed.current() == first.current()
    await age(work, timedelta(minutes=6))
    await feed.look()
    assert no_rate(feed).startswith("There is no exchange rate: the rate of median of ")
    assert feed.to_reserve().usd_per_btc == Decimal("64000.5")  # a reservation is no payment
    await age(work, timedelta(hours=24))
    await feed.look()
    with pytest.raises(Retryable) as caught:
        feed.to_reserve()
    assert (caught.value.code, caught.value.after) == ("no_rate", 30)


async def test_a_dispute_ends_the_last_rate_at_once(make: Make, fakes: RateFakes) -> None:
    await make().tick(keeper=True)
    fakes.prices |= {"bitstamp": "60000", "mempool": "60000"}
    feed = make()
    await feed.tick(keeper=True)
    assert no_rate(feed).startswith("There is no exchange rate: the sources disagree")
    assert feed.to_reserve().usd_per_btc == Decimal("64000.5")


async def test_a_leap_has_to_be_said_for_a_minute_by_whichever_process(
    make: Make, fakes: RateFakes, work: UnitOfWork
) -> None:
    await make().tick(keeper=True)
    fakes.prices |= dict.fromkeys(NAMES, "32000")
    feed = make()
    await feed.tick(keeper=True)
    assert refusal(feed).cause is Cause.LEAP
    assert no_rate(feed) == (
        "There is no exchange rate: 32000 is more than 20 % from 64000.5; it has to be said for a minute"
    )
    later = make(ahead_ms=61_000)  # its clock, not that of the sources, whose samples are a minute old then
    await later.tick(keeper=True)
    assert later.current().usd_per_btc == Decimal(32000)


async def test_who_is_not_the_keeper_asks_when_the_keeper_is_silent(
    make: Make, fakes: RateFakes, work: UnitOfWork
) -> None:
    await make().tick(keeper=True)
    fakes.prices |= dict.fromkeys(NAMES, "65000")
    reader = make()
    await reader.tick(keeper=False)
    assert reader.current().usd_per_btc == Decimal("64000.5")
    await age(work, timedelta(seconds=61))
    await reader.tick(keeper=False)
    assert reader.current().usd_per_btc == Decimal(65000)


async def test_a_source_that_fails_is_left_alone_for_a_while(make: Make, fakes: RateFakes) -> None:
    fakes.broken["kraken"] = web.Response(status=503)
    feed = make()
    await feed.tick(keeper=True)
    await feed.tick(keeper=True)
    assert (fakes.asked["kraken"], fakes.asked["bitstamp"]) == (1, 1)  # neither the 5 s nor the 30 s are over


async def test_while_it_runs_there_is_a_rate(make: Make, fakes: RateFakes, work: UnitOfWork) -> None:
    feed, reader = make(), make()
    async with feed.running(keeper=True):
        await wait_until(lambda: feed.decision is not None)
    async with reader.running(keeper=False):
        assert reader.current() == feed.current()
    async with work.read() as session:
        assert await session.scalar(select(func.count()).select_from(RateRow)) == 1


async def test_asking_by_hand_writes_nothing(make: Make, work: UnitOfWork) -> None:
    decision = await make().ask_now()
    assert isinstance(decision.found, Rate)
    async with work.read() as session:
        assert await records.latest(session) == (None, None)


async def test_a_decision_is_read_as_it_was_written(make: Make, fakes: RateFakes, work: UnitOfWork) -> None:
    fakes.prices["bitstamp"] = "1000"
    fakes.broken["kraken"] = web.Response(status=503)
    feed = make()
    await feed.tick(keeper=True)
    async with work.read() as session:
        assert await records.latest(session) == (feed.decision, feed.current())
        row = (await session.scalars(select(RateRow))).one()
    assert (row.usd_per_btc, row.refusal) == (Decimal("64000.5"), None)
    fakes.prices["mempool"] = "1000"
    other = make()
    await other.tick(keeper=True)
    async with work.read() as session:
        assert await records.latest(session) == (other.decision, feed.current())


async def test_old_decisions_are_forgotten(make: Make, work: UnitOfWork) -> None:
    await make().tick(keeper=True)
    await age(work, timedelta(days=2, seconds=1))
    await make().tick(keeper=True)
    async with work.begin("test.upkeep") as tx:
        await records.forget_old(tx)
    async with work.read() as session:
        assert await session.scalar(select(func.count()).select_from(RateRow)) == 1
