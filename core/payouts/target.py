"""Where a payout goes: from a worker and a rail to the invoice that is frozen with the attempt. Asked by `prepare.py`,
outside any transaction."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

import msgspec

from core import clock, ids
from core.bank.details import unpack
from core.bank.tables import BankAccountRow
from core.errors import Misconfigured, Rejected, Retryable
from core.money import MSAT_PER_BTC, to_cents
from core.payouts.hold import until
from core.payouts.rail import Invoice, PayoutAddress, Rail, Target
from core.payouts.tables import Payout
from core.rates.model import Rate, for_rail
from core.workers.tables import Worker

BANK_DAYS = 30  # how long a payment to a bank may wait to be sent
REFERENCE_LENGTH = 10  # what ACH carries of a reference; five bits a character


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """`address` is what is shown and kept with the attempt; never a bank account's number."""

    address: str
    invoice: Invoice
    bank_account_id: str | None = None


class Dollars(msgspec.Struct, frozen=True, kw_only=True):
    """What paying a bank needs: `rate_of` gives a fresh rate or raises Retryable, `unseal` opens bank details."""

    rate_of: Callable[[], Rate]
    unseal: Callable[[str], str]


async def resolve(
    payout: Payout,
    worker: Worker,
    rail: Rail,
    addresses: PayoutAddress,
    *,
    account: BankAccountRow | None = None,
    dollars: Dollars | None = None,
) -> Resolved | None:
    """None while the worker has no target of this rail's kind; `account` is the one in use
    (`core.bank.queries.account_of`). Raises Rejected when the target cannot be paid, Retryable when its server did not
    answer, while a changed target waits (its `after` is the end of the wait), and without a fresh rate."""
    if rail.capabilities.pays is Target.BANK:
        return None if account is None else _to_bank(payout, rail, account, dollars)
    if payout.invoice is not None:
        own = await addresses.own_invoice(payout.invoice, amount_msat=payout.amount_msat)
        return Resolved(address="your own invoice", invoice=own)
    if worker.payout_address is None:
        return None
    _wait(worker.payout_address_usable_at)
    invoice = await addresses.invoice_for(
        worker.payout_address, amount_msat=payout.amount_msat, comment=f"Task {payout.task_id}"
    )
    return Resolved(address=worker.payout_address, invoice=invoice)


def still_meant(
    resolved: Resolved, payout: Payout, worker: Worker, account: BankAccountRow | None = None
) -> bool:
    """False when the worker changed the target while the invoice was fetched: then it must be asked for anew. For the
    transaction that commits the attempt, with rows read in it."""
    if resolved.bank_account_id is not None:
        return account is not None and account.id == resolved.bank_account_id
    if payout.invoice is not None:
        return payout.invoice == resolved.invoice.bolt11
    return worker.payout_address == resolved.address


def bank_cents(amount_msat: int, usd_per_btc: Decimal) -> tuple[int, int]:
    """The whole cents that a bank is paid for `amount_msat`, and what those are worth in msat, rounded up and never more
    than `amount_msat`: the rest, less than a cent, stays the worker's."""
    cents = to_cents(amount_msat, usd_per_btc)
    worth = (Decimal(cents) * MSAT_PER_BTC / (100 * usd_per_btc)).to_integral_value(ROUND_CEILING)
    return cents, min(int(worth), amount_msat)


def short_reference(payment_hash: str) -> str:
    """What a bank prints beside a payment: 50 bits of its hash, in capitals and 2 to 7."""
    return base64.b32encode(bytes.fromhex(payment_hash)).decode()[:REFERENCE_LENGTH]


def _to_bank(payout: Payout, rail: Rail, account: BankAccountRow, dollars: Dollars | None) -> Resolved:
    if dollars is None:
        raise Misconfigured(
            "no_rate", f"Rail {rail.name} pays dollars, and nobody told it the rate and the key"
        )
    _wait(account.usable_at)
    rate = for_rail(dollars.rate_of(), real_money=rail.capabilities.real_money)
    cents, amount_msat = bank_cents(payout.amount_msat, rate.usd_per_btc)
    if cents == 0:
        raise Rejected("below_a_cent", "this payout is worth less than a cent, which no bank carries")
    payment_hash = hashlib.sha256(ids.new("bank").encode()).hexdigest()
    invoice = Invoice(
        bolt11="",
        payment_hash=payment_hash,
        amount_msat=amount_msat,
        expires_at_ms=clock.now_ms() + BANK_DAYS * 86_400_000,
        reference=short_reference(payment_hash),
        cents=cents,
        payee=unpack(dollars.unseal(account.sealed)),
    )
    return Resolved(address=account.label, invoice=invoice, bank_account_id=account.id)


def _wait(usable_at: datetime | None) -> None:
    left_ms = 0 if usable_at is None else clock.to_ms(usable_at) - clock.now_ms()
    if usable_at is not None and left_ms > 0:
        raise Retryable(
            "address_hold",
            f"Where you are paid was changed; we pay there from {until(usable_at)} on",
            after=left_ms // 1000 + 1,
        )
