"""What lnd's answers mean. Pure; used by `lnd.py`. Written from lnrpc/lightning.proto, routerrpc/router.proto and
payments/db of lnd v0.21: JSON with the proto's names, int64 as texts, one object a line."""

from __future__ import annotations

from typing import Annotated

import msgspec

from connectors.rails.node_checks import IN_FLIGHT, failed, settled, unknown
from connectors.rails.node_http import said
from core.payouts.rail import PaymentResult

NOT_FOUND = 5  # gRPC's codes
ALREADY_EXISTS = 6

# A path that lnd does not have is `{"code":5,"message":"Not Found"}` as well, so the code alone says nothing.
NEVER_SEEN = "payment isn't initiated"
# Said by `SendPaymentV2` while it reads the request, before anything is written down or sent.
NEVER_BEGUN = ("invoice expired", "self-payments not allowed")
_NO_PERMISSION = ("permission denied", "macaroon", "verification failed", "cannot retrieve")

Count = Annotated[int, msgspec.Meta(ge=0)]


class Htlc(msgspec.Struct, frozen=True):
    status: str


class Payment(msgspec.Struct, frozen=True):
    """lnrpc.Payment, as far as it matters here."""

    payment_hash: str
    status: str
    payment_preimage: str = ""
    fee_msat: Count | None = None
    failure_reason: str = ""
    htlcs: list[Htlc] = []


class Refusal(msgspec.Struct, frozen=True):
    """A gRPC status. `code` is gRPC's, not HTTP's."""

    code: int
    message: str = ""


class _Line(msgspec.Struct, frozen=True):
    """A stream's line has one of the first two, a call that failed at once has the last two."""

    result: Payment | None = None
    error: Refusal | None = None
    code: int | None = None
    message: str = ""


class _Chain(msgspec.Struct, frozen=True):
    network: str


class NodeInfo(msgspec.Struct, frozen=True):
    """lnrpc.GetInfoResponse."""

    identity_pubkey: str
    chains: list[_Chain]


def read_line(line: bytes) -> Payment | Refusal | None:
    """One line of a stream, or the body of an error; None when it is neither (HTML, half a line, another shape)."""
    try:
        read = msgspec.json.decode(line, type=_Line, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if read.error is not None:
        return read.error
    if read.code is not None:
        return Refusal(code=read.code, message=read.message)
    return read.result


def read_info(body: bytes) -> NodeInfo | None:
    try:
        return msgspec.json.decode(body, type=NodeInfo)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def judge(payment: Payment, payment_hash: str) -> PaymentResult:
    """What a payment's state means for this hash. lnd says FAILED only when no HTLC is in flight any more
    (payments/db/payment_status.go); that is checked once more, since a new invoice follows it."""
    if payment.payment_hash != payment_hash:
        return unknown("lnd answered about another payment hash")
    match payment.status:
        case "SUCCEEDED":
            return settled(payment.payment_preimage, payment_hash, payment.fee_msat)
        case "FAILED" if all(htlc.status == "FAILED" for htlc in payment.htlcs):
            return failed(_reason(payment.failure_reason))
        case "INITIATED" | "IN_FLIGHT" | "FAILED":
            return IN_FLIGHT
        case other:
            return unknown(f"lnd answered with a state that is not known: {said(other)}")


def never_seen(refusal: Refusal) -> bool:
    return refusal.code == NOT_FOUND and NEVER_SEEN in refusal.message


def never_begun(refusal: Refusal) -> bool:
    return refusal.message.startswith(NEVER_BEGUN)


def doubt(refusal: Refusal) -> PaymentResult:
    """UNKNOWN with lnd's own words. "already paid" and "in transition" are no failures: the look-up tells."""
    words = f"lnd refused ({refusal.code}): {said(refusal.message)}"
    if any(sign in refusal.message for sign in _NO_PERMISSION):
        words += "; bake the macaroon with the permissions in connectors/rails/README.md"
    return unknown(words)


def _reason(failure: str) -> str:
    """FAILURE_REASON_NO_ROUTE -> `lnd: no route`."""
    word = failure.removeprefix("FAILURE_REASON_").replace("_", " ").lower()
    return f"lnd: {said(word)}" if word and word != "none" else "lnd gave up and gave no reason"
