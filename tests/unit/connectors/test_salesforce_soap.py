"""The strict reader of Outbound Messages, against recorded ones and every known XML attack, with defusedxml as the
second opinion on what is well-formed; and who is believed."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from connectors.config import load
from connectors.connector import InboundRequest, Receipt
from connectors.salesforce.ids import id18
from connectors.salesforce.outbound_message import read
from connectors.salesforce.said import ACK, say
from connectors.salesforce.settings import SalesforceSettings
from connectors.salesforce.verify import verify
from connectors.signatures import SignatureMismatch, SignatureMissing
from tests.contract.connectors.suite import SECRETS

SAMPLES = Path(__file__).parent / "salesforce_samples"
CONTRACT = Path(__file__).parents[2] / "contract" / "connectors" / "salesforce" / "config.yaml"
ORG = "00D5g000001AbCdEAK"


def settings() -> SalesforceSettings:
    found = load(CONTRACT.read_text(), "config.yaml", SECRETS).settings
    assert isinstance(found, SalesforceSettings)
    return found


def message(inside: str, org: str = ORG, head: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><e:Body>'
        '<notifications xmlns="http://soap.sforce.com/2005/09/outbound">'
        f"<OrganizationId>{org}</OrganizationId><ActionId>04k5g000000blAAAAY</ActionId>"
        f"<SessionId>secret-session</SessionId>{inside}</notifications></e:Body></e:Envelope>"
    ).encode()


def notification(number: int, fields: str = "<sf:Subject>Hi</sf:Subject>") -> str:
    return (
        f"<Notification><Id>04l5g0000000{number:03d}AAA</Id>"
        f'<sObject xsi:type="sf:Case" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">{fields}</sObject></Notification>'
    )


def request(body: bytes, token: str = "token", **headers: str) -> InboundRequest:
    kept = {
        "content-type": "text/xml; charset=UTF-8",
        **{name.replace("_", "-"): v for name, v in headers.items()},
    }
    return InboundRequest(headers=kept, body=body, path_token=token)


@pytest.mark.parametrize(
    ("name", "count", "org"),
    [
        ("sf_om_create_account", 1, "00Dxx0000001gPFEAY"),
        ("sf_om_batch_update_contacts", 3, "00Dxx0000001gPFEAY"),
        ("sf_om_null_field_omitted", 1, "00Dxx0000001gPFEAY"),
        ("sf_om_three_leads_2015_bom", 3, "0123456789ABCDENNN"),
    ],
)
def test_recorded_messages(name: str, count: int, org: str) -> None:
    body = (SAMPLES / f"{name}.xml").read_bytes()
    found = read(body)
    assert (found.problem, len(found.notifications), found.organization_id) == ("", count, org)
    assert all(one.fields["Id"] for one in found.notifications)
    assert b"SessionId" not in msgspec.json.encode(found)
    assert b"BSGSRAzG9" not in msgspec.json.encode(found)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (message(notification(1), head='<!DOCTYPE a [<!ENTITY b "c">]>'), "a DOCTYPE"),
        (message(notification(1), head="<?php x?>"), "a processing instruction"),
        (message("<x>" * 200_000 + "</x>" * 200_000), "elements are nested more than 12 deep"),
        (message(notification(1, "<sf:A>" * 9 + "</sf:A>" * 9)), "elements are nested more than 12 deep"),
        (message("".join(notification(n) for n in range(101))), "more than 100 notifications"),
        (message(notification(1, "<sf:A/>" * 60_001)), "more than 60000 elements"),
        (message(notification(1, f"<sf:A>{'x' * 262_145}</sf:A>")), "a text longer than 262144 characters"),
        (message(""), "there is no notification in it"),
        (b"<a/>", "<a> is not a part of an Outbound Message"),
        (message(notification(1)).replace(b"UTF-8", b"ISO-8859-1"), "the encoding is ISO-8859-1, not UTF-8"),
        (b"", "not well-formed XML: no element found: line 1, column 0"),
    ],
)
def test_refused_at_once(body: bytes, said: str) -> None:
    began = time.process_time()
    assert read(body).problem == said
    assert time.process_time() - began < 1.0


def test_what_defusedxml_refuses_is_refused() -> None:
    bodies = [
        message(notification(1), head='<!DOCTYPE a SYSTEM "file:///etc/passwd">'),
        message(notification(1, "<sf:A>&lol;</sf:A>")),
        message(notification(1, "<sf:A>\x01</sf:A>")),
        message(notification(1))[:-20],
        message(notification(1)) + b"<b/>",
        b"\xff\xfe",
    ]
    for body in bodies:
        with pytest.raises((DefusedXmlException, ElementTree.ParseError)):
            ElementTree.fromstring(body, forbid_dtd=True)
        assert read(body).problem


def test_utf_16_is_refused() -> None:
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        assert read(message(notification(1)).decode().encode(encoding)).problem == "not UTF-8"


def test_a_hundred_are_a_hundred_deliveries() -> None:
    found = verify(settings(), request(message("".join(notification(n) for n in range(100)))))
    assert len({one.delivery_id for one in found}) == 100
    assert found[7].delivery_id == "00D5g000001AbCd:04l5g0000000007AAA"
    assert msgspec.json.decode(found[7].body)["fields"] == {"Subject": "Hi"}
    assert b"secret-session" not in b"".join(one.body for one in found)


def test_the_same_notification_twice_is_one() -> None:
    assert len(verify(settings(), request(message(notification(1) * 2)))) == 1


def test_poison_of_the_right_org_is_stored_once() -> None:
    [one] = verify(settings(), request(message(notification(1) + "<?x y?>")))
    assert one.event_type == "unreadable"
    assert msgspec.json.decode(one.body)["unreadable"] == "a processing instruction"


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (request(message(notification(1)), token=""), SignatureMissing),
        (request(message(notification(1)), token="wrong"), SignatureMismatch),
        (request(message(notification(1), org="00D5g000001AbCeEAK")), SignatureMismatch),
        (request(message(notification(1), head="<!DOCTYPE a>")), SignatureMismatch),
        (request(message(notification(1)), content_encoding="gzip"), SignatureMismatch),
    ],
)
def test_who_is_not_believed(asked: InboundRequest, error: type[Exception]) -> None:
    with pytest.raises(error):
        verify(settings(), asked)


def test_the_org_is_compared_on_fifteen() -> None:
    assert verify(settings(), request(message(notification(1), org=ORG[:15])))


def test_answers() -> None:
    asked = request(message(notification(1)))
    assert say(asked, 200, [Receipt(delivery_id="x", fresh=False)]).body == ACK
    assert ACK.startswith(b"<?xml")
    assert b"<faultcode>soapenv:Client" in say(asked, 403, []).body
    assert b"<faultcode>soapenv:Server" in say(asked, 503, []).body


def test_ids() -> None:
    assert id18("00Dxx0000001gPF") == "00Dxx0000001gPFEAY"
    assert id18("00Dxx0000001gPFEAY") == "00Dxx0000001gPFEAY"
    assert [id18(one) for one in ("00dxx0000001gPFEAY", "../../Account12", "", None, 5)] == [None] * 5
