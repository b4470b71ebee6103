"""The rail `bank`: payments that people send, by a file that one operator makes and another confirms (`core/bank`). It
moves no money itself. Registered in `connectors/rails/__init__.py`; see README.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import msgspec

from connectors.rails import wallet_options
from core.payouts.rail import Capabilities, Invoice, Outcome, PaymentResult, Target

WAITS = PaymentResult(
    outcome=Outcome.IN_FLIGHT, reason="waits for the next batch file, or for the bank's answer"
)


class BankOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `options` of the rail's block in the configuration. With `test` its files are for show: no bank gets them."""

    test: bool = False


class BankRail:
    """Implements `core.payouts.rail.Rail`. Only the bank's own answer, taken in by `core/bank/answers.py`, ends a payment."""

    name = "bank"

    def __init__(self, options: BankOptions):
        self.capabilities = Capabilities(
            real_money=not options.test,
            proves_by_preimage=False,
            network="bcrt" if options.test else "bc",
            pays=Target.BANK,
            slow=True,
        )

    @classmethod
    def from_options(cls, options: Mapping[str, object]) -> Self:
        """Raises Misconfigured for an option that it does not know."""
        return cls(wallet_options.read(BankOptions, cls.name, options))

    async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
        """The committed attempt is itself the entry in the queue for the next batch."""
        return WAITS

    async def look_up(self, payment_hash: str, *, reference: str = "") -> PaymentResult | None:
        return WAITS
