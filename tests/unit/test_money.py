"""Money (`core/money.py`): exact conversions, which way each rounds, and what is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import (
    MSAT_PER_BTC,
    MSAT_PER_SAT,
    SAT_PER_BTC,
    SUPPLY_MSAT,
    Currency,
    ceil_sat,
    decimal_of,
    from_msat,
    to_cents,
    to_msat,
)

MSATS = st.integers(min_value=0, max_value=SUPPLY_MSAT)
RATES = st.decimals(min_value="0.01", max_value="100000000", places=2, allow_nan=False, allow_infinity=False)
DOLLARS = st.decimals(min_value=0, max_value="1000000", places=4, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("amount", "currency", "rate", "msat"),
    [
        ("1", Currency.SATS, None, 1_000),
        ("0", Currency.SATS, None, 0),
        ("1.999", Currency.SATS, None, 1_000),  # down to a whole satoshi
        ("1", Currency.BTC, None, 100_000_000_000),
        ("0.00000001", Currency.BTC, None, 1_000),
        ("0.000000019", Currency.BTC, None, 1_000),
        ("21000000", Currency.BTC, None, 2_100_000_000_000_000_000),
        ("0.50", Currency.USD, "100000", 500_000),
        ("0.10", Currency.USD, "100000", 100_000),
        ("0.001", Currency.USD, "100000", 1_000),
        ("0.0009", Currency.USD, "100000", 0),
        ("1", Currency.USD, "3", 33_333_333_000),  # 33,333,333.33… satoshis
        ("0.29", Currency.USD, "100000", 290_000),  # 0.29 as a float would give 289 satoshis
    ],
)
def test_an_amount_in_msat(amount: str, currency: Currency, rate: str | None, msat: int) -> None:
    assert to_msat(Decimal(amount), currency, Decimal(rate) if rate else None) == msat


@pytest.mark.parametrize(
    ("msat", "currency", "rate", "shown"),
    [
        (1_000, Currency.SATS, None, "1"),
        (1_500, Currency.SATS, None, "1.5"),
        (0, Currency.SATS, None, "0"),
        (1_000, Currency.BTC, None, "0.00000001"),
        (MSAT_PER_BTC, Currency.BTC, None, "1"),
        (500_000, Currency.USD, "100000", "0.5000"),
        (1_000, Currency.USD, "99999", "0.0009"),  # 0.00099999 dollars, rounded down
    ],
)
def test_msat_shown(msat: int, currency: Currency, rate: str | None, shown: str) -> None:
    assert from_msat(msat, currency, Decimal(rate) if rate else None) == Decimal(shown)


def test_whole_satoshis_are_shown_without_a_fraction() -> None:
    assert str(from_msat(123_000, Currency.SATS, None)) == "123"


def test_dollars_are_shown_to_the_hundredth_of_a_cent() -> None:
    assert str(from_msat(500_000, Currency.USD, Decimal(100_000))) == "0.5000"


@pytest.mark.parametrize("rate", [None, Decimal(0), Decimal(-1)])
def test_dollars_need_a_rate_above_zero(rate: Decimal | None) -> None:
    with pytest.raises(ValueError, match="rate above zero"):
        to_msat(Decimal(1), Currency.USD, rate)
    with pytest.raises(ValueError, match="rate above zero"):
        from_msat(1_000, Currency.USD, rate)


@pytest.mark.parametrize(
    ("amount", "rate", "down", "up"),
    [
        ("0.10", "100000", 100, 100),
        ("0.10", "99999", 100, 101),
        ("0.0001", "100000", 0, 1),
        ("0", "100000", 0, 0),
    ],
)
def test_a_payout_is_rounded_down_and_a_fee_up_to_whole_satoshis(
    amount: str, rate: str, down: int, up: int
) -> None:
    assert to_msat(Decimal(amount), Currency.USD, Decimal(rate)) == down * 1_000
    assert to_msat(Decimal(amount), Currency.USD, Decimal(rate), up=True) == up * 1_000


@pytest.mark.parametrize(
    ("msat", "rate", "cents"),
    [
        (500_000, "100000", 50),
        (499_999, "100000", 49),
        (9_999, "100000", 0),
        (10_000, "100000", 1),
        (0, "64000", 0),
    ],
)
def test_a_bank_is_paid_whole_cents_rounded_down(msat: int, rate: str, cents: int) -> None:
    assert to_cents(msat, Decimal(rate)) == cents


def test_a_part_of_an_msat_is_a_satoshi_of_a_fee() -> None:
    assert ceil_sat(Decimal("0.001")) == 1_000


@pytest.mark.parametrize(("msat", "up"), [(0, 0), (1, 1_000), (999, 1_000), (1_000, 1_000), (1_001, 2_000)])
def test_ceil_sat(msat: int, up: int) -> None:
    assert ceil_sat(msat) == up


@pytest.mark.parametrize("text", ["0", "1", "0.50", "-3", "1e3", "100000.00000001"])
def test_decimal_of_a_number(text: str) -> None:
    assert decimal_of(text) == Decimal(text)


@pytest.mark.parametrize("text", ["", " ", "NaN", "sNaN", "Infinity", "-inf", "1,5", "$1", "0x10", "one"])
def test_decimal_of_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        decimal_of(text)


def test_the_supply_fits_a_bigint() -> None:
    assert SUPPLY_MSAT == 21_000_000 * SAT_PER_BTC * MSAT_PER_SAT
    assert SUPPLY_MSAT < 2**63


@given(MSATS)
def test_satoshis_and_bitcoin_survive_the_round_trip(msat: int) -> None:
    whole = msat - msat % MSAT_PER_SAT
    for currency in (Currency.SATS, Currency.BTC):
        assert to_msat(from_msat(whole, currency, None), currency, None) == whole


@given(MSATS)
def test_rounding_up_costs_less_than_a_satoshi(msat: int) -> None:
    up = ceil_sat(msat)
    assert up % MSAT_PER_SAT == 0
    assert 0 <= up - msat < MSAT_PER_SAT


@given(DOLLARS, RATES)
def test_dollars_are_rounded_down_by_less_than_a_satoshi(amount: Decimal, rate: Decimal) -> None:
    msat = to_msat(amount, Currency.USD, rate)
    assert msat % MSAT_PER_SAT == 0
    sats = msat // MSAT_PER_SAT
    # sats <= amount * SAT_PER_BTC / rate < sats + 1, without a division
    assert sats * rate <= amount * SAT_PER_BTC < (sats + 1) * rate


@given(MSATS, RATES)
def test_what_is_shown_in_dollars_is_never_more_than_it_is(msat: int, rate: Decimal) -> None:
    shown = from_msat(msat, Currency.USD, rate)
    exact = Decimal(msat) * rate / MSAT_PER_BTC
    assert shown <= exact < shown + Decimal("0.0002")


@given(DOLLARS, DOLLARS, RATES)
def test_more_dollars_are_never_fewer_satoshis(one: Decimal, other: Decimal, rate: Decimal) -> None:
    low, high = sorted((one, other))
    assert to_msat(low, Currency.USD, rate) <= to_msat(high, Currency.USD, rate)
