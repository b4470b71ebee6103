"""How old a stamp may be: measured now, or from when a quarantined delivery came in."""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec
import pytest

from connectors import signed_json
from connectors.connector import InboundRequest
from connectors.secret_refs import SecretRef, Secrets
from connectors.signed_json import SignedJson, Stale
from core import clock
from core.secret import Secret

KEY = "a secret"
SETTINGS = SignedJson(
    secrets=Secrets([SecretRef(ref="env:A", secret=Secret(KEY))]),
    body_hmac=Secrets([SecretRef(ref="env:B", secret=Secret(KEY))]),
)
SIGNED = 1_700_000_000  # unix seconds, long ago


def _mac(message: bytes) -> str:
    return base64.b64encode(hmac.new(KEY.encode(), message, hashlib.sha256).digest()).decode()


def standard(received_at: int | None) -> InboundRequest:
    body = b'{"event_id": "e1"}'
    headers = {
        "webhook-id": "m1",
        "webhook-timestamp": str(SIGNED),
        "webhook-signature": f"v1,{_mac(f'm1.{SIGNED}.'.encode() + body)}",
    }
    return _request(headers, body, received_at)


def of_body(received_at: int | None) -> InboundRequest:
    sent_at = clock.iso(clock.from_ms(SIGNED * 1000))
    body = msgspec.json.encode({"event_id": "e1", "sent_at": sent_at})
    return _request({"x-hitl-body-signature": _mac(body)}, body, received_at)


def _request(headers: dict[str, str], body: bytes, received_at: int | None) -> InboundRequest:
    moment = None if received_at is None else clock.from_ms(received_at * 1000)
    return InboundRequest(headers=headers, body=body, received_at=moment)


@pytest.mark.parametrize("request_of", [standard, of_body])
def test_what_was_young_when_it_came_is_not_stale(request_of: object) -> None:
    assert callable(request_of)
    for arrived in (SIGNED, SIGNED + 300):
        assert signed_json.verify(request_of(arrived), SETTINGS).delivery_id == "e1"
    for arrived in (None, SIGNED - 301, SIGNED + 26 * 3600):
        with pytest.raises(Stale):
            signed_json.verify(request_of(arrived), SETTINGS)
