"""Reads the block `rates` of `hub.yaml`: which sources, by which rules, or the fixed test rate. Called by `hub/wiring.py`
before anything is opened; every mistake is a Misconfigured that names the key."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from connectors.rates import SOURCES
from connectors.rates.source import Source
from core.errors import Misconfigured
from core.rates.decide import Policy
from core.rates.model import FixedRate, fixed, for_rail
from hub import config_files
from hub.settings import Rates

REAL_MONEY_SOURCES = 3
_MOST_PERCENT = 50


class RateRules(msgspec.Struct, frozen=True, kw_only=True):
    """`fixed` is the test rate of a hub without `sources`, else None."""

    fixed: FixedRate | None
    sources: tuple[Source, ...]
    policy: Policy
    every_seconds: int
    spread_percent: Decimal


def read(settings: Rates, *, real_money: bool) -> RateRules:
    """Raises Misconfigured: for a source or option that is not known, for rules that nothing could meet, and for what
    is too weak for real money (the test rate, fewer than three sources, one that decides alone)."""
    for name in ("max_spread_percent", "outlier_percent", "spread_percent"):
        value: Decimal = getattr(settings, name)
        if not value.is_finite() or not 0 <= value <= _MOST_PERCENT:
            raise _wrong(name, f"{value} is not between 0 and {_MOST_PERCENT}")
    return RateRules(
        fixed=None if settings.sources else _test_rate(settings, real_money=real_money),
        sources=_sources(settings, real_money=real_money),
        policy=Policy(
            min_sources=settings.min_sources,
            max_age_ms=settings.max_age_seconds * 1000,
            max_spread_percent=settings.max_spread_percent,
            outlier_percent=settings.outlier_percent,
        ),
        every_seconds=settings.every_seconds,
        spread_percent=settings.spread_percent,
    )


def _test_rate(settings: Rates, *, real_money: bool) -> FixedRate:
    try:
        day = config_files.day(settings.set_on)
    except ValueError as error:
        raise Misconfigured("bad_rate", f"hub.yaml: rates.set_on: {error}; write 2026-11-23") from error
    rate = fixed(settings.usd_per_btc, day)
    for_rail(rate, real_money=real_money)
    return rate


def _sources(settings: Rates, *, real_money: bool) -> tuple[Source, ...]:
    for where, names in (("sources", settings.sources), ("options", settings.options)):
        unknown = [name for name in names if name not in SOURCES]
        if unknown:
            raise _wrong(where, f"no source {unknown[0]!r}; there are {', '.join(SOURCES)}")
    count = len(settings.sources)
    if len(set(settings.sources)) < count:
        raise _wrong("sources", "a source stands there twice")
    if count and settings.min_sources > count:
        raise _wrong("min_sources", f"{settings.min_sources} of {count} sources can never answer")
    if count and real_money and count < REAL_MONEY_SOURCES:
        raise _wrong("sources", f"real money needs at least {REAL_MONEY_SOURCES} sources, not {count}")
    if count and real_money and settings.min_sources < 2:
        raise _wrong("min_sources", "with real money no source decides alone; write 2 or more")
    return tuple(SOURCES[name](settings.options.get(name, {})) for name in settings.sources)


def _wrong(key: str, what: str) -> Misconfigured:
    return Misconfigured("bad_rates", f"hub.yaml: rates.{key}: {what}")
