"""The payee at the far end of a faked Lightning node: makes invoices, gives up a preimage once, counts what it received.
Used by `lnd.py` and `cln.py` in this folder; its word, not the node's, is what tests believe."""

from __future__ import annotations

import hashlib
import secrets
import threading
from enum import StrEnum

from connectors.rails.bolt11_encode import NewInvoice, encode
from core import clock


class Verdict(StrEnum):
    """What happens to one payment."""

    SETTLE = "settle"
    FAIL = "fail"  # no route
    HOLD = "hold"  # in flight until somebody releases it
    RETRY = "retry"  # a first part fails, and the node goes on looking for another way


class Payee:
    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._preimages: dict[str, str] = {}
        self._lock = threading.Lock()
        self.payments: list[tuple[str, int]] = []  # (hash, msat); twice the same hash is a double payment

    def invoice(
        self,
        amount_msat: int,
        *,
        network: str = "bcrt",
        made_at_s: int | None = None,
        preimage: str | None = None,
    ) -> str:
        preimage = preimage or secrets.token_hex(32)
        payment_hash = hashlib.sha256(bytes.fromhex(preimage)).hexdigest()
        self._preimages[payment_hash] = preimage
        return encode(
            NewInvoice(
                network=network,
                amount_msat=amount_msat,
                timestamp=clock.unix() if made_at_s is None else made_at_s,
                payment_hash=payment_hash,
                payment_secret=secrets.token_hex(32),
                description="careful work",
                expiry_s=3600,
                min_final_cltv=18,
            ),
            self._key,
        )

    def take(self, payment_hash: str, amount_msat: int) -> str:
        """Money arrives; the preimage goes back."""
        with self._lock:
            self.payments.append((payment_hash, amount_msat))
            return self._preimages[payment_hash]

    @property
    def received_msat(self) -> int:
        return sum(amount for _, amount in self.payments)
