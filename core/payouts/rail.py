"""The port to a payment rail, with its four outcomes. Implemented in `connectors/rails/`, driven by
`core/payouts/actions.py`. Only the rail's own terminal word about *this payment hash* is FAILED; a time-out, a 5xx,
"already paid" or an answer that cannot be read is UNKNOWN, and UNKNOWN is cleared by `look_up` alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from enum import StrEnum
from typing import Protocol, runtime_checkable

import msgspec

from core.secret import Secret


class Target(StrEnum):
    """What a rail can pay to."""

    INVOICE = (
        "invoice"  # a BOLT11 invoice: a Lightning address, a Strike handle or an invoice of the worker's own
    )
    BANK = "bank"  # a bank account, in dollars


class Outcome(StrEnum):
    SETTLED = "settled"  # paid; a preimage proves it where the rail has one
    FAILED = "failed"  # the rail says that this payment hash will never be paid by it
    IN_FLIGHT = "in_flight"  # the rail has it and has not decided
    UNKNOWN = "unknown"  # we cannot tell; never pay again, never release, look up
    REVERSED = "reversed"  # it was settled, and the bank took it back; never said by a Lightning rail


class BankKind(StrEnum):
    """How a bank account is reached, which is also its currency: ACH and US wires in dollars, SEPA in euro, FPS in pounds."""

    ACH = "ach"
    US_WIRE = "us_wire"
    SEPA = "sepa"
    FPS = "fps"


class PostalAddress(msgspec.Struct, frozen=True, kw_only=True):
    """`country` is ISO 3166-1 alpha-2, `state` its code within the country, empty where there are none."""

    country: str
    city: str
    post_code: str
    line1: str
    state: str = ""


class BankAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Whose account a payout goes to. `account_number` is the IBAN for SEPA; `routing_number` the ABA number, the BIC or
    the sort code. `account_type` (CHECKING or SAVINGS) is asked for by ACH alone. Numbers stay out of logs and reprs."""

    kind: BankKind
    holder: str
    account_number: Secret
    routing_number: str = ""
    account_type: str = ""
    company: bool = False  # the holder is a company, not a person
    bank_name: str = ""
    bank_address: PostalAddress | None = None


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """What a payout pays, fixed and committed before the first byte leaves. `amount_msat` is exact;
    `expires_at_ms` is UTC milliseconds. On a rail that pays banks `bolt11` is empty, `payment_hash` the digest of our
    own reference, `cents` the dollars that leave and `payee` whose they are (never kept: it is unsealed for the call).
    `reference` is the rail's own name of this payment, from `quote`."""

    bolt11: str
    payment_hash: str  # 64 hex digits
    amount_msat: int
    expires_at_ms: int
    reference: str = ""
    cents: int = 0
    payee: BankAccount | None = None


class PaymentResult(msgspec.Struct, frozen=True, kw_only=True):
    """`preimage` (64 hex digits) with SETTLED: sha256(preimage) == payment_hash. `reason` with FAILED and UNKNOWN."""

    outcome: Outcome
    preimage: str | None = None
    fee_msat: int = 0
    reason: str | None = None


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a rail can prove. `real_money` guards: a hub refuses to run a real rail beside the sandbox. `slow`: it
    settles in days, so that hours of doubt are no alarm. `exact_balance`: its balance is all that it holds, to the satoshi,
    and moves by payments alone; a channel's reserve and its fees are no part of such a one."""

    real_money: bool
    proves_by_preimage: bool
    network: str  # bolt11 prefix without `ln`: bc, tb, tbs, bcrt
    pays: Target = Target.INVOICE
    slow: bool = False
    exact_balance: bool = False


class Rail(Protocol):
    name: str
    capabilities: Capabilities

    async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
        """Pay this invoice once. Never raises: what went wrong is in the outcome."""
        ...

    async def look_up(self, payment_hash: str, *, reference: str = "") -> PaymentResult | None:
        """The rail's own record of this hash (or of the `reference` that `quote` gave). None only when the rail has
        certainly never seen it and records a payment before it sends; UNKNOWN when it cannot be asked now."""
        ...


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What the rail would take. `reference` is committed with the attempt and comes back in `Invoice.reference`.
    `valid_until_ms` (UTC) None: for as long as the invoice lives."""

    reference: str
    fee_msat: int
    valid_until_ms: int | None = None


@runtime_checkable
class Quoting(Protocol):
    """A rail that names a payment before it makes it (Strike). Quoting moves no money."""

    async def quote(self, invoice: Invoice, *, max_fee_msat: int) -> Quote:
        """Asked before the attempt is committed. The same invoice again gives the same reference. Raises Rejected when
        it would not pay this (too dear, no route, bad target), Retryable when it cannot be asked."""
        ...


@runtime_checkable
class Funded(Protocol):
    async def balance_msat(self) -> int:
        """What could be sent now. Raises Retryable when the rail cannot be asked."""
        ...


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One payment in the rail's own history. `at_ms` (UTC) is when it was made, or settled. `within_msat`: how far amount
    and fee may be from what was paid, on a rail that tells them in cents."""

    payment_hash: str
    outcome: Outcome
    amount_msat: int
    fee_msat: int
    at_ms: int
    within_msat: int = 0


@runtime_checkable
class Recording(Protocol):
    """A rail whose history can be read, for the nightly reconciliation."""

    def payments(self, since_ms: int) -> AsyncGenerator[Recorded]:
        """Every outgoing payment made at or after `since_ms` (UTC), in any order, all pages. Raises Retryable."""
        ...


@runtime_checkable
class Receiving(Protocol):
    """A rail that can be paid: organisations top up over it."""

    async def receive(self, amount_msat: int, *, memo: str, expires_seconds: int) -> Invoice:
        """A new invoice of ours. Raises Retryable when the rail cannot be asked, Rejected when it refuses."""
        ...

    async def received_msat(self, payment_hash: str) -> int | None:
        """What has arrived for good for this invoice of ours; 0 while it may still be paid, None when it can never be
        paid any more. Raises Retryable when the rail cannot be asked."""
        ...


class PayoutAddress(Protocol):
    """Turns what a worker typed into an invoice for an exact amount (`connectors/rails/lightning_address.py`)."""

    async def invoice_for(self, address: str, *, amount_msat: int, comment: str) -> Invoice:
        """Raises `Rejected` when the address cannot be paid (bad form, wrong network, other amount, used hash),
        `Retryable` when its server did not answer."""
        ...

    async def own_invoice(self, text: str, *, amount_msat: int) -> Invoice:
        """A BOLT11 invoice that the worker pasted, checked as one from an address. Raises `Rejected` with words for the
        worker when it cannot be paid: damaged, another network or amount, over, ours, or used before."""
        ...
