"""What four rails (`lnd`, `cln`, `phoenixd`, `lnbits`) leave to their account: all that is no payment."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from core.payouts.rail import Funded, Invoice, Receiving, Recorded, Recording


class Account(Funded, Recording, Receiving, Protocol):
    """The wallet or node beside its payments: what is in it, what left it, what comes in."""


class WithAccount:
    """`Funded`, `Recording` and `Receiving` by the account that the rail makes of its options."""

    _account: Account

    async def balance_msat(self) -> int:
        """See `Funded`."""
        return await self._account.balance_msat()

    def payments(self, since_ms: int) -> AsyncGenerator[Recorded]:
        """See `Recording`."""
        return self._account.payments(since_ms)

    async def receive(self, amount_msat: int, *, memo: str, expires_seconds: int) -> Invoice:
        """See `Receiving`."""
        return await self._account.receive(amount_msat, memo=memo, expires_seconds=expires_seconds)

    async def received_msat(self, payment_hash: str) -> int | None:
        """See `Receiving`."""
        return await self._account.received_msat(payment_hash)
