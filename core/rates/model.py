"""What a bitcoin costs in dollars, and how old that may be. Read by whoever turns a price into millisatoshi; the live
sources are in `connectors/rates`. A payout never goes out on a guess: without a fresh rate it waits."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

from core.errors import Misconfigured, Retryable
from core.money import decimal_of

TEST_RATE = "test rate"
MAX_AHEAD_MS = 60_000  # a rate from further in the future than this comes from a broken clock


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What one source said: the price of a bitcoin in dollars at `at_ms` (UTC), which is the source's own time stamp
    if it has one, else the moment of our asking."""

    source: str
    usd_per_btc: Decimal
    at_ms: int


class Judged(Sample, frozen=True, kw_only=True):
    """A sample with what the decision made of it: `dropped` says why it did not count, empty when it did."""

    dropped: str = ""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """`usd_per_btc` as `source` gave it at `at_ms` (UTC milliseconds), from `samples`. Kept with every payout that
    used it."""

    usd_per_btc: Decimal
    source: str
    at_ms: int
    samples: tuple[Judged, ...] = ()


class FixedRate(Rate, frozen=True, kw_only=True):
    """The operator's number for play money, with the day it was written down. It never goes stale, and never meets
    real money."""


def fixed(usd_per_btc: str, set_on: date) -> FixedRate:
    """Raises Misconfigured for anything but a price above zero."""
    try:
        price = decimal_of(usd_per_btc)
    except ValueError as error:
        raise Misconfigured("bad_rate", f"the fixed rate: {error}") from error
    if price <= 0:
        raise Misconfigured("bad_rate", f"the fixed rate must be above zero, not {usd_per_btc}")
    return FixedRate(
        usd_per_btc=price, source=f"{TEST_RATE} of {set_on.isoformat()}", at_ms=_midnight_ms(set_on)
    )


def fresh(rate: Rate, now_ms: int, max_age_ms: int) -> Rate:
    """`rate` itself when it may be used now; raises Retryable when it is too old, or dated in the future."""
    if isinstance(rate, FixedRate):
        return rate
    age_ms = now_ms - rate.at_ms
    if age_ms > max_age_ms:
        raise Retryable("stale_rate", f"the rate of {rate.source} is {age_ms // 1000} s old", age_ms=age_ms)
    if age_ms < -MAX_AHEAD_MS:
        raise Retryable("stale_rate", f"the rate of {rate.source} is dated in the future", age_ms=age_ms)
    return rate


def for_rail(rate: Rate, *, real_money: bool) -> Rate:
    """`rate` itself; raises Misconfigured when a fixed test rate would price real money."""
    if isinstance(rate, FixedRate) and real_money:
        raise Misconfigured(
            "test_rate",
            f"the {rate.source} cannot price real money; name at least three live sources in rates.sources",
        )
    return rate


def told(kept: object) -> str | None:
    """The samples that a payout keeps, as one line: what each source said, and why one did not count."""
    samples = msgspec.convert(kept or [], list[Judged])
    said = [
        f"{one.source} {one.usd_per_btc:f}" + (f" ({one.dropped})" if one.dropped else "") for one in samples
    ]
    return "; ".join(said) or None


def _midnight_ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400_000
