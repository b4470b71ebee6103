"""What a payer checks whatever wallet it pays from: before the send that the wallet has never seen the hash and that the
invoice is the committed one, after it that the preimage proves the payment. Used by the rails `phoenixd` and `lnbits`."""

from __future__ import annotations

import hashlib
import hmac
import re

from connectors.rails import bolt11
from core import clock
from core.payouts.rail import Invoice, Outcome, PaymentResult, Rail

# Two questions may come before the send. More than this and the process was frozen meanwhile: by then another one may have
# found the hash unseen, and its invoice too old (`core/payouts/look.py`).
SEND_WITHIN_S = 10.0

_HEX_32 = re.compile(r"[0-9a-f]{64}")


async def look_first(rail: Rail, invoice: Invoice) -> PaymentResult | None:
    """What `pay` answers without sending; None when the wallet has never seen the hash and the invoice may go.

    A hash that failed there is not sent again: with two records of one hash a look-up may show the old one, "failed",
    while the new one is being paid. The payout goes on with a new invoice, which is safe after FAILED."""
    seen = await rail.look_up(invoice.payment_hash)
    if seen is not None and seen.outcome is Outcome.UNKNOWN:
        return unknown(f"nothing was sent: {seen.reason}")
    if seen is not None:
        return seen
    why = refusal(invoice, rail.capabilities.network, clock.now_ms())
    return failed(f"nothing was sent: {why}") if why else None


def too_late(begun: float) -> PaymentResult | None:
    """What `pay` answers without sending when it began too long ago (monotonic seconds); None when it may send. The rail
    `electrum` asks this too."""
    if clock.monotonic() - begun > SEND_WITHIN_S:
        return unknown("nothing was sent: this process slept before it could")
    return None


async def confirmed(rail: Rail, payment_hash: str, reason: str) -> PaymentResult:
    """The wallet answered that the payment failed. FAILED when its own record says the same, or when it has none: both
    wallets write a payment down before they send it, so that it was refused before that. Else what the record says."""
    seen = await rail.look_up(payment_hash)
    if seen is None or seen.outcome is Outcome.FAILED:
        return failed(reason)
    return seen


def refusal(invoice: Invoice, network: str, now_ms: int) -> str | None:
    """Why this invoice is not to be paid, or None."""
    try:
        decoded = bolt11.decode(invoice.bolt11)
    except ValueError as error:
        return str(error)
    checks = (
        (
            decoded.network == network,
            f"the invoice is for network {decoded.network}, the rail pays {network}",
        ),
        (decoded.payment_hash == invoice.payment_hash, "the invoice carries another payment hash"),
        (decoded.amount_msat == invoice.amount_msat, "the invoice asks for another amount"),
        (decoded.expires_at_ms > now_ms, "the invoice has expired"),
    )
    return next((why for good, why in checks if not good), None)


def settled(preimage: object, payment_hash: str, *, fee_msat: int, wallet: str) -> PaymentResult:
    """SETTLED when the preimage is the payment's; without that proof it is UNKNOWN, whatever the wallet says."""
    text = preimage.lower() if isinstance(preimage, str) else ""
    if _HEX_32.fullmatch(text):
        digest = hashlib.sha256(bytes.fromhex(text)).hexdigest()
        if hmac.compare_digest(digest, payment_hash.lower()):
            return PaymentResult(outcome=Outcome.SETTLED, preimage=text, fee_msat=fee_msat)
        return unknown(f"{wallet} says paid, but its preimage is not that of the invoice")
    return unknown(f"{wallet} says paid, but gives no preimage to prove it")


def same_hash(said: object, payment_hash: str) -> bool:
    return isinstance(said, str) and said.lower() == payment_hash.lower()


def amount(value: object) -> int | None:
    """A number as the wallet wrote it, None when it is none (`true` is a number to Python)."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def failed(reason: str) -> PaymentResult:
    return PaymentResult(outcome=Outcome.FAILED, reason=reason)


def unknown(reason: str) -> PaymentResult:
    return PaymentResult(outcome=Outcome.UNKNOWN, reason=reason)


IN_FLIGHT = PaymentResult(outcome=Outcome.IN_FLIGHT)
