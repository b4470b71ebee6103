"""Webhook signatures: by hand, against the `standardwebhooks` package both ways, and with the published API's own
recipe (`t=<unix>,v1=<hex>` over `t.body`)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from core import clock
from core.callbacks import sign
from core.errors import Misconfigured
from core.secret import Secret

# Example of the Standard Webhooks libraries' own test suites (standard-webhooks/standard-webhooks, libraries/*)
SPEC_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SPEC_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SPEC_TIME = 1614265330
SPEC_BODY = b'{"test": 2432232314}'
SPEC_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

OLD, NEW = sign.new_secret(), sign.new_secret()
BODY = '{"id":"evt_1","name":"Zoë ⚡"}'.encode()


def test_specification_example():
    headers = sign.headers(SPEC_ID, SPEC_BODY, [Secret(SPEC_SECRET)], SPEC_TIME)
    assert headers["webhook-id"] == SPEC_ID
    assert headers["webhook-timestamp"] == str(SPEC_TIME)
    assert headers["webhook-signature"] == SPEC_SIGNATURE


def test_ours_verifies_with_the_package_and_only_with_the_right_secret_and_body():
    headers = sign.headers("evt_1", BODY, [OLD], clock.unix())
    Webhook(OLD.reveal()).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW.reveal()).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD.reveal()).verify(BODY + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD.reveal()).verify(BODY, {**headers, "webhook-id": "evt_2"})


def test_theirs_equals_ours():
    at = clock.unix()
    theirs = Webhook(OLD.reveal()).sign("evt_1", datetime.fromtimestamp(at, UTC), BODY.decode())
    assert sign.headers("evt_1", BODY, [OLD], at)["webhook-signature"] == theirs


def test_rotation_is_accepted_by_holders_of_either_secret():
    headers = sign.headers("evt_1", BODY, [NEW, Secret(""), OLD], clock.unix())
    for secret in (OLD, NEW):
        Webhook(secret.reveal()).verify(BODY, headers)
    assert len(headers["webhook-signature"].split(" ")) == 2


@pytest.mark.parametrize("name", ["X-Escalation-Signature", "X-HumanRail-Signature"])
def test_published_signature_over_the_raw_body(name):
    header = sign.headers("evt_1", BODY, [OLD], 1_700_000_000)[name]
    expected = hmac.new(OLD.reveal().encode(), b"1700000000." + BODY, hashlib.sha256).hexdigest()
    assert header == f"t=1700000000,v1={expected}"


def test_published_signature_during_rotation_carries_one_value_a_secret():
    header = sign.headers("evt_1", BODY, [NEW, OLD], 1_700_000_000)["X-Escalation-Signature"]
    stamp, *values = header.split(",")
    assert stamp == "t=1700000000"
    assert values == [
        "v1=" + hmac.new(secret.reveal().encode(), b"1700000000." + BODY, hashlib.sha256).hexdigest()
        for secret in (NEW, OLD)
    ]


def test_new_secret_has_32_random_bytes():
    assert OLD.reveal() != NEW.reveal()
    assert OLD.reveal().startswith("whsec_")
    assert len(base64.b64decode(OLD.reveal().removeprefix("whsec_"))) == 32


@pytest.mark.parametrize(
    "secrets",
    [
        [],
        [Secret("")],
        [Secret("hunter2")],
        [Secret("whsec_")],
        [Secret("whsec_" + base64.b64encode(b"x" * 23).decode())],
        [Secret("whsec_" + base64.b64encode(b"x" * 65).decode())],
        [Secret("whsec_not base64 at all, however long it may be")],
        [Secret(base64.b64encode(b"x" * 32).decode())],
        [OLD, Secret("whsec_é")],
        [OLD] * 11,
    ],
)
def test_nothing_leaves_unsigned_or_half_signed(secrets):
    with pytest.raises(Misconfigured) as caught:
        sign.headers("evt_1", BODY, secrets, 1)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("event_id", ["", "evt.1", "evt 1", "evt\r\nX: y", "é", "x" * 129])
def test_ids_that_could_be_misread_are_refused(event_id):
    with pytest.raises(ValueError, match="not an event id"):
        sign.headers(event_id, BODY, [OLD], 1)
