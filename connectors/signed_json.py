"""The JSON contract `hitl.escalation.v1` that our own packages for Salesforce and ServiceNow send: who signed it, and
what it says. Called by the `verify.py`, `normalize.py` and `say` of these connectors.

Two proofs. Standard Webhooks (github.com/standard-webhooks/standard-webhooks, spec): HMAC-SHA256 over
`id.timestamp.body`, base64, in `webhook-signature: v1,...`; every attempt is signed anew, so five minutes of tolerance
refuse nobody. The body profile: base64 HMAC-SHA256 of the body alone in `X-Hitl-Body-Signature`, because a formula of a
Salesforce Named Credential can sign nothing else; it is off unless `body_hmac` is configured."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from connectors.connector import InboundRequest, Receipt, Said
from connectors.secret_refs import Secrets
from connectors.signatures import MAX_PRESENTED, SignatureMismatch, SignatureMissing
from core import clock
from core.errors import HubError
from core.intake.envelope import InboundDelivery
from core.secret import Secret

SCHEMA = "hitl.escalation.v1"
SIGNATURE, BODY_SIGNATURE = "webhook-signature", "x-hitl-body-signature"
TOLERANCE = 300  # seconds between the sender's clock and ours
# The body profile's `sent_at` is inside the signed bytes, so a retry carries the old one: Flow tries again for up to
# two hours, an outbox for 24. Within that time a replay is a known event_id and does nothing (ids are kept longer).
BODY_MAX_AGE = 25 * 3600  # seconds
DEFAULT_TYPE = "record.updated"
KEPT_HEADERS = ("webhook-id", "webhook-timestamp", "user-agent", "content-type")
_WORD = re.compile(r"[!-~]{1,128}\Z")
_WHSEC = "whsec_"


class SignedJson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`inbound.signed_json` of a file. A secret is `whsec_<base64>`, or any other text that is used as it stands."""

    secrets: Secrets
    enabled: bool = True
    body_hmac: Secrets | None = None


class Stale(SignatureMismatch):
    """Signed by us, but too long ago, or by a clock that is wrong."""

    def __init__(self, header: str, seconds: int, active: int):
        HubError.__init__(
            self,
            "signature_stale",
            f"{header}: signed {abs(seconds)} s {'ago' if seconds >= 0 else 'ahead'}; check the sender's clock.",
            header=header,
            active=active,
        )


class Unreadable(Exception):
    """A verified body that is not of the contract; the text names the member and what it must be."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The record that the event is about. `revision` grows with every change of it."""

    system: str
    table: str
    id: str
    instance: str | None = None
    number: str | None = None
    revision: str | int | None = None
    url: str | None = None

    @property
    def order(self) -> int | None:
        """The revision as a number, None when it is none (`revision` of core/intake/envelope.Origin)."""
        if isinstance(self.revision, str) and self.revision.isascii() and self.revision.isdigit():
            return _fits(int(self.revision)) if len(self.revision) <= 18 else None
        return _fits(self.revision) if isinstance(self.revision, int) else None


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    id: str | None = None
    name: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A body of the contract. `type` is `record.created`, `record.updated` or `record.deleted`; `fields` are the
    record's, under the vendor's own names. Members that we do not know are for a later version and left alone."""

    schema: str
    event_id: str
    sent_at: datetime
    source: Source
    type: str = DEFAULT_TYPE
    actor: Actor | None = None
    reason: str | None = None
    fields: dict[str, Any] = {}
    attachments: list[dict[str, Any]] = []


def verify(request: InboundRequest, settings: SignedJson) -> InboundDelivery:
    """The one delivery of a request. Its id is the body's `event_id` (a sender may stamp a new `webhook-id` on each
    attempt), else the signed `webhook-id`, else the body's digest. `verified_by` numbers `secrets`, then `body_hmac`.

    Raises SignatureMissing or SignatureMismatch and nothing else, whatever the bytes are."""
    headers, body = request.headers, request.body
    if headers.get(SIGNATURE, "").strip():
        position = _standard(request, settings.secrets)
    elif settings.body_hmac is not None and headers.get(BODY_SIGNATURE, "").strip():
        position = len(settings.secrets.entries) + _of_body(request, settings.body_hmac)
    else:
        raise SignatureMissing(SIGNATURE)
    event = _members(body)
    event_id, kind = event.get("event_id"), event.get("type")
    webhook_id = headers.get("webhook-id", "")
    if not _is_word(event_id):
        event_id = webhook_id if _is_word(webhook_id) else f"sha256:{hashlib.sha256(body).hexdigest()}"
    return InboundDelivery(
        delivery_id=cast("str", event_id),
        event_type=cast("str", kind) if _is_word(kind) else DEFAULT_TYPE,
        body=body,
        headers={name: headers[name] for name in KEPT_HEADERS if name in headers},
        verified_by=position,
    )


def parse(body: bytes) -> Event:
    """The body, checked against the contract. Raises Unreadable with the member's path."""
    try:
        event = msgspec.json.decode(body, type=Event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Unreadable(" ".join(str(error).split())[:200]) from error
    if event.schema != SCHEMA:
        raise Unreadable(f"`schema` is {event.schema[:40]!r}, not {SCHEMA!r}")
    if event.sent_at.tzinfo is None:
        raise Unreadable("`sent_at` needs a time zone, such as 2026-11-23T10:00:00Z")
    for name, value in (
        ("event_id", event.event_id),
        ("type", event.type),
        ("source.table", event.source.table),
        ("source.id", event.source.id),
    ):
        if not _is_word(value):
            raise Unreadable(f"`{name}` must be 1 to 128 printable ASCII characters without spaces")
    return event


def document(event: Event) -> dict[str, Any]:
    """What routes look at: {event, source, actor, fields}."""
    return {
        "event": {
            "id": event.event_id,
            "type": event.type,
            "reason": event.reason,
            "sent_at": clock.iso(event.sent_at),
            "attachments": event.attachments,
        },
        "source": msgspec.to_builtins(event.source),
        "actor": msgspec.to_builtins(event.actor or Actor()),
        "fields": event.fields,
    }


def answer(status: int, receipts: Sequence[Receipt]) -> Said:
    """`{"id", "duplicate", "task_id"}` of the delivery; a refusal says no more than that it is one."""
    said: dict[str, Any] = {"error": "refused" if status < 500 else "try again later"}
    if receipts and status < 400:
        said = {
            "id": receipts[0].delivery_id,
            "duplicate": not receipts[0].fresh,
            "task_id": receipts[0].task_id,
        }
    return Said(media_type="application/json", body=msgspec.json.encode(said))


def key_of(secret: Secret) -> bytes | None:
    """The bytes that sign; None for an empty secret or a `whsec_` whose rest is no base64: it signs nothing."""
    text = secret.reveal()
    if not text.startswith(_WHSEC):
        return text.encode() or None
    try:
        return base64.b64decode(text[len(_WHSEC) :], validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _standard(request: InboundRequest, secrets: Secrets) -> int:
    headers, body = request.headers, request.body
    webhook_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "").strip()
    items = headers[SIGNATURE].split()[:MAX_PRESENTED]
    presented = [item.partition(",")[2] for item in items if item.startswith("v1,")]
    message = f"{webhook_id}.{stamp}.".encode("utf-8", "replace") + body
    position, active = _signer(message, presented, secrets)
    if position is None or not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise SignatureMismatch(SIGNATURE, active)
    age = _arrived(request) - int(stamp)
    if abs(age) > TOLERANCE:
        raise Stale(SIGNATURE, age, active)
    return position


def _of_body(request: InboundRequest, secrets: Secrets) -> int:
    headers, body = request.headers, request.body
    position, active = _signer(body, [headers[BODY_SIGNATURE].strip()], secrets)
    if position is None:
        raise SignatureMismatch(BODY_SIGNATURE, active)
    sent_at = _moment(_members(body).get("sent_at"))
    if sent_at is None:
        raise SignatureMismatch(BODY_SIGNATURE, active)  # without it the bytes could be sent again for ever
    age = _arrived(request) - clock.to_ms(sent_at) // 1000
    if not -TOLERANCE <= age <= BODY_MAX_AGE:
        raise Stale(BODY_SIGNATURE, age, active)
    return position


def _arrived(request: InboundRequest) -> int:
    """Unix seconds: now, or when what lay in quarantine came in."""
    return clock.unix() if request.received_at is None else clock.to_ms(request.received_at) // 1000


def _signer(message: bytes, presented: Sequence[str], secrets: Secrets) -> tuple[int | None, int]:
    """(position of the first active secret that made any of the signatures, how many are active). Every pair is
    compared, in constant time each."""
    active = secrets.active(clock.now())
    found: int | None = None
    for position, secret in active:
        key = key_of(secret)
        if key is None:
            continue
        expected = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest())
        matched = False
        for candidate in presented:
            matched |= hmac.compare_digest(expected, candidate.encode("utf-8", "replace"))
        if matched and found is None:
            found = position
    return found, len(active)


def _members(body: bytes) -> dict[str, Any]:
    try:
        value: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return {}  # parse() reads it again and says why
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _is_word(value: object) -> bool:
    return isinstance(value, str) and _WORD.match(value) is not None


def _fits(number: int) -> int | None:
    return number if 0 <= number < 2**63 else None  # what a BIGINT holds
