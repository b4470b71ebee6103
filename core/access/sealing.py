"""Encrypts what must be read again: webhook secrets and vendor tokens. Made once by `hub/wiring.py` from the hub's
keys, used wherever such a column is written or read. What need not be read again is hashed (`core/secret.py`)."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from core.errors import Misconfigured


class Sealer:
    """Fernet (AES-128-CBC with HMAC-SHA256) under several keys: the first seals, every one of them unseals, so a new
    key is put in front and the old one leaves when `reseal` has been over every column."""

    def __init__(self, keys: Sequence[str]):
        """`keys` are what `new_key` gave. Raises Misconfigured when there is none or one is not such a key."""
        if not keys:
            raise Misconfigured(
                "sealing_key",
                "The hub needs at least one key in secret_keys (32 random bytes in URL-safe base64)",
            )
        try:
            self._fernet = MultiFernet([Fernet(key.strip()) for key in keys])
        except ValueError as error:
            raise Misconfigured(
                "sealing_key", "A sealing key must be 32 random bytes in URL-safe base64"
            ) from error

    def __repr__(self) -> str:
        return "Sealer(***)"

    def seal(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode()

    def unseal(self, sealed: str) -> str:
        """Raises Misconfigured when none of the keys made it: a key is missing, or the column was tampered with."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise Misconfigured(
                "sealing_key", "A sealed value opens with none of the hub's sealing keys"
            ) from None

    def reseal(self, sealed: str) -> str:
        """The same value under the first key. Raises as `unseal`."""
        try:
            return self._fernet.rotate(sealed.encode()).decode()
        except InvalidToken:
            raise Misconfigured(
                "sealing_key", "A sealed value opens with none of the hub's sealing keys"
            ) from None


def new_key() -> str:
    """A fresh key for the hub's settings."""
    return Fernet.generate_key().decode()
