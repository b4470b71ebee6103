"""What every rail over a Lightning node checks itself: the invoice before it is sent, the proof before it is believed.
Pure; used by `lnd*.py`, `cln*.py` and `electrum*.py`."""

from __future__ import annotations

import hashlib
import re

from connectors.rails import bolt11
from core.payouts.rail import Invoice, Outcome, PaymentResult

_HASH = re.compile(r"[0-9a-f]{64}")


def refusal(invoice: Invoice, network: str, now_ms: int) -> str | None:
    """Why this invoice must not be sent, in words, or None: what was committed is compared with what the invoice says,
    because the node pays what the invoice says."""
    try:
        decoded = bolt11.decode(invoice.bolt11)
    except ValueError as error:
        return str(error)
    checks = (
        (
            decoded.network == network,
            f"the invoice is for network {decoded.network}, this rail pays {network}",
        ),
        (decoded.payment_hash == invoice.payment_hash, "the invoice carries another payment hash"),
        (decoded.amount_msat == invoice.amount_msat, "the invoice asks for another amount"),
        (decoded.expires_at_ms > now_ms, "the invoice has expired"),
    )
    return next((why for good, why in checks if not good), None)


def is_hash(text: str) -> bool:
    return _HASH.fullmatch(text) is not None


def proves(preimage: str | None, payment_hash: str) -> bool:
    """True when sha256(preimage) is the payment hash, both 64 lower-case hex digits."""
    if preimage is None or not is_hash(preimage):
        return False
    return hashlib.sha256(bytes.fromhex(preimage)).hexdigest() == payment_hash


def settled(preimage: str | None, payment_hash: str, fee_msat: int | None) -> PaymentResult:
    """SETTLED, or UNKNOWN when the node's word comes without its proof or without a fee that can be booked."""
    if not proves(preimage, payment_hash):
        return unknown("the node says paid, without a preimage of the payment hash")
    if fee_msat is None or fee_msat < 0:
        return unknown("the node says paid, without a fee that can be booked")
    return PaymentResult(outcome=Outcome.SETTLED, preimage=preimage, fee_msat=fee_msat)


def unknown(reason: str) -> PaymentResult:
    return PaymentResult(outcome=Outcome.UNKNOWN, reason=reason)


def failed(reason: str) -> PaymentResult:
    return PaymentResult(outcome=Outcome.FAILED, reason=reason)


IN_FLIGHT = PaymentResult(outcome=Outcome.IN_FLIGHT)
