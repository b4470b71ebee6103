"""The one text of a JSON value, and its digest: RFC 8785 (JCS), so that anybody gets the same bytes. Used wherever a
receipt or an answer is digested."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import rfc8785

_EXACT = (
    2**53 - 1
)  # RFC 8785 ends here; JSON does not, and an answer may carry a longer number (an account's, say)


def canonical(value: Any) -> bytes:
    """RFC 8785. An integer beyond 2^53-1, for which the RFC has no text, is written in all its digits: rounded to a
    double as JavaScript does, two different answers would have one digest. Raises ValueError for what is not JSON."""
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


def _write(value: Any, parts: list[bytes]) -> None:
    match value:
        case bool() | None | str() | float():
            parts.append(rfc8785.dumps(value))
        case int():
            parts.append(str(value).encode() if abs(value) > _EXACT else rfc8785.dumps(value))
        case dict():
            members = cast("dict[str, Any]", value)
            parts.append(b"{")
            for position, name in enumerate(sorted(members, key=_utf16)):
                parts.append(b"," if position else b"")
                parts.append(rfc8785.dumps(name) + b":")
                _write(members[name], parts)
            parts.append(b"}")
        case list() | tuple():
            parts.append(b"[")
            for position, item in enumerate(cast("list[Any]", value)):
                parts.append(b"," if position else b"")
                _write(item, parts)
            parts.append(b"]")
        case _:
            raise ValueError(f"not a JSON value: {type(value).__name__}")


def _utf16(name: str) -> bytes:
    """RFC 8785 §3.2.3 sorts names by UTF-16 code units."""
    return name.encode("utf-16-be")


def digest(value: Any) -> str:
    """SHA-256 of the canonical text, 64 lower-case hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()
