"""What the answers of Electrum's daemon mean. Pure; used by `electrum.py`. Written from commands.py, lnworker.py, lnpeer.py,
lnchannel.py, mpp_split.py and invoices.py of release 4.3.4, and checked against its daemon (`tests/lightning`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from connectors.rails.node_checks import IN_FLIGHT, failed, proves, settled, unknown
from connectors.rails.node_http import said
from core.money import MSAT_PER_SAT
from core.payouts.rail import PaymentResult

# `status` of an invoice or a request (invoices.py).
UNPAID, EXPIRED, PAID, INFLIGHT, FAILED = 0, 1, 3, 4, 5
# `direction` of a payment in the history (lnutil.py: PaymentDirection).
SENT, RECEIVED = 0, 1
# Both parts of a payment that is split in two are at least 10,000 sat (mpp_split.py: MIN_PART_SIZE_MSAT).
SPLIT_FROM_MSAT = 20_000_000

Count = Annotated[int, msgspec.Meta(ge=0)]


class Info(msgspec.Struct, frozen=True):
    """`getinfo`."""

    network: str
    version: str
    connected: bool


class SavedInvoice(msgspec.Struct, frozen=True):
    """`get_invoice`, and one entry of `list_invoices`: an invoice that was to be paid. `timestamp` (UTC seconds) is when
    its payee made it. One that can only be paid on the chain has no `amount_msat`."""

    invoice_id: str
    status: int
    timestamp: int
    amount_msat: int | None = None


class Request(msgspec.Struct, frozen=True):
    """`add_request` and `get_request`: an invoice of our own. `expiration` is in UTC seconds."""

    rhash: str
    lightning_invoice: str
    status: int
    expiration: int


class Entry(msgspec.Struct, frozen=True):
    """One entry of `lightning_history`: a payment whose preimage is known (or the opening or end of a channel, which has
    no hash). `amount_msat` is negative for what was sent, and then has the fee in it."""

    type: str
    amount_msat: int
    payment_hash: str = ""
    preimage: str | None = None
    fee_msat: int | None = None
    direction: int | None = None
    timestamp: int | None = None


class Channel(msgspec.Struct, frozen=True):
    """One entry of `list_channels`, in satoshi. A BACKUP has no balances."""

    type: str
    state: str
    peer_state: str = ""
    local_balance: int = 0
    local_reserve: int = 0
    local_unsettled_sent: int = 0

    @property
    def usable(self) -> bool:
        return (self.type, self.state, self.peer_state) == ("CHANNEL", "OPEN", "GOOD")

    @property
    def spendable_msat(self) -> int:
        left = self.local_balance - self.local_reserve - self.local_unsettled_sent
        return max(0, left) * MSAT_PER_SAT


class Paid(msgspec.Struct, frozen=True):
    """`lnpay`. `log` has one entry for each HTLC that came back: hops, channel, word."""

    payment_hash: str
    success: bool
    preimage: str | None = None
    log: list[list[str]] = []

    @property
    def words(self) -> str:
        """The last word of a payment that failed."""
        if not self.log:
            return "electrum: it found no way to the payee, and nothing was sent"
        return f"electrum: {said(' '.join(self.log[-1][1:]))}"


def fee_budget_msat(amount_msat: int) -> int:
    """The most that Electrum pays for a route, which cannot be told to it (lnrouter.py: is_fee_sane)."""
    return max(5_000, amount_msat // 100)


def judge_history(history: Sequence[Entry], payment_hash: str) -> PaymentResult | None:
    """SETTLED when the history has the payment; None when it has not. Of a payment in parts the first preimage proves
    the whole, but the fee is known only when all parts have come back."""
    entry = next((entry for entry in history if entry.payment_hash == payment_hash), None)
    if entry is None:
        return None
    if (entry.type, entry.direction) != ("payment", SENT):
        return unknown("electrum has this hash in its history, but not as a payment that it made")
    if entry.fee_msat is not None and entry.fee_msat < 0 and proves(entry.preimage, payment_hash):
        return IN_FLIGHT
    return settled(entry.preimage, payment_hash, entry.fee_msat)


def judge_saved(saved: SavedInvoice, channels: Sequence[Channel], payment_hash: str) -> PaymentResult:
    """What the wallet says of an invoice whose payment is not in its history.

    "Failed" (an attempt of this run) and "unpaid" (none in this run, and nothing in flight when the wallet was loaded)
    are said of the invoice, not of its HTLCs, so they are believed only of a payment that cannot have been split: of
    several parts one may be on its way when another has ended the payment. "Unpaid" counts an HTLC as gone which the
    peer has only promised to fail; once the channel is connected again such a one is back among the unsettled."""
    if saved.invoice_id != payment_hash:
        return unknown("electrum answered about another payment hash")
    if saved.status == INFLIGHT:
        return IN_FLIGHT
    if saved.status == PAID:
        return unknown("electrum says paid, without a preimage in its history: was it paid on the chain?")
    if saved.status not in (UNPAID, EXPIRED, FAILED):
        return unknown(f"electrum answered with a status that is not known: {saved.status}")
    carriers = [one for one in channels if one.type == "CHANNEL" and one.state != "REDEEMED"]
    if saved.amount_msat is None or saved.amount_msat >= SPLIT_FROM_MSAT or len(carriers) > 1:
        return unknown(
            "electrum says not paid, but a part of the payment may be on its way; connectors/rails/README.md tells what to do"
        )
    if saved.status == FAILED:
        return failed("electrum: every attempt failed")
    for channel in carriers:
        if not channel.usable:
            return unknown("electrum says not paid, but its channel is not connected yet")
        if channel.local_unsettled_sent >= saved.amount_msat // MSAT_PER_SAT:
            return unknown("electrum says not paid, but as much is on its way in its channel")
    return failed("electrum: it was stopped before the payment left, or the payment came back")
