"""How the contract suite plays our Salesforce package: Standard Webhooks, computed here on its own. Outbound Messages
have their own tests; their notifications are among the fixtures as verify cuts them out."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any

from connectors.connector import InboundRequest

TIMESTAMPED = True
CASE = {
    "Id": "5005g00000AbCdEAAV",
    "CaseNumber": "00001042",
    "CreatedDate": "2026-11-20T08:00:00.000Z",
    "LastModifiedDate": "2026-11-23T10:00:05.000Z",
    "LastModifiedById": "0055g00000PerSoAAJ",
    "SystemModstamp": "2026-11-23T10:00:05.000Z",
    "IsEscalated": True,
    "Priority": "High",
    "Status": "Escalated",
    "Subject": "Refund for order 17",
    "Description": "Customer jane@example.com asks twice.",
}
CONTEXT: dict[str, dict[str, Any]] = {
    "om_escalated": {"record": CASE, "comments": [{"id": "00a", "body": "Hurry.", "author": "005"}]}
}


def request(body: bytes, secrets: list[str], *, at: int | None = None) -> InboundRequest:
    """A delivery signed with these secrets, in the order given. `at` is unix seconds."""
    stamp = int(time.time()) if at is None else at
    webhook_id = "evt-" + hashlib.sha256(body).hexdigest()[:20]
    message = f"{webhook_id}.{stamp}.".encode() + body
    values = (
        "v1," + base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()
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
    """One signed request is one delivery."""
    return [body]
