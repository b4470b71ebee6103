"""The proofs of a Salesforce delivery besides org id and path token: the client certificate that a proxy vouches for,
the sender's address, and the Flow's signature over the body with its time inside."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.config import load
from connectors.connector import InboundRequest
from connectors.salesforce.settings import SalesforceSettings
from connectors.salesforce.verify import verify
from connectors.signatures import SignatureMismatch, SignatureMissing
from core import clock
from core.errors import Misconfigured
from tests.contract.connectors.suite import SECRETS
from tests.unit.connectors.test_salesforce_soap import message, notification

CONTRACT = (Path(__file__).parents[2] / "contract" / "connectors" / "salesforce" / "config.yaml").read_text()
TOKEN_LINE, KEEP = "    path_token: env:CONTRACT_TOKEN\n", "    secrets:\n"
MESSAGE = message(notification(1))
FLOW = "a flow secret of forty characters, or so"


def settings(rules: str = TOKEN_LINE, signed: str = "") -> SalesforceSettings:
    """The contract's file with these rules for Outbound Messages and these for signed JSON."""
    assert CONTRACT.count(TOKEN_LINE) == CONTRACT.count(KEEP) == 1
    text = CONTRACT.replace(TOKEN_LINE, rules).replace(KEEP, signed + KEEP)
    found = load(text, "config.yaml", {**SECRETS, "FLOW": FLOW, "FLOW_OLD": "old"}).settings
    assert isinstance(found, SalesforceSettings)
    return found


def soap(*, ip: str = "", token: str = "", **headers: str) -> InboundRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return InboundRequest(
        headers={"content-type": "text/xml", **named}, body=MESSAGE, path_token=token, client_ip=ip
    )


MTLS = "    require: [org_id, mtls]\n    mtls_header: X-Client-Verify\n"
PINNED = MTLS + "    mtls_values: ['', 'SHA256:aa', 'SHA256:bb']\n"


@pytest.mark.parametrize(
    ("rules", "said"),
    [(MTLS, "SUCCESS"), (MTLS, " SUCCESS "), (PINNED, "SHA256:aa"), (PINNED, "SHA256:bb")],
)
def test_a_certificate_that_the_proxy_verified(rules: str, said: str) -> None:
    [one] = verify(settings(rules), soap(x_client_verify=said))
    assert one.verified_by == 0


@pytest.mark.parametrize(
    ("rules", "headers", "error"),
    [
        (MTLS, {}, SignatureMissing),
        (MTLS, {"x_client_verify": "  "}, SignatureMissing),
        (MTLS, {"x_client_verify": "FAILED:expired"}, SignatureMismatch),
        (MTLS, {"x_client_verify": "success"}, SignatureMismatch),
        (MTLS, {"x_client_verify": "SUCCESS, SUCCESS"}, SignatureMismatch),
        (MTLS, {"x_client_verify": "SUCCÈS"}, SignatureMismatch),
        (PINNED, {"x_client_verify": "SUCCESS"}, SignatureMismatch),
        (MTLS, {"client_verify": "SUCCESS"}, SignatureMissing),
    ],
)
def test_a_certificate_that_it_did_not(rules: str, headers: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        verify(settings(rules), soap(**headers))


ALLOWED = "    require: [org_id, ip]\n    ip_allow: [13.108.0.0/14, 2a0c::/32, 192.0.2.7]\n"


@pytest.mark.parametrize("ip", ["13.110.2.3", "::ffff:13.110.2.3", "2a0c:0:1::9", "192.0.2.7"])
def test_an_address_of_the_list(ip: str) -> None:
    assert len(verify(settings(ALLOWED), soap(ip=ip))) == 1


@pytest.mark.parametrize(
    "ip",
    [
        "13.112.0.0",
        "192.0.2.8",
        "::ffff:192.0.2.8",
        "2a0d::1",
        "",
        "unknown",
        "13.110.2.3, 13.110.2.4",
        "x" * 999,
    ],
)
def test_another_address(ip: str) -> None:
    with pytest.raises(SignatureMismatch, match="ip_allow"):
        verify(settings(ALLOWED), soap(ip=ip))


def test_every_proof_that_is_asked_for_must_hold() -> None:
    rules = (
        TOKEN_LINE
        + "    require: [org_id, path_token, ip, mtls]\n    ip_allow: [192.0.2.7]\n    mtls_header: V\n"
    )
    whole: dict[str, Any] = {"ip": "192.0.2.7", "token": "token", "v": "SUCCESS"}
    assert len(verify(settings(rules), soap(**whole))) == 1
    for name in whole:
        with pytest.raises((SignatureMissing, SignatureMismatch)):
            verify(settings(rules), soap(**{**whole, name: ""}))
    other = msgspec.structs.replace(soap(**whole), body=message(notification(1), org="00D5g000001AbCeEAK"))
    with pytest.raises(SignatureMismatch, match="OrganizationId"):
        verify(settings(rules), other)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("    require: [org_id]\n", "at least one of path_token, ip, mtls"),
        ("    require: [path_token, ip]\n    ip_allow: [192.0.2.7]\n", "needs org_id"),
        ("    require: [org_id, ip]\n", "`ip_allow` must be set"),
        ("    require: [org_id, mtls]\n", "`mtls_header` must be set"),
        ("    require: [org_id, ip]\n    ip_allow: [salesforce.com]\n", "salesforce.com"),
        ("    require: [org_id, ip]\n    ip_allow: [192.0.2.7/24]\n", "192.0.2.7/24"),
    ],
)
def test_a_file_that_proves_too_little(rules: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        settings(rules)


BODY_HMAC = "    body_hmac: [env:FLOW, {secret: env:FLOW_OLD, until: 2020-01-01}]\n"


def flow(
    secret: str = FLOW, *, age: float = 0, received: float | None = None, **changes: Any
) -> InboundRequest:
    """What the formula of the External Credential signs: the body, and nothing else. Ages in seconds."""
    body: dict[str, Any] = {
        "schema": "hitl.escalation.v1",
        "event_id": "5005g00000AbCdEAAV-0YZ5g0000001abc",
        "sent_at": clock.iso(clock.now() - timedelta(seconds=age)),
        "source": {"system": "salesforce", "table": "Case", "id": "5005g00000AbCdEAAV"},
        "reason": "hitl_requested",
        **changes,
    }
    raw = msgspec.json.encode({name: value for name, value in body.items() if value is not None})
    made = base64.b64encode(hmac.new(secret.encode(), raw, hashlib.sha256).digest()).decode()
    return InboundRequest(
        headers={"content-type": "application/json", "x-hitl-body-signature": made},
        body=raw,
        received_at=None if received is None else clock.now() - timedelta(seconds=received),
    )


def test_a_flow_that_signs_the_body() -> None:
    [one] = verify(settings(signed=BODY_HMAC), flow())
    assert one.delivery_id == "5005g00000AbCdEAAV-0YZ5g0000001abc"
    assert one.verified_by == 3  # after the three of `secrets`
    [again] = verify(settings(signed=BODY_HMAC), flow(age=2 * 3600))
    assert again.delivery_id == one.delivery_id  # the last of a Flow's retries


@pytest.mark.parametrize(
    "request_",
    [
        flow("another secret"),
        flow("old"),  # past its `until`
        flow("secret-a"),  # of the other profile
        flow(age=26 * 3600),
        flow(age=-86_400),  # made at collection; far enough ahead for a long run
        flow(sent_at=None),
        flow(sent_at="yesterday"),
        flow(sent_at="2026-11-23T10:00:00"),  # no time zone
        flow(sent_at=1_795_428_000),
        msgspec.structs.replace(flow(), body=flow().body + b" "),
    ],
)
def test_a_flow_that_is_not_believed(request_: InboundRequest) -> None:
    with pytest.raises(SignatureMismatch):
        verify(settings(signed=BODY_HMAC), request_)


def test_what_lay_in_quarantine_is_as_old_as_when_it_came() -> None:
    with pytest.raises(SignatureMismatch):
        verify(settings(signed=BODY_HMAC), flow(age=30 * 3600))
    assert verify(settings(signed=BODY_HMAC), flow(age=30 * 3600, received=29 * 3600))


def test_the_body_profile_is_off_until_it_is_asked_for() -> None:
    with pytest.raises(SignatureMissing):
        verify(settings(), flow())


def test_a_bad_first_signature_is_not_saved_by_the_weaker_one() -> None:
    asked = flow()
    both = {
        **asked.headers,
        "webhook-id": "e1",
        "webhook-timestamp": str(clock.unix()),
        "webhook-signature": "v1,AAAA",
    }
    with pytest.raises(SignatureMismatch):
        verify(settings(signed=BODY_HMAC), msgspec.structs.replace(asked, headers=both))


def test_without_an_event_id_the_body_names_the_delivery() -> None:
    asked = flow(event_id=None)
    [one] = verify(settings(signed=BODY_HMAC), asked)
    assert one.delivery_id == f"sha256:{hashlib.sha256(asked.body).hexdigest()}"
