"""Where a payout goes: from a worker and a rail to the invoice that is frozen with the attempt. Asked by `prepare.py`,
outside any transaction."""

from __future__ import annotations

import msgspec

from core.payouts.rail import Invoice, PayoutAddress, Rail
from core.payouts.tables import Payout
from core.workers.tables import Worker


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """`address` is what is shown and kept with the attempt; never a bank account's number."""

    address: str
    invoice: Invoice
    bank_account_id: str | None = None


async def resolve(payout: Payout, worker: Worker, rail: Rail, addresses: PayoutAddress) -> Resolved | None:
    """None while the worker has no target of this rail's kind. Raises Rejected when the target cannot be paid, Retryable
    when its server did not answer."""
    address = worker.payout_address
    if address is None:
        return None
    invoice = await addresses.invoice_for(
        address, amount_msat=payout.amount_msat, comment=f"Task {payout.task_id}"
    )
    return Resolved(address=address, invoice=invoice)
