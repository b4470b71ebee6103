"""Identifiers. Tasks carry a UUID version 7 (RFC 9562 §5.7) as the published API says; everything else a short
prefix and the same sortable number, so that a log line tells what it names."""

from __future__ import annotations

import secrets
import threading
import uuid

from core import clock


class _Sequence:
    """Ids of one process never go back: within a millisecond the 12 bits behind it count up (RFC 9562 §6.2, method 1),
    so that rows made together sort as they were made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        """48 bits of milliseconds and 12 bits of sequence."""
        with self._lock:
            self._last = max(self._last + 1, clock.now_ms() << 12 | secrets.randbits(11))
            return self._last


_sequence = _Sequence()


def uuid7(at_ms: int | None = None) -> str:
    """A version 7 UUID: 48 bits of milliseconds, 12 of sequence, 62 random bits; sorts by time of making, or as if made at
    `at_ms`."""
    stamp = _sequence.next() if at_ms is None else at_ms << 12 | secrets.randbits(11)
    value = stamp >> 12 << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | secrets.randbits(62)
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new(prefix: str) -> str:
    """`evt_019f…`: prefix, underscore, 32 hex digits that sort by time."""
    return f"{prefix}_{uuid7().replace('-', '')}"


def is_uuid(text: str) -> bool:
    """True for the canonical lower-case form only, so that one task has one address."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
