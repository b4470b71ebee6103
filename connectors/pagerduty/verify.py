"""Is this delivery PagerDuty's? `X-PagerDuty-Signature` over the raw body, several values while secrets rotate
(PagerDuty/developer-docs docs/webhooks/04-Signatures.md). Called by the hub's inbound route."""

from __future__ import annotations

import hashlib
import re
from typing import Any, TypeGuard, cast

import msgspec

from connectors.connector import InboundRequest
from connectors.pagerduty.settings import PagerDutySettings
from connectors.signatures import SignatureMismatch, SignatureMissing, signed_by
from core import clock
from core.intake.envelope import InboundDelivery

HEADER = "X-PagerDuty-Signature"
VERSION = "v1="
KEPT_HEADERS = ("x-webhook-id", "x-webhook-subscription", "user-agent", "content-type")
_WORD = re.compile(r"[!-~]{1,128}\Z")


def verify(settings: PagerDutySettings, request: InboundRequest) -> tuple[InboundDelivery, ...]:
    """The one delivery, once any of its signatures was made by any active secret.

    Raises SignatureMissing or SignatureMismatch and nothing else: a verified body of an unknown shape is still a
    delivery, because a refusal would count towards PagerDuty disabling the subscription."""
    header, body = request.headers.get(HEADER.lower(), ""), request.body
    if not header.strip():
        raise SignatureMissing(HEADER)
    secrets = settings.auth.webhook_secrets.active(clock.now())
    position = signed_by(body, presented(header), secrets)
    if position is None:
        raise SignatureMismatch(HEADER, len(secrets))
    delivery_id, event_type = identify(body)
    kept = {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers}
    return (
        InboundDelivery(
            delivery_id=delivery_id, event_type=event_type, body=body, headers=kept, verified_by=position
        ),
    )


def presented(header: str) -> list[str]:
    """The hex values of `v1=<hex>,v1=<hex>`; other versions are not ours to judge."""
    items = (item.strip() for item in header.split(","))
    return [item[len(VERSION) :] for item in items if item.startswith(VERSION)]


def identify(body: bytes) -> tuple[str, str]:
    """(event id, event type). `event.id` is the same on every try and across two subscriptions that carry the same
    event; a body without a usable one is known by its digest, so that its retries are still duplicates."""
    event: dict[str, Any] = {}
    try:
        document: object = msgspec.json.decode(body)
        inner = cast("dict[str, object]", document).get("event") if isinstance(document, dict) else None
        event = cast("dict[str, Any]", inner) if isinstance(inner, dict) else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        event = {}  # normalize() reads it again and records why it is malformed
    delivery_id, event_type = event.get("id"), event.get("event_type")
    return (
        delivery_id if _is_word(delivery_id) else f"sha256:{hashlib.sha256(body).hexdigest()}",
        event_type if _is_word(event_type) else "unknown",
    )


def _is_word(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _WORD.match(value) is not None
