"""Is this delivery Salesforce's? An Outbound Message by the org id and what else the file demands, signed JSON by its
signature. Called by the hub's inbound route."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any

import msgspec

from connectors import signed_json
from connectors.connector import InboundRequest
from connectors.salesforce.ids import RECORD_ID
from connectors.salesforce.outbound_message import BOM, Message, Notification, read
from connectors.salesforce.settings import OutboundMessage, SalesforceSettings
from connectors.signatures import SignatureMismatch, SignatureMissing
from core import clock
from core.intake.envelope import InboundDelivery

KEPT_HEADERS = ("content-type", "user-agent")


def is_soap(request: InboundRequest) -> bool:
    """By its media type, or its first byte where a proxy lost that; never what is signed, whatever its bytes are."""
    if signed_json.SIGNATURE in request.headers or signed_json.BODY_SIGNATURE in request.headers:
        return False
    if "xml" in request.headers.get("content-type", "").lower():
        return True
    return request.body.removeprefix(BOM)[:64].lstrip().startswith(b"<")


def verify(settings: SalesforceSettings, request: InboundRequest) -> tuple[InboundDelivery, ...]:
    """One delivery for each notification of an Outbound Message, or the one of signed JSON.

    Raises SignatureMissing or SignatureMismatch and nothing else. What cannot be read but is proven to come from the
    org is one delivery all the same: a refusal would bring it, and the others with it, again for 24 hours."""
    if not is_soap(request):
        if settings.inbound.json is None:
            raise SignatureMissing("inbound.signed_json (not enabled)")
        return (signed_json.verify(request, settings.inbound.json),)
    rules = settings.inbound.messages
    if rules is None:
        raise SignatureMissing("inbound.outbound_message (not enabled)")
    position = _proven(rules, request)
    message = _read(request)
    if not hmac.compare_digest(message.organization_id[:15].encode(), settings.org15.encode()):
        raise SignatureMismatch("OrganizationId", 1)
    kept = {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers}
    found: dict[str, InboundDelivery] = {}
    if message.problem:
        one = _unreadable(message, request.body, kept, position)
        found[one.delivery_id] = one
    for notification in [] if message.problem else message.notifications:
        one = _delivery(message, notification, kept, position)
        found.setdefault(one.delivery_id, one)
    return tuple(found.values())


def event_type_of(fields: Mapping[str, Any]) -> str:
    """An Outbound Message names no event, so it is told from the record: its dates are equal while it is new, and it
    comes without data when it was deleted before the message left."""
    if not fields:
        return "record.deleted"
    created, modified = fields.get("CreatedDate"), fields.get("LastModifiedDate")
    return "record.created" if created is not None and created == modified else "record.updated"


def _proven(rules: OutboundMessage, request: InboundRequest) -> int:
    """The number of the path token that matched (0 where none is asked for), before a byte of XML is read."""
    position = 0
    if "path_token" in rules.require:
        position = _token(rules, request.path_token)
    if "ip" in rules.require and not _from_allowed(request.client_ip, rules.ip_allow):
        raise SignatureMismatch("client address (ip_allow)", len(rules.ip_allow))
    if "mtls" in rules.require:
        assert rules.mtls_header is not None  # settings
        said = request.headers.get(rules.mtls_header.lower(), "").strip()
        if not said:
            raise SignatureMissing(rules.mtls_header)
        matches = [hmac.compare_digest(said.encode(), value.encode()) for value in rules.mtls_values if value]
        if not any(matches):
            raise SignatureMismatch(rules.mtls_header, len(matches))
    return position


def _token(rules: OutboundMessage, presented: str) -> int:
    if not presented:
        raise SignatureMissing("path token")
    active = rules.path_token.active(clock.now()) if rules.path_token else []
    given = presented.encode("utf-8", "replace")
    matches = [
        position for position, secret in active if hmac.compare_digest(secret.reveal().encode(), given)
    ]
    if not matches:
        raise SignatureMismatch("path token", len(active))
    return matches[0]


def _from_allowed(client_ip: str, allowed: list[str]) -> bool:
    try:
        address = ip_address(client_ip)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in ip_network(entry) for entry in allowed)


def _read(request: InboundRequest) -> Message:
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        return Message(problem=f"the content encoding {encoding[:20]} is refused")
    return read(request.body, request.headers.get("content-type", ""))


def _delivery(
    message: Message, notification: Notification, headers: dict[str, str], position: int
) -> InboundDelivery:
    body = _canonical(
        {
            "organization_id": message.organization_id,
            "action_id": message.action_id,
            "notification_id": notification.notification_id,
            "object_type": notification.object_type,
            "fields": notification.fields,
        }
    )
    known = RECORD_ID.match(notification.notification_id) is not None
    name = notification.notification_id if known else f"sha256:{hashlib.sha256(body).hexdigest()}"
    return InboundDelivery(
        delivery_id=f"{message.organization_id[:15]}:{name}",
        event_type=event_type_of(notification.fields),
        body=body,
        headers=headers,
        verified_by=position,
    )


def _unreadable(message: Message, raw: bytes, headers: dict[str, str], position: int) -> InboundDelivery:
    body = _canonical(
        {
            "organization_id": message.organization_id,
            "action_id": message.action_id,
            "notification_id": "",
            "unreadable": message.problem,
            "read": [one.notification_id for one in message.notifications],
        }
    )
    return InboundDelivery(
        delivery_id=f"{message.organization_id[:15]}:sha256:{hashlib.sha256(raw).hexdigest()}",
        event_type="unreadable",
        body=body,
        headers=headers,
        verified_by=position,
    )


def _canonical(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value, order="sorted")
