"""Labs of the rails `phoenixd` and `lnbits`: the rail over HTTP to a simulated wallet with state, which is served while
the lab is entered."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from connectors.rails import RAILS, RailConfig, bolt11
from core import clock
from core.payouts.rail import Invoice, Rail, Receiving
from tests.fakes.lnbits import ADMIN_KEY, Lnbits, lnbits
from tests.fakes.phoenixd import PASSWORD, Phoenixd, phoenixd
from tests.fakes.wallet_faults import Fault


class WalletLab:
    """What both have in common; `self.wallet` is the simulated one. `self._options` is all that a restarted hub knows."""

    name: str
    wallet: Phoenixd | Lnbits
    rail: Rail

    def __init__(self, data_dir: Path):
        self._data_dir = data_dir
        self._stack = AsyncExitStack()
        self._options: dict[str, object] = {}

    def secret(self, value: str) -> str:
        path = self._data_dir / "secret"
        path.write_text(value)
        return f"file:{path}"

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def set_answer_timeout(self, seconds: int) -> None:
        self._options["answer_timeout"] = seconds
        self.rail = self.restarted()

    def move_to(self, url: str) -> None:
        """Where the next restarted rail looks for the wallet."""
        self._options["url"] = url

    def restarted(self) -> Rail:
        return RAILS[self.name](RailConfig(name=self.name, data_dir=self._data_dir, options=self._options))

    def invoice_of(self, bolt11_text: str) -> Invoice:
        return _invoice(bolt11_text)

    async def invoice(self, amount_msat: int) -> Invoice:
        return _invoice(self.wallet.payee.invoice(amount_msat))

    async def expired_invoice(self, amount_msat: int) -> Invoice:
        return _invoice(self.wallet.payee.invoice(amount_msat, made_at_s=clock.unix() - 3601))

    async def foreign_invoice(self, amount_msat: int) -> Invoice:
        return _invoice(self.wallet.payee.invoice(amount_msat, network="bc"))

    def next_fails(self) -> None:
        self.wallet.fates.append("the recipient was offline")

    def next_hangs(self) -> None:
        self.wallet.fates.append("hang")

    def next_loses_its_answer(self) -> None:
        self.wallet.faults.payments.append(Fault.RESET_AFTER)

    def next_is_unreachable(self) -> None:
        self.wallet.faults.payments.append(Fault.RESET_BEFORE)

    def next_look_up_is_unreachable(self) -> None:
        self.wallet.faults.others.append(Fault.RESET_BEFORE)

    def release(self, *, settle: bool) -> None:
        self.wallet.release(settle=settle)

    def paid_before(self, count: int, amount_msat: int) -> list[str]:
        return self.wallet.paid_before(count, amount_msat)

    async def old_invoice(self, amount_msat: int) -> Invoice:
        assert isinstance(self.rail, Receiving)
        self.wallet.own.next_is_old = True
        return await self.rail.receive(amount_msat, memo="top-up", expires_seconds=3600)

    def somebody_pays(self, invoice: Invoice, amount_msat: int) -> None:
        self.wallet.received(invoice.payment_hash, amount_msat)

    def forget(self, invoice: Invoice) -> None:
        self.wallet.forget(invoice.payment_hash)

    def is_away(self) -> None:
        self.wallet.faults.others.append(Fault.RESET_BEFORE)
        self.wallet.faults.payments.append(Fault.RESET_BEFORE)

    async def received_msat(self) -> int:
        assert len(self.wallet.payee.settlements) == len(set(self.wallet.payee.settlements))
        return sum(self.wallet.payee.received.values())


class PhoenixdLab(WalletLab):
    name = "phoenixd"

    async def __aenter__(self) -> PhoenixdLab:
        self.wallet = await self._stack.enter_async_context(phoenixd())
        self._options = {
            "url": self.wallet.url,
            "password": self.secret(PASSWORD),
            "network": "bcrt",
            "fee_base_msat": self.wallet.fee_base_msat,
            "answer_timeout": 1,
        }
        self.rail = self.restarted()
        return self


class LnbitsLab(WalletLab):
    name = "lnbits"

    async def __aenter__(self) -> LnbitsLab:
        self.wallet = await self._stack.enter_async_context(lnbits())
        self._options = {"url": self.wallet.url, "admin_key": self.secret(ADMIN_KEY), "network": "bcrt"}
        self.rail = self.restarted()
        return self


def _invoice(text: str) -> Invoice:
    decoded = bolt11.decode(text)
    assert decoded.amount_msat is not None
    return Invoice(
        bolt11=text,
        payment_hash=decoded.payment_hash,
        amount_msat=decoded.amount_msat,
        expires_at_ms=decoded.expires_at_ms,
    )
