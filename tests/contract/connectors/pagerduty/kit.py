"""How the contract suite plays PagerDuty: the signature, computed here on its own, and the published vector."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from connectors.connector import InboundRequest

HEADER = "X-PagerDuty-Signature"

# PagerDuty signs no time; a replay is caught by the event's id.
TIMESTAMPED = False

NOTE = {"id": "PTRIMMED", "content": "/ask is this safe to roll back? The log says: " + "timeout " * 40}
CONTEXT: dict[str, dict[str, Any]] = {"incident_annotated_trimmed": {"notes": [NOTE]}}


def sign(body: bytes, secrets: list[str]) -> dict[str, str]:
    """The headers of a delivery signed with these secrets, in the order given."""
    values = (hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets)
    return {HEADER: ",".join(f"v1={value}" for value in values), "X-Webhook-Id": "w-1"}


def request(body: bytes, secrets: list[str], *, at: int | None = None) -> InboundRequest:
    headers = {name.lower(): value for name, value in sign(body, secrets).items()}
    return InboundRequest(headers=headers, body=body)


def unsigned(body: bytes) -> InboundRequest:
    return InboundRequest(headers={"x-webhook-id": "w-1"}, body=body)


def deliveries(body: bytes) -> list[bytes]:
    return [body]
