"""From what several sources say to one rate, or to the reason why there is none. Pure; `hub/rate_feed.py` calls it with
every look at the sources.

The rate is the median of all usable samples. Outliers are dropped from the judgement, not from the median: with fewer
than half liars the median of all lies within the range of the honest, the median of the rest need not (two liars just
inside the limit would outvote one honest source after two others were dropped)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from statistics import median

import msgspec

from core.rates.model import MAX_AHEAD_MS, Judged, Rate, Sample

# A price that leaps must be said again a minute later; after ten minutes without an agreement it is no leap any more.
LEAP_PERCENT = Decimal(20)
LEAP_WINDOW_MS = 600_000
CONFIRMED_AFTER_MS = 60_000
SAME_LEAP_PERCENT = Decimal(5)  # the second word may differ from the first by as much


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """`min_sources`: usable samples without which nothing is decided. A sample is usable for `max_age_ms`. One that is
    further from the median than `outlier_percent` is dropped; what stays may spread over `max_spread_percent`."""

    min_sources: int = 2
    max_age_ms: int = 300_000
    max_spread_percent: Decimal = Decimal(2)
    outlier_percent: Decimal = Decimal(1)


class Cause(StrEnum):
    FEW = "few"  # too few sources answer: the last agreement counts for as long as it is fresh
    DISPUTE = "dispute"  # they contradict each other, or our clock: nothing counts
    LEAP = "leap"  # they agree on a price too far from the last one: it has to be said again


class Leap(msgspec.Struct, frozen=True, kw_only=True):
    """A price that was first said at `since_ms` and waits to be said again."""

    usd_per_btc: Decimal
    since_ms: int


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """There is no rate, for this `reason` (words for an operator). `leap` with the cause LEAP."""

    cause: Cause
    reason: str
    samples: tuple[Judged, ...] = ()
    leap: Leap | None = None


def agree(
    samples: Iterable[Sample],
    now_ms: int,
    policy: Policy,
    *,
    before: Rate | None = None,
    leap: Leap | None = None,
) -> Rate | Refusal:
    """Decide on one sample of each source (of two of the same, the newer). `before` is the last rate agreed on, `leap`
    that of the last refusal. The order of `samples` does not matter."""
    judged = [_timely(one, now_ms, policy) for one in _one_each(samples)]
    usable = [one for one in judged if not one.dropped]
    if len(usable) < policy.min_sources:
        wrong = f", {len(judged) - len(usable)} more are out of time" if len(judged) > len(usable) else ""
        reason = f"{len(usable)} of at least {policy.min_sources} sources have a usable price{wrong}"
        return Refusal(cause=Cause.FEW, reason=reason, samples=tuple(judged))
    if 2 * len(usable) < len(judged):
        reason = "most sources are out of time: the hub's clock may be wrong"
        return Refusal(cause=Cause.DISPUTE, reason=reason, samples=tuple(judged))
    middle = median(one.usd_per_btc for one in usable)
    judged = [one if one.dropped else _near(one, middle, policy) for one in judged]
    kept = [one for one in judged if not one.dropped]
    if 2 * len(kept) <= len(usable):
        reason = (
            f"the sources disagree: {len(usable) - len(kept)} of {len(usable)} are off the median {middle:f}"
        )
        return Refusal(cause=Cause.DISPUTE, reason=reason, samples=tuple(judged))
    if len(kept) < policy.min_sources:
        reason = f"{len(kept)} of at least {policy.min_sources} sources agree on {middle:f}"
        return Refusal(cause=Cause.DISPUTE, reason=reason, samples=tuple(judged))
    spread = max(one.usd_per_btc for one in kept) - min(one.usd_per_btc for one in kept)
    if spread * 100 > middle * policy.max_spread_percent:
        reason = f"the sources spread over {spread:f} dollars, more than {policy.max_spread_percent} %"
        return Refusal(cause=Cause.DISPUTE, reason=reason, samples=tuple(judged))
    waiting = _leap(middle, now_ms, before, leap)
    if waiting is not None and before is not None:
        reason = f"{middle:f} is more than {LEAP_PERCENT} % from {before.usd_per_btc:f}; it has to be said for a minute"
        return Refusal(cause=Cause.LEAP, reason=reason, samples=tuple(judged), leap=waiting)
    return agreed(middle, judged, now_ms)


def agreed(usd_per_btc: Decimal, samples: Iterable[Judged], decided_ms: int) -> Rate:
    """The rate that was decided on at `decided_ms`; it is as old as the newest sample that counts."""
    judged = tuple(samples)
    kept = [one for one in judged if not one.dropped]
    return Rate(
        usd_per_btc=usd_per_btc,
        source=f"median of {', '.join(one.source for one in kept)}",
        at_ms=min(decided_ms, max(one.at_ms for one in kept)),
        samples=judged,
    )


def _one_each(samples: Iterable[Sample]) -> list[Sample]:
    newest: dict[str, Sample] = {}
    for one in sorted(samples, key=lambda one: (one.at_ms, one.usd_per_btc)):
        newest[one.source] = one
    return [newest[name] for name in sorted(newest)]


def _timely(one: Sample, now_ms: int, policy: Policy) -> Judged:
    age_ms, why = now_ms - one.at_ms, ""
    if age_ms > policy.max_age_ms:
        why = f"{age_ms // 1000} s old"
    elif age_ms < -MAX_AHEAD_MS:
        why = f"{-age_ms // 1000} s in the future"
    return Judged(source=one.source, usd_per_btc=one.usd_per_btc, at_ms=one.at_ms, dropped=why)


def _near(one: Judged, middle: Decimal, policy: Policy) -> Judged:
    off = abs(one.usd_per_btc - middle) * 100
    if off <= middle * policy.outlier_percent:
        return one
    return msgspec.structs.replace(one, dropped=f"{off / middle:.2f} % off the median")


def _leap(price: Decimal, now_ms: int, before: Rate | None, leap: Leap | None) -> Leap | None:
    """The leap that has to be said again; None for a price that is no leap, or was said long enough."""
    if before is None or now_ms - before.at_ms > LEAP_WINDOW_MS:
        return None
    if abs(price - before.usd_per_btc) * 100 <= before.usd_per_btc * LEAP_PERCENT:
        return None
    said = leap is not None and abs(price - leap.usd_per_btc) * 100 <= leap.usd_per_btc * SAME_LEAP_PERCENT
    if leap is None or not said:
        return Leap(usd_per_btc=price, since_ms=now_ms)
    return None if now_ms - leap.since_ms >= CONFIRMED_AFTER_MS else leap
