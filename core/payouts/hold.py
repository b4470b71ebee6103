"""How long a changed payout address waits before money goes there, so that its owner can see a change that was not
theirs. Pure; used where an address is set, resolved and shown."""

from __future__ import annotations

from datetime import datetime, timedelta


def usable_at(now: datetime, *, hold_hours: int, first: bool) -> datetime:
    """From when (UTC) a target that is set now is paid. The first one that a worker ever names does not wait: there is
    nobody yet whose money it could divert."""
    return now if first else now + timedelta(hours=hold_hours)


def until(moment: datetime) -> str:
    """As the pages write a moment: `24 Nov 2026, 14:05 UTC`."""
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"
