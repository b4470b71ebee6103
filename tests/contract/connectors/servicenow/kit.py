"""How the contract suite plays ServiceNow's scoped app: Standard Webhooks, computed here on its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from connectors.connector import InboundRequest

TIMESTAMPED = True
CONTEXT: dict[str, dict[str, Any]] = {
    "enriched": {
        "record": {"fields": {"category": "network"}, "display": {"assigned_to": "Fred Luddy"}},
        "journal": [
            {
                "journal": "work_notes",
                "written": "2026-11-23 10:00:00",
                "author": "Fred Luddy",
                "kind": "Work notes",
                "text": "Seen since nine.",
            }
        ],
    }
}


def request(body: bytes, secrets: list[str], *, at: int | None = None) -> InboundRequest:
    """A delivery signed with these secrets, in the order given. `at` is unix seconds."""
    stamp = int(time.time()) if at is None else at
    webhook_id = "evt-" + hashlib.sha256(body).hexdigest()[:20]
    message = f"{webhook_id}.{stamp}.".encode() + body
    values = (
        "v1," + base64.b64encode(hmac.new(key_of(secret), message, hashlib.sha256).digest()).decode()
        for secret in secrets
    )
    headers = {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": " ".join(values),
    }
    return InboundRequest(headers=headers, body=body)


def unsigned(body: bytes) -> InboundRequest:
    return InboundRequest(headers={"content-type": "application/json"}, body=body)


def deliveries(body: bytes) -> list[bytes]:
    """One request is one delivery."""
    return [body]


def key_of(secret: str) -> bytes:
    return base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()


def compact(document: dict[str, Any]) -> bytes:
    """As the app sends it: ASCII alone."""
    return json.dumps(document, separators=(",", ":")).encode()
