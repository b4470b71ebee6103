"""Strike's events: the signature over the raw bytes, and which payment or payout an event is about. Used by
`hub/api/rail_webhooks.py`. Nothing else in an event is believed: no time is signed, so that anybody who once saw an event can
send it again (docs.strike.me/webhooks/signature-verification)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from connectors.rails.strike_answers import fields, is_id
from connectors.secret_refs import Secrets
from connectors.signatures import SignatureMismatch, SignatureMissing, signed_by
from core.errors import Malformed
from core.secret import Secret

HEADER = "X-Webhook-Signature"

# `eventType` is `<entity>.<what happened>` (invoice.created, docs.strike.me/api/create-subscription). The names of those
# about payments are on no page that we could read, so that the entity alone counts.
_EVENT = re.compile(r"(payment|payout)\.[a-z_.-]{1,60}")


class Hint(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened to this entity; look it up. `event_id` is the same when Strike sends the event again."""

    event_id: str
    kind: Literal["payment", "payout"]
    entity_id: str


def active(secrets: Sequence[Secrets], now: datetime) -> list[tuple[int, Secret]]:
    """Those of all rails that may have signed at `now` (aware). Empty: nobody is listening."""
    found = [secret for each in secrets for _, secret in each.active(now)]
    return list(enumerate(found))


def verify(signature: str | None, body: bytes, secrets: Sequence[tuple[int, Secret]]) -> None:
    """Hex HMAC-SHA256 of the bytes as they came, by one of `secrets`. Raises SignatureMissing or SignatureMismatch."""
    if not signature:
        raise SignatureMissing(HEADER)
    if signed_by(body, [signature.strip().lower()], secrets) is None:
        raise SignatureMismatch(HEADER, len(secrets))


def hint_of(body: bytes) -> Hint | None:
    """What a verified event is about; None for events about anything but payments and payouts. Raises Malformed for what
    is no event: `{id, eventType, webhookVersion, data: {entityId, changes}, created, deliverySuccess}`."""
    event: Mapping[str, Any] = {}
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        event = fields(msgspec.json.decode(body))
    event_id, kind = event.get("id"), event.get("eventType")
    entity_id = fields(event.get("data")).get("entityId")
    if not is_id(event_id) or not isinstance(kind, str) or not is_id(entity_id):
        raise Malformed("no_event", "The body is not an event of Strike's")
    match = _EVENT.fullmatch(kind)
    if match is None:
        return None
    about: Literal["payment", "payout"] = "payout" if match[1] == "payout" else "payment"
    return Hint(event_id=str(event_id).lower(), kind=about, entity_id=str(entity_id))
