"""The block `rates` of hub.yaml: what is refused, and by which words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.errors import Misconfigured
from core.rates.decide import Policy
from hub.rate_rules import read
from hub.settings import Rates

KNOWN = "kraken, coinbase, coinbase_exchange, bitstamp, strike, mempool"
THREE = ["kraken", "bitstamp", "mempool"]


def test_without_sources_it_is_the_test_rate() -> None:
    rules = read(Rates(usd_per_btc="64000.5", set_on="2026-11-23"), real_money=False)
    assert rules.fixed is not None
    assert (rules.fixed.usd_per_btc, rules.fixed.source) == (Decimal("64000.5"), "test rate of 2026-11-23")
    assert rules.sources == ()


def test_with_sources_it_is_live() -> None:
    rules = read(Rates(sources=THREE, spread_percent=Decimal("0.5")), real_money=True)
    assert rules.fixed is None
    assert [source.name for source in rules.sources] == THREE
    assert rules.policy == Policy()
    assert (rules.every_seconds, rules.spread_percent) == (30, Decimal("0.5"))


def test_play_money_may_do_with_one_source() -> None:
    assert len(read(Rates(sources=["kraken"], min_sources=1), real_money=False).sources) == 1


@pytest.mark.parametrize(
    ("settings", "real_money", "message"),
    [
        (
            {},
            True,
            "the test rate of 2026-11-23 cannot price real money; name at least three live sources in rates.sources",
        ),
        ({"sources": THREE[:2]}, True, "hub.yaml: rates.sources: real money needs at least 3 sources, not 2"),
        (
            {"sources": THREE, "min_sources": 1},
            True,
            "hub.yaml: rates.min_sources: with real money no source decides alone; write 2 or more",
        ),
        (
            {"sources": THREE, "min_sources": 4},
            False,
            "hub.yaml: rates.min_sources: 4 of 3 sources can never answer",
        ),
        ({"sources": ["kraken", "kraken"]}, False, "hub.yaml: rates.sources: a source stands there twice"),
        (
            {"sources": ["coingecko"]},
            False,
            f"hub.yaml: rates.sources: no source 'coingecko'; there are {KNOWN}",
        ),
        (
            {"options": {"krakn": {}}},
            False,
            f"hub.yaml: rates.options: no source 'krakn'; there are {KNOWN}",
        ),
        (
            {"set_on": "yesterday"},
            False,
            "hub.yaml: rates.set_on: Invalid isoformat string: 'yesterday'; write 2026-11-23",
        ),
        (
            {"spread_percent": Decimal(51)},
            False,
            "hub.yaml: rates.spread_percent: 51 is not between 0 and 50",
        ),
        (
            {"spread_percent": Decimal("NaN")},
            False,
            "hub.yaml: rates.spread_percent: NaN is not between 0 and 50",
        ),
        (
            {"outlier_percent": Decimal(-1)},
            False,
            "hub.yaml: rates.outlier_percent: -1 is not between 0 and 50",
        ),
    ],
)
def test_what_cannot_be_is_named(settings: dict[str, Any], real_money: bool, message: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        read(Rates(**settings), real_money=real_money)
    assert caught.value.message == message
