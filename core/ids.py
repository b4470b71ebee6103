"""Identifiers. Tasks carry a UUID version 7 (RFC 9562 §5.7) as the published API says; everything else a short
prefix and the same sortable number, so that a log line tells what it names."""

from __future__ import annotations

import os
import struct
import threading
import uuid

from core import clock

_DRAWN_AT_ONCE = 256


class _Chance:
    """Random numbers of the system's generator, 64 bits each. Many are drawn at once, because asking for some costs more than
    the rest of an identifier; a process that was forked draws its own."""

    def __init__(self) -> None:
        self._drawn: list[int] = []
        os.register_at_fork(after_in_child=self._drawn.clear)

    def next(self) -> int:
        try:
            return self._drawn.pop()
        except IndexError:
            drawn = struct.unpack(f"={_DRAWN_AT_ONCE}Q", os.urandom(8 * _DRAWN_AT_ONCE))
            self._drawn.extend(drawn[1:])
            return int(drawn[0])


_chance = _Chance()


class _Sequence:
    """Ids of one process never go back: within a millisecond the 12 bits behind it count up (RFC 9562 §6.2, method 1),
    so that rows made together sort as they were made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        """48 bits of milliseconds and 12 bits of sequence."""
        with self._lock:
            now_ms = clock.now_ms()
            self._last = self._last + 1 if self._last >> 12 >= now_ms else _stamp(now_ms)
            return self._last


_sequence = _Sequence()


def _stamp(at_ms: int) -> int:
    """The place in the sequence where a millisecond begins: somewhere in the first half, so that there is room behind it."""
    return at_ms << 12 | _chance.next() >> 53


def _digits(stamp: int) -> str:
    value = stamp >> 12 << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | _chance.next() >> 2
    return f"{value:032x}"


def uuid7(at_ms: int | None = None) -> str:
    """A version 7 UUID: 48 bits of milliseconds, 12 of sequence, 62 random bits; sorts by time of making, or as if made at
    `at_ms`."""
    digits = _digits(_sequence.next() if at_ms is None else _stamp(at_ms))
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new(prefix: str) -> str:
    """`evt_019f…`: prefix, underscore, 32 hex digits that sort by time."""
    return f"{prefix}_{_digits(_sequence.next())}"


def is_uuid(text: str) -> bool:
    """True for the canonical lower-case form only, so that one task has one address."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
