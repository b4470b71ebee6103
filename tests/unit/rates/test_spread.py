"""Fee and spread of a task: what is reserved, and what of the spread is taken when the rate has moved."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.billing.plans import Plan, Quote, quote
from core.billing.spread import owed_msat
from core.money import Currency

PLAN = Plan(name="test", fee_percent=Decimal(20), fee_minimum_usd=Decimal("0.10"), free_tasks=0)
FREE = Plan(name="free", fee_percent=Decimal(0), fee_minimum_usd=Decimal(0), free_tasks=0)
SATS = st.integers(0, 10**12)


@pytest.mark.parametrize(
    ("amount", "currency", "rate", "percent", "wanted"),
    [
        ("0.50", Currency.USD, "100000", "0", Quote(payout_msat=500_000, fee_msat=100_000)),
        (
            "0.50",
            Currency.USD,
            "100000",
            "1",
            Quote(payout_msat=500_000, fee_msat=100_000, spread_msat=5_000),
        ),
        (
            "0.50",
            Currency.USD,
            "100000",
            "0.01",
            Quote(payout_msat=500_000, fee_msat=100_000, spread_msat=1_000),
        ),
        (
            "0.501",
            Currency.USD,
            "100000",
            "1",
            Quote(payout_msat=501_000, fee_msat=101_000, spread_msat=6_000),
        ),
        ("0.50", Currency.USD, "99999", "0", Quote(payout_msat=500_000, fee_msat=101_000)),  # the minimum, up
        ("500", Currency.SATS, "100000", "1", Quote(payout_msat=500_000, fee_msat=100_000)),
        ("0.000005", Currency.BTC, "100000", "1", Quote(payout_msat=500_000, fee_msat=100_000)),
    ],
)
def test_what_is_reserved(amount: str, currency: Currency, rate: str, percent: str, wanted: Quote) -> None:
    found = quote(Decimal(amount), currency, PLAN, Decimal(rate), Decimal(percent))
    assert found == wanted
    assert found.total_msat == wanted.payout_msat + wanted.fee_msat + wanted.spread_msat


def test_the_smallest_payout_carries_a_whole_satoshi() -> None:
    found = quote(Decimal("0.001"), Currency.USD, FREE, Decimal(100_000), Decimal("0.01"))
    assert found == Quote(payout_msat=1_000, fee_msat=0, spread_msat=1_000)


@pytest.mark.parametrize(
    ("promised", "estimate", "payout", "owed"),
    [
        (8_000, 500_000, 500_000, 8_000),
        (8_000, 500_000, 166_000, 3_000),
        (8_000, 500_000, 625_000, 8_000),
        (0, 0, 9, 0),
    ],
)
def test_what_is_taken(promised: int, estimate: int, payout: int, owed: int) -> None:
    assert owed_msat(promised, estimate, payout) == owed


@given(SATS, SATS, SATS)
def test_it_is_whole_satoshis_and_never_more_than_was_promised(
    promised: int, estimate: int, payout: int
) -> None:
    found = owed_msat(promised * 1000, estimate * 1000, payout * 1000)
    assert 0 <= found <= promised * 1000
    assert found % 1000 == 0
