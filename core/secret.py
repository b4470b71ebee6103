"""Secrets that do not print themselves, and the digests under which we keep what strangers present to us."""

from __future__ import annotations

import hashlib
import hmac
import secrets


class Secret:
    """Text that stays out of logs and reprs. An empty one is *disabled*: it equals nothing and signs nothing."""

    __slots__ = ("_value",)

    def __init__(self, value: str):
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret('***')" if self._value else "Secret(disabled)"

    __str__ = __repr__

    def matches(self, presented: str) -> bool:
        """Constant-time comparison; False whenever this secret is empty."""
        return bool(self._value) and hmac.compare_digest(self._value.encode(), presented.encode())


def digest(token: str) -> str:
    """SHA-256 in hex of a token with at least 128 random bits (a slow hash adds nothing there: ASVS 6.5.2)."""
    return hashlib.sha256(token.encode()).hexdigest()


def random_token(prefix: str = "") -> str:
    """`prefix` and 256 random bits, URL-safe."""
    return prefix + secrets.token_urlsafe(32)
