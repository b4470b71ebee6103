"""Money. Bitcoin is an integer of millisatoshi (msat) everywhere; fiat is a `Decimal` with a currency. No float.

Every rounding, in one place: a payout is rounded down to whole satoshis (in favour of the account that pays, as
TigerBeetle's currency-exchange recipe has it), our fee and the spread up to whole satoshis, dollars are shown down to the
hundredth of a cent, and a bank is paid whole cents rounded down, whose remainder stays in the worker's account."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, Decimal, InvalidOperation
from enum import StrEnum

MSAT_PER_SAT = 1_000
SAT_PER_BTC = 100_000_000
MSAT_PER_BTC = SAT_PER_BTC * MSAT_PER_SAT
SUPPLY_MSAT = 21_000_000 * MSAT_PER_BTC  # 2.1e18, below the 9.2e18 of a BIGINT


class Currency(StrEnum):
    USD = "USD"
    SATS = "SATS"
    BTC = "BTC"


def decimal_of(text: str) -> Decimal:
    """A finite Decimal from text. Raises ValueError for NaN, infinities and anything that is not a number."""
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is not a number") from error
    if not value.is_finite():
        raise ValueError(f"{text!r} is not a finite number")
    return value


def to_msat(amount: Decimal, currency: Currency, usd_per_btc: Decimal | None, *, up: bool = False) -> int:
    """`amount` of `currency` in msat of whole satoshis: a payout, rounded down; with `up` a fee, rounded up. Raises
    ValueError when USD comes without a rate."""
    match currency:
        case Currency.SATS:
            sats = amount
        case Currency.BTC:
            sats = amount * SAT_PER_BTC
        case Currency.USD:
            if usd_per_btc is None or usd_per_btc <= 0:
                raise ValueError("USD needs a rate above zero")
            sats = amount * SAT_PER_BTC / usd_per_btc
    return int(sats.to_integral_value(ROUND_CEILING if up else ROUND_DOWN)) * MSAT_PER_SAT


def to_cents(msat: int, usd_per_btc: Decimal) -> int:
    """The whole cents that a bank is paid for `msat`, rounded down."""
    return int((Decimal(msat) * usd_per_btc * 100 / MSAT_PER_BTC).to_integral_value(ROUND_DOWN))


def from_msat(msat: int, currency: Currency, usd_per_btc: Decimal | None) -> Decimal:
    """msat shown in `currency`: whole satoshis, BTC with eight places, or USD to the hundredth of a cent, rounded down."""
    sats = Decimal(msat) / MSAT_PER_SAT
    match currency:
        case Currency.SATS:
            return sats.to_integral_value(ROUND_DOWN) if msat % MSAT_PER_SAT == 0 else sats
        case Currency.BTC:
            return sats / SAT_PER_BTC
        case Currency.USD:
            if usd_per_btc is None or usd_per_btc <= 0:
                raise ValueError("USD needs a rate above zero")
            return (sats * usd_per_btc / SAT_PER_BTC).quantize(Decimal("0.0001"), ROUND_DOWN)


def ceil_sat(msat: int | Decimal) -> int:
    """The next whole satoshi at or above, still in msat. A part of an msat counts too."""
    return int((Decimal(msat) / MSAT_PER_SAT).to_integral_value(ROUND_CEILING)) * MSAT_PER_SAT
