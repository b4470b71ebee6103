"""The decision on the exchange rate, case by case."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.rates.decide import Cause, Leap, Policy, Refusal, agree
from core.rates.model import Judged, Rate, Sample

NOW = 1_795_000_000_000
POLICY = Policy()
MINUTE = 60_000


def said(*prices: str, age_ms: int = 0) -> list[Sample]:
    return [
        Sample(source=f"s{n}", usd_per_btc=Decimal(price), at_ms=NOW - age_ms)
        for n, price in enumerate(prices)
    ]


def rate(price: str, age_ms: int = 0) -> Rate:
    return Rate(usd_per_btc=Decimal(price), source="before", at_ms=NOW - age_ms)


def refused(found: Rate | Refusal) -> Refusal:
    assert isinstance(found, Refusal)
    return found


def agreed(found: Rate | Refusal) -> Rate:
    assert isinstance(found, Rate)
    return found


def dropped(found: Rate | Refusal) -> dict[str, str]:
    return {one.source: one.dropped for one in found.samples if one.dropped}


def test_the_rate_is_the_median_and_keeps_its_samples() -> None:
    assert agree(said("64010", "64000", "64030"), NOW, POLICY) == Rate(
        usd_per_btc=Decimal(64010),
        source="median of s0, s1, s2",
        at_ms=NOW,
        samples=tuple(
            Judged(source=f"s{n}", usd_per_btc=Decimal(price), at_ms=NOW)
            for n, price in enumerate(["64010", "64000", "64030"])
        ),
    )


def test_of_two_it_is_the_exact_middle() -> None:
    found = agreed(agree(said("64000.123456789012345678", "64000.123456789012345679"), NOW, POLICY))
    assert found.usd_per_btc == Decimal("64000.1234567890123456785")


def test_its_time_is_that_of_the_newest_sample() -> None:
    old, new = (
        said("64000", age_ms=4 * MINUTE)[0],
        Sample(source="new", usd_per_btc=Decimal(64000), at_ms=NOW - 7),
    )
    assert agreed(agree([old, new], NOW, POLICY)).at_ms == NOW - 7
    ahead = Sample(source="ahead", usd_per_btc=Decimal(64000), at_ms=NOW + MINUTE)
    assert agreed(agree([old, ahead], NOW, POLICY)).at_ms == NOW


@pytest.mark.parametrize("prices", [[], ["64000"]])
def test_too_few_sources(prices: list[str]) -> None:
    found = refused(agree(said(*prices), NOW, POLICY))
    assert found.cause is Cause.FEW
    assert found.reason == f"{len(prices)} of at least 2 sources have a usable price"


@pytest.mark.parametrize(("age_ms", "why"), [(300_001, "300 s old"), (-60_001, "60 s in the future")])
def test_a_sample_out_of_time_does_not_count(age_ms: int, why: str) -> None:
    late = Sample(source="late", usd_per_btc=Decimal(1000), at_ms=NOW - age_ms)
    found = agree([late, *said("64000", "64010")], NOW, POLICY)
    assert agreed(found).usd_per_btc == Decimal(64005)
    assert dropped(found) == {"late": why}
    assert refused(agree([late, *said("64000")], NOW, POLICY)).reason.endswith(
        "a usable price, 1 more are out of time"
    )


@pytest.mark.parametrize("age_ms", [300_000, -60_000])
def test_a_sample_at_its_limit_counts(age_ms: int) -> None:
    assert agreed(agree(said("64000", "64000", age_ms=age_ms), NOW, POLICY)).usd_per_btc == Decimal(64000)


def test_when_most_sources_are_out_of_time_our_own_clock_is_suspect() -> None:
    dated = [Sample(source=name, usd_per_btc=Decimal(64000), at_ms=NOW - 3_600_000) for name in "abc"]
    found = refused(agree([*dated, *said("64000", "64000")], NOW, POLICY))
    assert (found.cause, found.reason) == (
        Cause.DISPUTE,
        "most sources are out of time: the hub's clock may be wrong",
    )


def test_an_outlier_is_dropped() -> None:
    found = agree(said("64000", "64010", "640000"), NOW, POLICY)
    assert agreed(found).usd_per_btc == Decimal(64010)
    assert agreed(found).source == "median of s0, s1"
    assert dropped(found) == {"s2": "899.84 % off the median"}


def test_one_per_cent_is_no_outlier_and_more_is_one() -> None:
    assert dropped(agree(said("100000", "100000", "101000"), NOW, POLICY)) == {}
    assert dropped(agree(said("100000", "100000", "101000.01"), NOW, POLICY)) == {
        "s2": "1.00 % off the median"
    }


@pytest.mark.parametrize(
    "prices", [["64000", "66000"], ["60000", "64000", "68000"], ["1000", "2000", "64000", "64000"]]
)
def test_without_a_majority_there_is_no_rate(prices: list[str]) -> None:
    found = refused(agree(said(*prices), NOW, POLICY))
    assert found.cause is Cause.DISPUTE
    assert found.reason.startswith("the sources disagree: ")


def test_those_that_agree_must_be_enough() -> None:
    found = refused(agree(said("64000", "64000", "90000"), NOW, Policy(min_sources=3)))
    assert (found.cause, found.reason) == (Cause.DISPUTE, "2 of at least 3 sources agree on 64000")


def test_what_stays_may_not_spread_too_far() -> None:
    wide = Policy(outlier_percent=Decimal(5))
    assert agreed(agree(said("99000", "100000", "101000"), NOW, wide)).usd_per_btc == Decimal(100000)
    found = refused(agree(said("99000", "100000", "101000.01"), NOW, wide))
    assert (found.cause, found.reason) == (
        Cause.DISPUTE,
        "the sources spread over 2000.01 dollars, more than 2 %",
    )


def test_of_two_samples_of_one_source_the_newer_counts() -> None:
    twice = [
        Sample(source="s0", usd_per_btc=Decimal(64000), at_ms=NOW),
        Sample(source="s0", usd_per_btc=Decimal(64002), at_ms=NOW - 1),
    ]
    assert refused(agree(twice, NOW, POLICY)).cause is Cause.FEW
    assert agreed(agree([*twice, *said("0", "64010")[1:]], NOW, POLICY)).usd_per_btc == Decimal(64005)


@pytest.mark.parametrize("price", ["80000.01", "119999.99", "80000", "120000"])
def test_a_fifth_up_or_down_is_no_leap(price: str) -> None:
    assert agreed(agree(said(price, price), NOW, POLICY, before=rate("100000"))).usd_per_btc == Decimal(price)


@pytest.mark.parametrize("price", ["79999.99", "120000.01"])
def test_a_leap_waits_to_be_said_for_a_minute(price: str) -> None:
    before = rate("100000", age_ms=30_000)
    first = refused(agree(said(price, price), NOW, POLICY, before=before))
    assert (first.cause, first.leap) == (Cause.LEAP, Leap(usd_per_btc=Decimal(price), since_ms=NOW))
    assert first.reason == f"{price} is more than 20 % from 100000; it has to be said for a minute"

    later = [
        Sample(source=one.source, usd_per_btc=one.usd_per_btc, at_ms=NOW + 59_999)
        for one in said(price, price)
    ]
    again = refused(agree(later, NOW + 59_999, POLICY, before=before, leap=first.leap))
    assert again.leap == first.leap
    assert agreed(agree(later, NOW + 60_000, POLICY, before=before, leap=first.leap)).usd_per_btc == Decimal(
        price
    )


def test_a_leap_to_somewhere_else_begins_anew() -> None:
    leap = Leap(usd_per_btc=Decimal(50000), since_ms=NOW - 120_000)
    near = refused(agree(said("52501", "52501"), NOW, POLICY, before=rate("100000"), leap=leap))
    assert near.leap == Leap(usd_per_btc=Decimal(52501), since_ms=NOW)
    assert agreed(agree(said("52500", "52500"), NOW, POLICY, before=rate("100000"), leap=leap))


def test_after_ten_minutes_without_agreement_no_price_is_a_leap() -> None:
    assert (
        refused(agree(said("50000", "50000"), NOW, POLICY, before=rate("100000", age_ms=600_000))).cause
        is Cause.LEAP
    )
    assert agreed(agree(said("50000", "50000"), NOW, POLICY, before=rate("100000", age_ms=600_001)))
