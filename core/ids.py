"""Identifiers. Tasks carry a UUID version 7 (RFC 9562 §5.7) as the published API says; everything else a short
prefix and the same sortable number, so that a log line tells what it names."""

from __future__ import annotations

import secrets
import uuid

from core import clock


def uuid7() -> str:
    """A version 7 UUID: 48 bits of milliseconds, then 74 random bits; sorts by time of making."""
    value = clock.now_ms() << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def new(prefix: str) -> str:
    """`evt_019f…`: prefix, underscore, 32 hex digits that sort by time."""
    return f"{prefix}_{uuid7().replace('-', '')}"


def is_uuid(text: str) -> bool:
    """True for the canonical lower-case form only, so that one task has one address."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
