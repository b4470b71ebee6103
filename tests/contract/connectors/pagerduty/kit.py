"""How the contract suite plays PagerDuty: the signature, computed here on its own, and the published vector."""

from __future__ import annotations

import hashlib
import hmac

HEADER = "X-PagerDuty-Signature"


def sign(body: bytes, secrets: list[str]) -> dict[str, str]:
    """The headers of a delivery signed with these secrets, in the order given."""
    values = (hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets)
    return {HEADER: ",".join(f"v1={value}" for value in values), "X-Webhook-Id": "w-1"}
