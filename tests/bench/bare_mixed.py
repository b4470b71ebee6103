"""The reference of `intake_mixed`: the four vendors' proofs with the standard library, and the one statement of
`bare_sql.py`. Served by `bare.py`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from typing import Any
from xml.etree import ElementTree

import msgspec
from litestar import Litestar, Request, Response, post
from litestar.params import FromPath

from core import ids
from tests.bench.bare import pool, served
from tests.bench.bare_sql import INBOX

SOAP = "{http://soap.sforce.com/2005/09/outbound}"
ACK = b'<?xml version="1.0" encoding="UTF-8"?>\n<Envelope><Body><notificationsResponse><Ack>true</Ack></notificationsResponse></Body></Envelope>'
Found = list[tuple[str, str, bytes]]  # (id, type, body) of each delivery of a request


class Intercom(msgspec.Struct):
    id: str
    topic: str


class Event(msgspec.Struct):
    id: str
    event_type: str


class PagerDuty(msgspec.Struct):
    event: Event


class ServiceNow(msgspec.Struct):
    event_id: str
    type: str


_intercom = msgspec.json.Decoder(Intercom)
_pagerduty = msgspec.json.Decoder(PagerDuty)
_servicenow = msgspec.json.Decoder(ServiceNow)


def intake() -> Litestar:
    """Proof, id, one statement a delivery, one commit a request."""
    secret = os.environ["BENCH_SECRET"].encode()
    senders = {one["path"].split("/")[3]: one for one in json.loads(os.environ["BENCH_SENDERS"])}

    @post(["/hooks/in/{name:str}", "/hooks/in/{name:str}/{token:str}"], status_code=200)
    async def receive(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
        body, sender = await request.body(), senders[name]
        found = PROOFS[sender["vendor"]](request, body, secret, sender)
        if found is None:
            return Response(b"", status_code=401, media_type="text/plain")
        now = time.time_ns() // 1_000_000
        rows = [(ids.new("inb"), name, one, kind, raw, now, ids.new("job")) for one, kind, raw in found]
        if len(rows) == 1:
            await request.app.state.pool.execute(INBOX, *rows[0])
        else:
            async with request.app.state.pool.acquire() as connection, connection.transaction():
                await connection.executemany(INBOX, rows)
        return Response(ACK if sender["vendor"] == "salesforce" else b"", media_type="text/xml")

    return served(receive, pool)


def _matches(made: str, presented: str) -> bool:
    return hmac.compare_digest(made.encode(), presented.encode())


def _by_intercom(request: Any, body: bytes, secret: bytes, sender: Any) -> Found | None:
    made = hmac.new(secret, body, hashlib.sha1).hexdigest()
    if not _matches(f"sha1={made}", request.headers.get("x-hub-signature", "")):
        return None
    one = _intercom.decode(body)
    return [(one.id, one.topic, body)]


def _by_pagerduty(request: Any, body: bytes, secret: bytes, sender: Any) -> Found | None:
    made = hmac.new(secret, body, hashlib.sha256).hexdigest()
    if not _matches(f"v1={made}", request.headers.get("x-pagerduty-signature", "")):
        return None
    event = _pagerduty.decode(body).event
    return [(event.id, event.event_type, body)]


def _by_servicenow(request: Any, body: bytes, secret: bytes, sender: Any) -> Found | None:
    name, stamp = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "0")
    made = hmac.new(secret, f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
    if not _matches(f"v1,{base64.b64encode(made).decode()}", request.headers.get("webhook-signature", "")):
        return None
    if abs(time.time() - int(stamp)) > 300:
        return None
    one = _servicenow.decode(body)
    return [(one.event_id, one.type, body)]


def _by_salesforce(request: Any, body: bytes, secret: bytes, sender: Any) -> Found | None:
    if not _matches(sender["path"].rpartition("/")[2], request.path_params.get("token", "")):
        return None
    message = ElementTree.fromstring(body)[0][0]
    if message.findtext(f"{SOAP}OrganizationId") != sender["organisation"]:
        return None
    found: Found = []
    for one in message.iter(f"{SOAP}Notification"):
        fields = {member.tag.rpartition("}")[2]: member.text for member in one[1]}
        found.append((one.findtext(f"{SOAP}Id") or "", "record.updated", msgspec.json.encode(fields)))
    return found


PROOFS = {
    "intercom": _by_intercom,
    "pagerduty": _by_pagerduty,
    "servicenow": _by_servicenow,
    "salesforce": _by_salesforce,
}
