"""The invoices that a simulated node or wallet makes for itself, and who pays them. Used by `lnd.py`, `cln.py`,
`phoenixd.py` and `lnbits.py` in this folder."""

from __future__ import annotations

import hashlib
import secrets

import msgspec

from connectors.rails.bolt11_encode import NewInvoice, encode
from core import clock

DAY_S = 86_400


class OwnInvoice(msgspec.Struct, kw_only=True):
    payment_hash: str
    preimage: str
    text: str
    amount_msat: int
    ends_s: int
    received_msat: int = 0

    @property
    def over(self) -> bool:
        """Nobody paid it in its time."""
        return not self.received_msat and self.ends_s < clock.unix()


class OwnInvoices:
    """`next_is_old` dates the next one two days back; `next_is_other` makes it over twice the amount."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._by_hash: dict[str, OwnInvoice] = {}
        self.next_is_old = False
        self.next_is_other = False

    def make(self, amount_msat: int, *, memo: str, expiry_s: int) -> OwnInvoice:
        preimage = secrets.token_bytes(32)
        payment_hash = hashlib.sha256(preimage).hexdigest()
        made_s = clock.unix() - (2 * DAY_S if self.next_is_old else 0)
        amount_msat *= 2 if self.next_is_other else 1
        self.next_is_old = self.next_is_other = False
        new = NewInvoice(
            network="bcrt",
            amount_msat=amount_msat,
            timestamp=made_s,
            payment_hash=payment_hash,
            payment_secret=secrets.token_hex(32),
            description=memo,
            expiry_s=expiry_s,
            min_final_cltv=18,
        )
        invoice = OwnInvoice(
            payment_hash=payment_hash,
            preimage=preimage.hex(),
            text=encode(new, self._key),
            amount_msat=amount_msat,
            ends_s=made_s + expiry_s,
        )
        self._by_hash[payment_hash] = invoice
        return invoice

    def find(self, payment_hash: str) -> OwnInvoice | None:
        return self._by_hash.get(payment_hash)

    def pay(self, payment_hash: str, amount_msat: int) -> None:
        self._by_hash[payment_hash].received_msat = amount_msat

    def forget(self, payment_hash: str) -> None:
        del self._by_hash[payment_hash]
