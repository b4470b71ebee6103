"""The port to a payment rail, with its four outcomes. Implemented in `connectors/rails/`, driven by
`core/payouts/actions.py`. Only the rail's own terminal word about *this payment hash* is FAILED; a time-out, a 5xx,
"already paid" or an answer that cannot be read is UNKNOWN, and UNKNOWN is cleared by `look_up` alone."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec


class Outcome(StrEnum):
    SETTLED = "settled"  # paid; a preimage proves it where the rail has one
    FAILED = "failed"  # the rail says that this payment hash will never be paid by it
    IN_FLIGHT = "in_flight"  # the rail has it and has not decided
    UNKNOWN = "unknown"  # we cannot tell; never pay again, never release, look up


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """What a payout pays, fixed and committed before the first byte leaves. `amount_msat` is exact;
    `expires_at_ms` is UTC milliseconds."""

    bolt11: str
    payment_hash: str  # 64 hex digits
    amount_msat: int
    expires_at_ms: int


class PaymentResult(msgspec.Struct, frozen=True, kw_only=True):
    """`preimage` (64 hex digits) with SETTLED: sha256(preimage) == payment_hash. `reason` with FAILED and UNKNOWN."""

    outcome: Outcome
    preimage: str | None = None
    fee_msat: int = 0
    reason: str | None = None


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a rail can prove. `real_money` guards: a hub refuses to run a real rail beside the sandbox."""

    real_money: bool
    proves_by_preimage: bool
    network: str  # bolt11 prefix without `ln`: bc, tb, tbs, bcrt


class Rail(Protocol):
    name: str
    capabilities: Capabilities

    async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
        """Pay this invoice once. Never raises: what went wrong is in the outcome."""
        ...

    async def look_up(self, payment_hash: str) -> PaymentResult | None:
        """The rail's own record of this hash. None only when the rail has certainly never seen it and
        records a payment before it sends; UNKNOWN when it cannot be asked now."""
        ...


class PayoutAddress(Protocol):
    """Turns what a worker typed into an invoice for an exact amount (`connectors/rails/lightning_address.py`)."""

    async def invoice_for(self, address: str, *, amount_msat: int, comment: str) -> Invoice:
        """Raises `Rejected` when the address cannot be paid (bad form, wrong network, other amount, used hash),
        `Retryable` when its server did not answer."""
        ...
