"""How the contract suite plays Intercom: the signature, computed here on its own. Intercom signs each request once,
with the app's one client secret, and puts no time into it."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from connectors.connector import InboundRequest

TIMESTAMPED = False

_PART = {"part_type": "comment", "body": "Where is it?", "author": {"type": "user"}}
_FETCHED: dict[str, Any] = {
    "conversation": {"conversation_parts": {"conversation_parts": [_PART]}},
    "contact": {"name": "Ann Example"},
}
CONTEXT: dict[str, dict[str, Any]] = dict.fromkeys(
    ("assigned", "assigned_with_text", "old_assigned"), _FETCHED
)


def request(body: bytes, secrets: list[str], *, at: int | None = None) -> InboundRequest:
    """The request signed with the first of these secrets."""
    value = hmac.new(secrets[0].encode(), body, hashlib.sha1).hexdigest()
    return InboundRequest(
        headers={
            "content-type": "application/json",
            "user-agent": "intercom-parrot-service-client/1.0",
            "x-hub-signature": f"sha1={value}",
        },
        body=body,
    )


def unsigned(body: bytes) -> InboundRequest:
    return InboundRequest(headers={"content-type": "application/json"}, body=body)


def deliveries(body: bytes) -> list[bytes]:
    return [body]
