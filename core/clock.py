"""The only reader of time. Deadlines that several processes share are decided on the database's clock
(`core/db/engine.py:now_ms`); this one stamps rows and signatures. Everything is UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """The current moment, aware, UTC, cut to whole milliseconds (what the database keeps)."""
    return from_ms(now_ms())


def now_ms() -> int:
    """Milliseconds since 1970-01-01T00:00:00Z."""
    return time.time_ns() // 1_000_000


def unix() -> int:
    """Whole seconds since 1970-01-01T00:00:00Z, as signatures carry them."""
    return now_ms() // 1000


def monotonic() -> float:
    """Seconds that never jump; for measuring spans inside one process."""
    return time.monotonic()


def from_ms(ms: int) -> datetime:
    """Raises ValueError outside of the years 1 to 9999."""
    try:
        return _EPOCH + timedelta(0, ms // 1000, ms % 1000 * 1000)
    except OverflowError as error:
        raise ValueError(f"{ms} ms since 1970 is no moment of a calendar") from error


def to_ms(moment: datetime) -> int:
    """Exact milliseconds of an aware moment (no float on the way)."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def iso(moment: datetime) -> str:
    """`2026-11-23T21:30:00.123Z`: the form that the published API shows."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.isoformat('T', 'milliseconds')[:-6]}Z"
