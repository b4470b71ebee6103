"""Strike's signature over the raw bytes, and what an event is about. The form of an event is that of docs.strike.me/webhooks
(read 2026-11); its ids are made up."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, date, datetime

import msgspec
import pytest

from connectors.rails.strike_webhooks import Hint, active, hint_of, verify
from connectors.secret_refs import SecretRef, Secrets
from connectors.signatures import SignatureMismatch, SignatureMissing
from core.errors import Malformed
from core.secret import Secret

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
OLD, NEW = Secret("ScKc2Phr37RzfESKGYPh6CnZqNxc9t"), Secret("WfPh1Xj2vQ7rT0aLk9sDm3eYb6uNo4")
EVENT_ID, ENTITY_ID = "11fbf0a7-8a66-4e2c-9b0e-5a0c8f2d7c11", "2F6E1C9B-7d0a-4e53-8c71-1a9d3b5e7f22"
# As a server may write it: spaces that a second serialisation would lose.
BODY = (
    f'{{ "id": "{EVENT_ID}",  "eventType": "payment.updated", "webhookVersion": "v1", '
    f'"data": {{"entityId": "{ENTITY_ID}", "changes": ["state"]}}, '
    '"created": "2026-11-24T04:00:00.000+00:00", "deliverySuccess": null }'
).encode()


def sign(body: bytes, secret: Secret = NEW) -> str:
    return hmac.new(secret.reveal().encode(), body, hashlib.sha256).hexdigest()


def secrets(*entries: tuple[Secret, date | None]) -> Secrets:
    return Secrets([SecretRef(ref="env:STRIKE", secret=secret, until=until) for secret, until in entries])


BOTH = active([secrets((OLD, None), (NEW, None))], NOW)


def test_every_active_secret_signs() -> None:
    verify(sign(BODY, OLD), BODY, BOTH)
    verify(sign(BODY, NEW), BODY, BOTH)
    verify(f" {sign(BODY).upper()} ", BODY, BOTH)


def test_the_bytes_are_signed_and_not_their_meaning() -> None:
    other = msgspec.json.encode(msgspec.json.decode(BODY))
    assert other != BODY
    with pytest.raises(SignatureMismatch):
        verify(sign(BODY), other, BOTH)


@pytest.mark.parametrize("signature", ["0" * 64, "sha256=" + sign(BODY), sign(BODY)[:-1], "é", sign(b"")])
def test_another_signature_is_refused(signature: str) -> None:
    with pytest.raises(SignatureMismatch):
        verify(signature, BODY, BOTH)


@pytest.mark.parametrize("signature", [None, ""])
def test_no_signature_is_refused(signature: str | None) -> None:
    with pytest.raises(SignatureMissing):
        verify(signature, BODY, BOTH)


def test_a_secret_that_is_empty_or_over_signs_nothing() -> None:
    kept = secrets((Secret(""), None), (OLD, date(2026, 11, 23)), (NEW, date(2026, 11, 24)))
    assert active([kept, Secrets(())], NOW) == [(0, NEW)]
    assert active([secrets((Secret(""), None))], NOW) == []
    with pytest.raises(SignatureMismatch):
        verify(hmac.new(b"", BODY, hashlib.sha256).hexdigest(), BODY, [])


def test_what_an_event_is_about() -> None:
    assert hint_of(BODY) == Hint(event_id=EVENT_ID, kind="payment", entity_id=ENTITY_ID)
    payout = BODY.replace(b"payment.updated", b"payout.updated")
    assert hint_of(payout) == Hint(event_id=EVENT_ID, kind="payout", entity_id=ENTITY_ID)


@pytest.mark.parametrize(
    "kind",
    ["invoice.updated", "payment-method.bank.updated", "payout-originator.updated", "payment", "PAYMENT.X"],
)
def test_other_events_are_about_nothing_of_ours(kind: str) -> None:
    assert hint_of(BODY.replace(b"payment.updated", kind.encode())) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 100_000,
        BODY.replace(EVENT_ID.encode(), b"1"),
        BODY.replace(ENTITY_ID.encode(), b"../payouts"),
        BODY.replace(b'"payment.updated"', b"7"),
        BODY.replace(b'"data"', b'"date"'),
    ],
)
def test_what_is_no_event(body: bytes) -> None:
    with pytest.raises(Malformed):
        hint_of(body)
