"""Rates: the age rule, and the fixed test rate that never meets real money."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from core.errors import Misconfigured, Retryable
from core.rates import model as rates

NOW = 1_795_000_000_000
LIVE = rates.Rate(usd_per_btc=Decimal("64000.5"), source="median of 3", at_ms=NOW)


@pytest.mark.parametrize("age_ms", [-60_000, 0, 300_000])
def test_a_rate_within_its_age_is_used(age_ms: int) -> None:
    assert rates.fresh(LIVE, NOW + age_ms, 300_000) is LIVE


@pytest.mark.parametrize("age_ms", [300_001, -60_001])
def test_an_old_rate_or_one_from_the_future_is_no_rate(age_ms: int) -> None:
    with pytest.raises(Retryable) as caught:
        rates.fresh(LIVE, NOW + age_ms, 300_000)
    assert caught.value.code == "stale_rate"
    assert caught.value.facts == {"age_ms": age_ms}


def test_a_fixed_rate_carries_its_day_and_never_goes_stale() -> None:
    rate = rates.fixed("64000", date(2026, 11, 23))
    assert rate == rates.FixedRate(
        usd_per_btc=Decimal(64000), source="test rate of 2026-11-23", at_ms=1_795_392_000_000
    )
    assert rates.fresh(rate, rate.at_ms + 10**12, 300_000) is rate


def test_a_fixed_rate_is_for_play_money_alone() -> None:
    rate = rates.fixed("64000", date(2026, 11, 23))
    assert rates.for_rail(rate, real_money=False) is rate
    assert rates.for_rail(LIVE, real_money=True) is LIVE
    with pytest.raises(Misconfigured, match="test rate of 2026-11-23 cannot price real money"):
        rates.for_rail(rate, real_money=True)


def test_what_a_payout_keeps_is_told_in_a_line() -> None:
    kept = [
        {"source": "kraken", "usd_per_btc": "64000.50", "at_ms": NOW, "dropped": ""},
        {"source": "mempool", "usd_per_btc": "9", "at_ms": NOW, "dropped": "99.99 % off the median"},
    ]
    assert rates.told(kept) == "kraken 64000.50; mempool 9 (99.99 % off the median)"
    assert rates.told(None) is None


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity", "a lot", ""])
def test_a_fixed_rate_that_makes_no_sense_is_the_operators_mistake(price: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        rates.fixed(price, date(2026, 11, 23))
    assert caught.value.code == "bad_rate"
