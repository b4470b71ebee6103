"""Ed25519 over the canonical text of a receipt: make a key, sign, verify. Pure; used by `keys.py`, `actions.py` and
`verify.py`."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from core.receipts.canonical import canonical
from core.secret import Secret

_RAW_BYTES = 32
_SIGNATURE_BYTES = 64


def encode(raw: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str, length: int) -> bytes | None:
    """The bytes, or None when the text is not the one base64url form of `length` bytes."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == length and encode(raw) == text else None


def new_private() -> Secret:
    """A fresh key, as the text that is sealed."""
    return Secret(encode(Ed25519PrivateKey.generate().private_bytes_raw()))


def _loaded(private: Secret) -> Ed25519PrivateKey:
    raw = decode(private.reveal(), _RAW_BYTES)
    if raw is None:
        raise ValueError("not an Ed25519 key")
    return Ed25519PrivateKey.from_private_bytes(raw)


def public_of(private: Secret) -> str:
    """`x` of the key's JWK."""
    return encode(_loaded(private).public_key().public_bytes_raw())


def sign(private: Secret, receipt: dict[str, Any]) -> str:
    return encode(_loaded(private).sign(canonical(receipt)))


def fits(public: str, receipt: dict[str, Any], signature: str) -> bool:
    """Whether the owner of `public` signed exactly this receipt. False as well for text that is no key or no signature."""
    key, signed = decode(public, _RAW_BYTES), decode(signature, _SIGNATURE_BYTES)
    if key is None or signed is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signed, canonical(receipt))
    except (InvalidSignature, ValueError):
        return False
    return True
