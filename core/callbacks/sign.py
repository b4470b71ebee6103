"""Signatures of an outbound webhook: the published API's header under both of its names, and Standard Webhooks
1.0.0. Called by the delivery job; pure, so the same event at the same second always signs the same."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets as random_bytes
from collections.abc import Sequence

from core.errors import Misconfigured
from core.secret import Secret

PREFIX = "whsec_"
LEGACY_HEADERS = ("X-Escalation-Signature", "X-HumanRail-Signature")
MAX_SECRETS = 10  # what Svix keeps during rotation; also bounds the header

# The id goes into `id.timestamp.body`: a dot inside would let one id be read as another (Standard Webhooks, §id)
_EVENT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def new_secret() -> Secret:
    """`whsec_` and 32 random bytes in base64 (Standard Webhooks asks for 24 to 64)."""
    return Secret(PREFIX + base64.b64encode(random_bytes.token_bytes(32)).decode())


def headers(event_id: str, body: bytes, secrets: Sequence[Secret], at_unix: int) -> dict[str, str]:
    """The five signature headers for this body, sent at `at_unix` (seconds UTC, the time of this attempt).

    `event_id` is the same on every attempt. With several secrets (rotation) every one signs, in their order;
    empty ones are disabled and sign nothing. Raises `Misconfigured` when no secret signs or one is not
    `whsec_<base64 of 24 to 64 bytes>`: a webhook never leaves unsigned. Raises ValueError for an id that is not
    letters, digits, `_` and `-`.
    """
    if not _EVENT_ID.fullmatch(event_id):
        raise ValueError(f"not an event id: {event_id!r}")
    active = [secret.reveal() for secret in secrets if secret]
    if not active or len(active) > MAX_SECRETS:
        raise Misconfigured(
            "callback_secret", f"a callback needs 1 to {MAX_SECRETS} secrets, {len(active)} are set"
        )
    # The published API's verifiers take the secret's text as it was shown, `whsec_` included, as the HMAC key.
    legacy_signed = b"%d.%b" % (at_unix, body)
    legacy = ",".join(
        [f"t={at_unix}", *("v1=" + _mac(text.encode(), legacy_signed).hex() for text in active)]
    )
    signed = b"%b.%d.%b" % (event_id.encode(), at_unix, body)
    standard = " ".join("v1," + base64.b64encode(_mac(key_bytes(text), signed)).decode() for text in active)
    return {
        **dict.fromkeys(LEGACY_HEADERS, legacy),
        "webhook-id": event_id,
        "webhook-timestamp": str(at_unix),
        "webhook-signature": standard,
    }


def key_bytes(secret: str) -> bytes:
    """The HMAC key inside `whsec_<base64>`. Raises `Misconfigured` for anything else; never shows the secret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise Misconfigured(
            "callback_secret", "a callback secret must be whsec_ and the base64 of 24 to 64 random bytes"
        )
    return key


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
