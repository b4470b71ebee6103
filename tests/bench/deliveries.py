"""Signed deliveries of the four helpdesks as their senders make them, a new id each. Built by the load generator
(`requests.py`) from what `senders` read of the connector files; the signatures are computed here on their own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from pathlib import Path
from typing import Any

import yaml

CONFIG = Path(__file__).parents[2] / "config" / "connectors"
# Recorded or documented deliveries that the shipped files are tested with, and the id in each that is new every time.
FIXTURES = {
    "intercom": ("ic_assigned.json", "notif_9108e504-998b-4afb-afd2-000000000001"),
    "pagerduty": ("incident_escalated.json", "01GI0JWUU28G8XE5M6IIT4BZ39"),
    "servicenow": ("sn_assigned.json", "1f0c8e7b4f0b4bb4a1f2a9d0c3e4f501"),
}
TOKEN = "bench-path-token-of-thirty-two-characters"
ACTION = "04k5g000000blAAAAY"
CASE_FIELDS = 20  # beside what every Case has; a message may select any
DESCRIPTION = "The customer says that the parcel arrived open & empty. " * 8
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def senders(secret: str) -> list[dict[str, Any]]:
    """For each connector file we ship: who sends, where to, and with which secret. JSON, for the load generator's plan."""
    found: list[dict[str, Any]] = []
    for path in sorted(CONFIG.glob("*.yaml")):
        document = yaml.safe_load(path.read_text())
        one = {"vendor": document["connector"], "path": f"/hooks/in/{document['id']}", "secret": secret}
        if one["vendor"] == "salesforce":
            message = document["inbound"]["outbound_message"]
            one["organisation"] = document["org_id"]
            one["action"] = next(iter(message.get("action_ids", [])), ACTION)
            one["path"] += f"/{TOKEN}"
        found.append(one)
    return found


def delivery(sender: dict[str, Any], name: str, number: int) -> tuple[str, bytes, dict[str, str]]:
    """(path, body, headers) of the delivery with this name; `number` is new for each of a server's deliveries."""
    vendor = sender["vendor"]
    if vendor == "salesforce":
        return sender["path"], outbound_message(sender, [number]), {"Content-Type": "text/xml; charset=UTF-8"}
    text, old = _fixture(vendor)
    body = text.replace(old, name).encode()
    return sender["path"], body, {"Content-Type": "application/json", **_signed(sender, name, body)}


def _signed(sender: dict[str, Any], name: str, body: bytes) -> dict[str, str]:
    key = sender["secret"].encode()
    if sender["vendor"] == "intercom":
        return {"X-Hub-Signature": f"sha1={hmac.new(key, body, hashlib.sha1).hexdigest()}"}
    if sender["vendor"] == "pagerduty":
        return {"X-PagerDuty-Signature": f"v1={hmac.new(key, body, hashlib.sha256).hexdigest()}"}
    stamp = str(int(time.time()))
    made = hmac.new(key, f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(made).decode()}"
    return {"webhook-id": name, "webhook-timestamp": stamp, "webhook-signature": signature}


def outbound_message(sender: dict[str, Any], numbers: list[int]) -> bytes:
    """One Case for each number, in the SOAP of an Outbound Message (the WSDL that every org offers for download)."""
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
        ' <soapenv:Body>\n  <notifications xmlns="http://soap.sforce.com/2005/09/outbound">\n'
        f"   <OrganizationId>{sender['organisation']}</OrganizationId>\n"
        f'   <ActionId>{sender["action"]}</ActionId>\n   <SessionId xsi:nil="true"/>\n'
        "   <EnterpriseUrl>https://acme.my.salesforce.com/services/Soap/c/65.0/0</EnterpriseUrl>\n"
        "   <PartnerUrl>https://acme.my.salesforce.com/services/Soap/u/65.0/0</PartnerUrl>\n"
    )
    cases = "".join(_case(number) for number in numbers)
    return (head + cases + "  </notifications>\n </soapenv:Body>\n</soapenv:Envelope>").encode()


def _case(number: int) -> str:
    fields = {
        "Id": record_id("500", number),
        "CaseNumber": f"{number:08}",
        "CreatedDate": "2026-11-23T10:00:00.000Z",
        "Description": DESCRIPTION.replace("&", "&amp;"),
        "IsEscalated": "true",
        "LastModifiedById": record_id("005", 7),
        "LastModifiedDate": "2026-11-23T10:05:00.000Z",
        "Origin": "Web",
        "Priority": "High",
        "Status": "Escalated",
        "Subject": f"Parcel {number} arrived empty",
        "SystemModstamp": "2026-11-23T10:05:00.000Z",
        **{f"Detail_{extra}__c": f"Value {extra} of case {number}" for extra in range(CASE_FIELDS)},
    }
    members = "".join(f"     <sf:{name}>{value}</sf:{name}>\n" for name, value in fields.items())
    return (
        f"   <Notification>\n    <Id>{record_id('04l', number)}</Id>\n"
        '    <sObject xsi:type="sf:Case" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">\n'
        f"{members}    </sObject>\n   </Notification>\n"
    )


def record_id(prefix: str, number: int) -> str:
    """18 characters: the last three tell which of the others are upper case."""
    digits = ""
    for _ in range(9):
        number, rest = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[rest] + digits
    whole = f"{prefix}5g0{digits}"
    groups = (whole[0:5], whole[5:10], whole[10:15])
    bits = (sum(1 << at for at, char in enumerate(group) if "A" <= char <= "Z") for group in groups)
    return whole + "".join(_SUFFIX[bit] for bit in bits)


_read: dict[str, tuple[str, str]] = {}


def _fixture(vendor: str) -> tuple[str, str]:
    if vendor not in _read:
        name, old = FIXTURES[vendor]
        _read[vendor] = ((CONFIG / "fixtures" / name).read_text().strip(), old)
    return _read[vendor]
