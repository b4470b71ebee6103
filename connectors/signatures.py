"""HMAC over raw bytes with several secrets, in constant time. Used by each connector's `verify.py`."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Literal

from core.errors import Unauthenticated
from core.secret import Secret

# A header is the sender's text: more values than any rotation needs are not worth hashing for.
MAX_PRESENTED = 16


class SignatureMissing(Unauthenticated):
    """The delivery carries no signature at all."""

    def __init__(self, header: str):
        super().__init__("signature_missing", f"The header {header} is missing.", header=header)


class SignatureMismatch(Unauthenticated):
    """None of our active secrets made any of the signatures; `active` counts those secrets."""

    def __init__(self, header: str, active: int):
        why = "No active secret is configured" if active == 0 else "No configured secret matches"
        super().__init__("signature_mismatch", f"{why} for {header}.", header=header, active=active)


def hmac_hex(secret: Secret, body: bytes, algorithm: Literal["sha256", "sha1"] = "sha256") -> str:
    """Lower-case hex HMAC of the raw body. Raises ValueError for an empty secret: it signs nothing."""
    if not secret:
        raise ValueError("an empty secret signs nothing")
    digest = hashlib.sha256 if algorithm == "sha256" else hashlib.sha1
    return hmac.new(secret.reveal().encode(), body, digest).hexdigest()


def signed_by(
    body: bytes,
    presented: Sequence[str],
    secrets: Sequence[tuple[int, Secret]],
    algorithm: Literal["sha256", "sha1"] = "sha256",
) -> int | None:
    """The position of the first secret that made any of the presented signatures, None when none did.

    Every pair is compared, in constant time each, so that the time taken tells nothing of which came close."""
    found: int | None = None
    for position, secret in secrets:
        if not secret:
            continue
        expected = hmac_hex(secret, body, algorithm).encode()
        matched = False
        for candidate in presented[:MAX_PRESENTED]:
            # Bytes, because compare_digest refuses text beyond ASCII, which a header may hold.
            matched |= hmac.compare_digest(expected, candidate.encode("utf-8", "replace"))
        if matched and found is None:
            found = position
    return found
