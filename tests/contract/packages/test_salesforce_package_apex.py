"""The Apex of the Salesforce package: it parses, and what it sends is what the hub takes. It cannot run here, so its
documented string building is done again in Python from what stands in its source."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from connectors import signed_json
from connectors.connector import InboundRequest
from connectors.secret_refs import SecretRef, Secrets
from core import clock
from core.secret import Secret
from tests.absent import needed
from tests.architecture.source import ROOT
from tests.contract.packages import salesforce_source as sf

PEER = ROOT / "tests/peers/apex"
MESSAGE, SENDER = sf.apex("HitlHubMessage"), sf.apex("HitlHubSender")
# The example secret of the Standard Webhooks specification.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CONTRACT = {
    "": {"schema", "event_id", "sent_at", "source", "actor", "reason", "fields", "attachments"},
    "source": {"system", "instance", "table", "id", "number", "revision", "url"},
    "actor": {"id", "name"},
}


def _needs_the_parser() -> None:
    """Without node, or where tests/peers/install.sh has not run, these tests are left out; under CI=true they fail."""
    needed(shutil.which("node") is not None, "Node (Debian's nodejs)")
    parser = PEER / "node_modules/@apexdevtools/apex-parser"
    needed(parser.is_dir(), "@apexdevtools/apex-parser (`make peers`)")


def _parsed(*files: str) -> dict[str, list[str]]:
    _needs_the_parser()
    done = subprocess.run(
        ["node", str(PEER / "parse.mjs"), *files], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_all_apex_parses() -> None:
    files = [str(path) for path in sorted([*sf.SOURCE.rglob("*.cls"), *sf.SOURCE.rglob("*.trigger")])]
    assert len(files) == 12
    assert _parsed(*files) == {name: [] for name in files}


def test_the_parser_would_say_so(tmp_path: Any) -> None:
    broken = tmp_path / "Broken.cls"
    broken.write_text("public class Broken { void run() { Integer i = ; } }")
    assert _parsed(str(broken))[str(broken)] != []


def _keys(source: str) -> list[str]:
    """The keys of the first map literal in the source, those of maps inside it left out."""
    depth, keys = 0, []
    for match in re.finditer(r"[{}]|'(\w+)' =>", source[source.index("new Map<String, Object>{") :]):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth == 0:
                break
        elif depth == 1:
            keys.append(match[1])
    return keys


def _body_of(source: str, signature: str) -> str:
    start = source.index(signature)
    return source[start : source.index("\n    }\n", start)]


DOCUMENT = _body_of(MESSAGE, "Map<String, Object> document(")
NAMES = {
    "": _keys(DOCUMENT),
    "source": _keys(DOCUMENT[DOCUMENT.index("'source' =>") :]),
    "actor": _keys(DOCUMENT[DOCUMENT.index("'actor' =>") :]),
}


@pytest.mark.parametrize("part", ["", "source", "actor"])
def test_the_names_are_those_of_the_contract(part: str) -> None:
    assert len(NAMES[part]) == len(set(NAMES[part]))
    assert set(NAMES[part]) == CONTRACT[part]
    struct = {"": signed_json.Event, "source": signed_json.Source, "actor": signed_json.Actor}[part]
    known = {field.encode_name: field.required for field in msgspec.structs.fields(struct)}
    assert set(NAMES[part]) <= set(known)
    assert {name for name, required in known.items() if required} <= set(NAMES[part])


def test_the_constants_are_those_of_the_contract() -> None:
    for name, value in (("schema", signed_json.SCHEMA), ("system", "salesforce"), ("table", "Case")):
        assert f"'{name}' => '{value}'" in DOCUMENT
    assert "formatGmt('yyyy-MM-dd\\'T\\'HH:mm:ss\\'Z\\'')" in DOCUMENT


def _message(fields: dict[str, Any], at: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {
        "schema": "hitl.escalation.v1",
        "event_id": "0f0c7f6e-6a6d-4d0e-9c9f-0a4d1f3f8a55",
        "sent_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "source": {
            "system": "salesforce",
            "instance": "00D5g000001AbCdEAK",
            "table": "Case",
            "id": "5005g00000XyZabAAB",
            "number": "00001026",
            "revision": str(int(at.timestamp() * 1000)),
            "url": "https://acme.my.salesforce.com/5005g00000XyZabAAB",
        },
        "actor": {"id": "0055g00000AbCdEAAX", "name": "Ada Lovelace"},
        "reason": "hitl_requested",
        "fields": fields,
        "attachments": [],
    }
    made = {name: values[name] for name in NAMES[""]}
    made["source"] = {name: values["source"][name] for name in NAMES["source"]}
    made["actor"] = {name: values["actor"][name] for name in NAMES["actor"]}
    return made


def _ascii(serialized: str) -> str:
    """HitlHubMessage.ascii: the same pattern, and four hex digits for each UTF-16 unit."""
    pattern = re.search(r"Pattern\.compile\('([^']+)'\)", _body_of(MESSAGE, "String ascii("))
    assert pattern is not None
    hex_digits = re.search(r"HEX = '(\w+)'", MESSAGE)
    assert hex_digits is not None

    def escaped(match: re.Match[str]) -> str:
        wide = match[0].encode("utf-16-be", "surrogatepass")
        units = [int.from_bytes(wide[at : at + 2]) for at in range(0, len(wide), 2)]
        return "".join(
            "\\u" + "".join(hex_digits[1][(unit >> shift) & 15] for shift in (12, 8, 4, 0)) for unit in units
        )

    return re.sub(pattern[1], escaped, serialized)


def _signature(event_id: str, timestamp: str, body: str, secrets: list[str]) -> str:
    """HitlHubMessage.signature, expression by expression."""
    expression = re.sub(r"\s+", "", _body_of(MESSAGE, "String signature("))
    assert (
        "'v1,'+EncodingUtil.base64Encode(Crypto.generateMac('hmacSHA256',"
        "Blob.valueOf(id+'.'+timestamp+'.'+body),EncodingUtil.base64Decode(secretB64)))" in expression
    )
    assert "secret.removeStart('whsec_')" in expression
    assert "String.join(signatures,'')" in expression  # the blank between them went with the others above
    made = [
        "v1,"
        + base64.b64encode(
            hmac.new(
                base64.b64decode(secret.removeprefix("whsec_")),
                f"{event_id}.{timestamp}.{body}".encode(),
                hashlib.sha256,
            ).digest()
        ).decode()
        for secret in secrets
    ]
    return " ".join(made)


def _secrets(*texts: str) -> Secrets:
    return Secrets([SecretRef(ref=f"env:S{at}", secret=Secret(text)) for at, text in enumerate(texts)])


def _request(body: str, event_id: str, secrets: list[str]) -> InboundRequest:
    """With the headers that HitlHubSender sets."""
    timestamp = str(clock.unix())
    values = {
        "'application/json'": "application/json",
        "row.Event_Id__c": event_id,
        "timestamp": timestamp,
        "HitlHubMessage.signature(row.Event_Id__c,timestamp,row.Payload__c,secrets)": _signature(
            event_id, timestamp, body, secrets
        ),
    }
    set_headers = re.findall(r"setHeader\('([\w-]+)',(.+?)\);", re.sub(r"\s+", "", SENDER))
    assert "request.setBody(row.Payload__c)" in SENDER
    return InboundRequest(
        headers={name.lower(): values[value] for name, value in set_headers}, body=body.encode()
    )


def test_the_hub_takes_the_message() -> None:
    at = clock.now().astimezone(UTC)
    made = _message({"Subject": "Zürich 😀 \x7f", "Description": None, "Priority": "High"}, at)
    body = _ascii(json.dumps(made, ensure_ascii=False))
    assert body.isascii()
    request = _request(body, made["event_id"], [SECRET])
    assert set(request.headers) == {"content-type", "webhook-id", "webhook-timestamp", "webhook-signature"}

    delivery = signed_json.verify(request, signed_json.SignedJson(secrets=_secrets(SECRET)))

    assert (delivery.delivery_id, delivery.verified_by) == (made["event_id"], 0)
    event = signed_json.parse(delivery.body)
    assert event.source.order == int(made["source"]["revision"])
    document = signed_json.document(event)
    assert document["fields"] == made["fields"]
    assert document["event"]["reason"] == "hitl_requested"


def test_standardwebhooks_verifies_it() -> None:
    made = _message({"Subject": "Ü"}, clock.now())
    body = _ascii(json.dumps(made, ensure_ascii=False))
    request = _request(body, made["event_id"], [SECRET])
    assert Webhook(SECRET).verify(body, dict(request.headers)) == made


def test_while_secrets_change_both_ends_agree() -> None:
    old, new = SECRET, "whsec_" + base64.b64encode(b"n" * 32).decode()
    made = _message({}, clock.now())
    body = _ascii(json.dumps(made))
    request = _request(body, made["event_id"], [new, old])
    for known in (old, new):
        assert Webhook(known).verify(body, dict(request.headers)) == made
        assert signed_json.verify(request, signed_json.SignedJson(secrets=_secrets(known))).verified_by == 0


def test_the_example_in_the_apex_test_is_right() -> None:
    expected, event_id, timestamp, body, secret = re.findall(
        r"'((?:[^'\\]|\\.)*)'",
        _body_of(sf.apex("HitlHubMessageTest"), "void signatureIsTheSpecificationsExample()"),
    )
    when = datetime.fromtimestamp(int(timestamp), UTC)
    assert Webhook(secret).sign(event_id, when, body) == expected
    assert _signature(event_id, timestamp, body, [secret]) == expected


@given(st.text())
def test_escaping_changes_no_text(text: str) -> None:
    escaped = _ascii(json.dumps(text, ensure_ascii=False))
    assert escaped.isascii()
    assert escaped.isprintable()
    assert json.loads(escaped) == text


def test_the_body_profile_of_the_guide_is_what_the_hub_takes() -> None:
    guide = (sf.PACKAGE / "README.md").read_text()
    formula = "{!BASE64ENCODE(HMAC('SHA-256', $Credential.HITL_Hub_Flow.Body, BLOB($Credential.HITL_Hub_Flow.Secret)))}"
    assert formula in guide
    assert "X-Hitl-Body-Signature" in guide
    example = re.search(r"```json\n(.*?)```", guide, re.DOTALL)
    assert example is not None
    sent_at = clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = re.sub(r'"sent_at": "[^"]+"', f'"sent_at": "{sent_at}"', example[1]).strip().encode()
    secret = "a plain text of 40 characters, not whsec"
    signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    request = InboundRequest(headers={"x-hitl-body-signature": signature}, body=body)
    settings = signed_json.SignedJson(secrets=_secrets(SECRET), body_hmac=_secrets(secret))

    delivery = signed_json.verify(request, settings)

    event = signed_json.parse(delivery.body)
    assert delivery.delivery_id == event.event_id
    assert event.source.table == "Case"
