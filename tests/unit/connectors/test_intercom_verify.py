"""Intercom's two signatures, to the byte, and how a delivery is known again."""

from __future__ import annotations

import hashlib
import hmac

import msgspec
import pytest

from connectors.connector import InboundRequest
from connectors.intercom import CONNECTOR
from connectors.intercom.verify import identify, verify
from connectors.secret_refs import SecretRef, Secrets
from connectors.signatures import SignatureMismatch, SignatureMissing
from core.secret import Secret
from tests.fakes.intercom_lab import settings_for

# A vector computed once with openssl: key `it_client_secret`, these 105 bytes.
BODY = '{"type":"notification_event","topic":"ping","id":null,"data":{"item":{"type":"ping","message":"héllo"}}}'.encode()
HUB_SIGNATURE = "sha1=b4682dbae420f5546957112b7b98491d43280fd9"
BODY_SIGNATURE = hmac.new(b"it_client_secret", BODY, hashlib.sha256).hexdigest()


def verified(headers: dict[str, str], body: bytes = BODY, *secrets: str) -> tuple[str, str, int]:
    entries = [
        SecretRef(ref=f"env:S{n}", secret=Secret(s)) for n, s in enumerate(secrets or ("it_client_secret",))
    ]
    settings = settings_for("http://127.0.0.1:1")
    auth = msgspec.structs.replace(settings.auth, client_secrets=Secrets(entries))
    request = InboundRequest(headers=headers, body=body)
    [delivery] = verify(msgspec.structs.replace(settings, auth=auth), request)
    assert delivery.body == body
    return delivery.delivery_id, delivery.event_type, delivery.verified_by


def test_the_vector() -> None:
    assert len(BODY) == 105
    digest = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
    assert verified({"x-hub-signature": HUB_SIGNATURE}) == (digest, "ping", 0)


def test_uninstall_and_health_check_calls_carry_the_other_header() -> None:
    assert verified({"x-body-signature": BODY_SIGNATURE})[2] == 0
    body = b'{"app_id":"abc123def"}'
    signature = hmac.new(b"it_client_secret", body, hashlib.sha256).hexdigest()
    assert verified({"x-body-signature": signature}, body)[1] == "unknown"


def test_either_header_is_enough_when_both_are_there() -> None:
    assert verified({"x-hub-signature": "sha1=00", "x-body-signature": BODY_SIGNATURE})[2] == 0
    assert verified({"x-hub-signature": HUB_SIGNATURE, "x-body-signature": "00"})[2] == 0


def test_rotation_is_a_hard_cut_so_both_secrets_count() -> None:
    assert verified({"x-hub-signature": HUB_SIGNATURE}, BODY, "new", "it_client_secret")[2] == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"x-hub-signature": HUB_SIGNATURE.upper()},
        {"x-hub-signature": HUB_SIGNATURE.removeprefix("sha1=")},
        {"x-hub-signature": HUB_SIGNATURE.replace("sha1", "sha256")},
        {"x-hub-signature": f"sha256={BODY_SIGNATURE}"},
        {"x-hub-signature": "sha1="},
        {"x-hub-signature": "sha1=é\udcff"},
        {"x-body-signature": f"sha256={BODY_SIGNATURE}"},
        {"x-body-signature": HUB_SIGNATURE},
    ],
)
def test_what_only_looks_like_one(headers: dict[str, str]) -> None:
    with pytest.raises(SignatureMismatch):
        verified(headers)


@pytest.mark.parametrize("headers", [{}, {"x-hub-signature": " "}, {"x-body-signature": ""}])
def test_none(headers: dict[str, str]) -> None:
    with pytest.raises(SignatureMissing):
        verified(headers)


def test_a_changed_byte() -> None:
    with pytest.raises(SignatureMismatch):
        verified({"x-hub-signature": HUB_SIGNATURE}, BODY + b" ")


@pytest.mark.parametrize(
    ("body", "delivery_id", "topic"),
    [
        (b'{"id":"notif_1","topic":"ticket.created"}', "notif_1", "ticket.created"),
        (b'{"id":"notif 1","topic":"x y"}', None, "unknown"),
        (b'{"id":7,"topic":null}', None, "unknown"),
        (b"[1]", None, "unknown"),
        (b"\xff\x00", None, "unknown"),
        (b'{"id":"\\ud800"}', None, "unknown"),
        (b"[" * 200_000, None, "unknown"),
        (b'{"id":1e999999999}', None, "unknown"),
        (b'{"id":"' + b"a" * 200 + b'"}', None, "unknown"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_how_a_delivery_is_known(body: bytes, delivery_id: str | None, topic: str) -> None:
    assert identify(body) == (delivery_id or f"sha256:{hashlib.sha256(body).hexdigest()}", topic)


def test_answers() -> None:
    """Never 429: Intercom throttles the subscription for it and drops what waits longer than two hours."""
    answers = CONNECTOR.answers
    assert (answers.verified, answers.duplicate, answers.not_stored, answers.deleted) == (200, 200, 503, 410)
    assert (answers.signature_missing, answers.signature_mismatch) == (401, 401)
    assert answers.body_limit == 1024 * 1024
