"""What every rail checks when it is paid itself, and how its questions fail. Used by `sandbox.py` and the `*_account.py`
files of the rails."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from connectors.rails import bolt11
from core.errors import Rejected, Retryable
from core.money import MSAT_PER_SAT
from core.payouts.rail import Invoice

FormT = TypeVar("FormT")


def own_invoice(text: str, *, rail: str, network: str, amount_msat: int, payment_hash: str = "") -> Invoice:
    """An invoice that our own node has just made, read and compared with what was asked for: somebody will pay it. An
    empty `payment_hash` is not compared. Raises Rejected when it is another one."""
    try:
        decoded = bolt11.decode(text)
    except ValueError as error:
        raise Rejected(
            "invoice_unreadable", f"{rail} made an invoice that cannot be read: {error}"
        ) from error
    checks = (
        (decoded.network == network, f"it is for network {decoded.network}, not {network}"),
        (decoded.amount_msat == amount_msat, f"it asks for {decoded.amount_msat} msat, not {amount_msat}"),
        (payment_hash in ("", decoded.payment_hash), "it carries another payment hash"),
    )
    wrong = next((why for good, why in checks if not good), None)
    if wrong is not None:
        raise Rejected("invoice_other", f"{rail} made another invoice than was asked for: {wrong}")
    return Invoice(
        bolt11=text,
        payment_hash=decoded.payment_hash,
        amount_msat=amount_msat,
        expires_at_ms=decoded.expires_at_ms,
    )


def whole_sats(rail: str, amount_msat: int) -> int:
    """Raises Rejected for an amount that this wallet's interface cannot say."""
    sats, rest = divmod(amount_msat, MSAT_PER_SAT)
    if rest or sats <= 0:
        raise Rejected("invoice_amount", f"{rail} makes invoices over whole satoshis")
    return sats


def read(rail: str, body: bytes | str, form: type[FormT], *, strict: bool = True) -> FormT:
    """An answer as `form`. Raises Retryable when it is not: another shape, half a body, a page of HTML."""
    try:
        return msgspec.json.decode(body, type=form, strict=strict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise trouble(rail, "its answer cannot be read") from error


def trouble(rail: str, what: object) -> Retryable:
    """The rail cannot be asked now."""
    return Retryable("rail_unreachable", f"{rail}: {what}")
