"""Is this delivery Intercom's? `X-Hub-Signature` (HMAC-SHA1) on webhooks, `X-Body-Signature` (HMAC-SHA256) on uninstall
and health-check calls, both over the raw body with the app's client secret. Called by the hub's inbound route."""

from __future__ import annotations

import hashlib
import re
from typing import Any, TypeGuard, cast

import msgspec

from connectors.connector import InboundRequest
from connectors.intercom.settings import IntercomSettings
from connectors.signatures import SignatureMismatch, SignatureMissing, signed_by
from core import clock
from core.intake.envelope import InboundDelivery

HUB_SIGNATURE = "X-Hub-Signature"  # developers.intercom.com, Webhook topics, "Signed notifications"
BODY_SIGNATURE = "X-Body-Signature"  # the same client secret; seen in dubinc/dub#4054
PREFIX = "sha1="
KEPT_HEADERS = ("user-agent", "content-type", "intercom-version")
_WORD = re.compile(r"[!-~]{1,128}\Z")


def verify(settings: IntercomSettings, request: InboundRequest) -> tuple[InboundDelivery, ...]:
    """The one delivery, once an active client secret made either signature.

    Raises SignatureMissing or SignatureMismatch and nothing else: a verified body of an unknown shape is still a
    delivery. The signature has no timestamp; a replay is caught by the notification's id."""
    hub = request.headers.get(HUB_SIGNATURE.lower(), "").strip()
    body = request.headers.get(BODY_SIGNATURE.lower(), "").strip()
    if not hub and not body:
        raise SignatureMissing(HUB_SIGNATURE)
    secrets = settings.auth.client_secrets.active(clock.now())
    position = None
    if hub.startswith(PREFIX):
        position = signed_by(request.body, [hub[len(PREFIX) :]], secrets, "sha1")
    if position is None and body:
        position = signed_by(request.body, [body], secrets, "sha256")
    if position is None:
        raise SignatureMismatch(HUB_SIGNATURE if hub else BODY_SIGNATURE, len(secrets))
    delivery_id, topic = identify(request.body)
    kept = {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers}
    return (
        InboundDelivery(
            delivery_id=delivery_id, event_type=topic, body=request.body, headers=kept, verified_by=position
        ),
    )


def identify(body: bytes) -> tuple[str, str]:
    """(notification id, topic). The id is the same on the one retry; a ping has none, and neither has a health check:
    those are known by their digest."""
    notification: dict[str, Any] = {}
    try:
        document: object = msgspec.json.decode(body)
        notification = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        notification = {}  # normalize() reads it again and records why it is malformed
    delivery_id, topic = notification.get("id"), notification.get("topic")
    return (
        delivery_id if _is_word(delivery_id) else f"sha256:{hashlib.sha256(body).hexdigest()}",
        topic if _is_word(topic) else "unknown",
    )


def _is_word(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _WORD.match(value) is not None
