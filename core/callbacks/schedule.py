"""When a webhook is tried again and what the receiver's status means. Pure; asked by the delivery job.
The schedule is that of Standard Webhooks 1.0.0: ten tries over 75 h 35 min."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum

# Seconds to wait before try 1, 2, … 10.
DELAYS = (0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
JITTER = 0.2  # ±20 %, so that endpoints that failed together do not come back together


class Verdict(StrEnum):
    DELIVERED = "delivered"  # 2xx
    RETRY = "retry"  # anything else, redirects included: they are never followed
    THROTTLE = "throttle"  # 429, 502, 504: try again, and spare this endpoint meanwhile
    DISABLE = "disable"  # 410: the receiver is gone for good; the endpoint is switched off


def judge(status: int) -> Verdict:
    """What a receiver's HTTP status means."""
    if 200 <= status < 300:
        return Verdict.DELIVERED
    if status == 410:
        return Verdict.DISABLE
    return Verdict.THROTTLE if status in (429, 502, 504) else Verdict.RETRY


def next_delay(attempts: int, retry_after: float | None, rng: Callable[[], float]) -> float | None:
    """Seconds until the next try after `attempts` tries (0 before the first), or None when they are used up.

    `rng` gives a number in [0, 1). The receiver's `retry_after` (seconds) replaces the jittered delay, clamped to
    [base, 2 × base]: it may slow its own deliveries, not stop or hurry them.
    """
    if attempts >= len(DELAYS):
        return None
    base = DELAYS[attempts]
    if retry_after is not None:
        return min(max(retry_after, base), 2 * base)
    return base * (1 - JITTER + 2 * JITTER * rng())


def retry_after_seconds(value: str | None, at_unix: int) -> float | None:
    """A Retry-After header (RFC 9110 §10.2.3: seconds, or an HTTP date) as seconds from `at_unix`; None when it is
    missing or neither."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:  # "-0000": UTC of unknown origin (RFC 5322 §3.3)
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp() - at_unix
    except (ValueError, OverflowError):
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
