"""What the contract suite needs of each rail: a payee to make invoices, and levers for the weather between payer and
payee. A new rail adds a lab here, under the same name as in `connectors.rails.RAILS`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from connectors.rails import RAILS, RailConfig, bolt11
from connectors.rails.sandbox import FILE_NAME
from connectors.rails.sandbox_book import Fault
from connectors.rails.sandbox_controls import SandboxControls
from connectors.rails.sandbox_file import SandboxFile
from connectors.rails.sandbox_wallets import SandboxWallets
from core import clock
from core.payouts.rail import Invoice, Rail, Receiving
from tests.contract.rails.labs_electrum import ElectrumLab
from tests.contract.rails.labs_nodes import ClnLab, LndLab
from tests.contract.rails.labs_strike import StrikeLab
from tests.contract.rails.labs_wallets import LnbitsLab, PhoenixdLab


class Lab(Protocol):
    rail: Rail

    async def invoice(self, amount_msat: int) -> Invoice: ...
    async def expired_invoice(self, amount_msat: int) -> Invoice: ...
    async def foreign_invoice(self, amount_msat: int) -> Invoice:
        """An invoice on another network."""
        ...

    def next_fails(self) -> None: ...
    def next_hangs(self) -> None: ...
    def next_loses_its_answer(self) -> None: ...
    def next_is_unreachable(self) -> None: ...
    def next_look_up_is_unreachable(self) -> None: ...
    def release(self, *, settle: bool) -> None: ...
    async def received_msat(self) -> int:
        """The payee's word, not the rail's."""
        ...

    def restarted(self) -> Rail:
        """A second client of the same rail, as after a crash of the first."""
        ...


@runtime_checkable
class AccountLab(Protocol):
    """A lab with levers beside payments, for `test_history.py` and `test_receiving.py`; what the rail `electrum` does
    there is in `test_electrum_faults.py`."""

    rail: Rail

    async def invoice(self, amount_msat: int) -> Invoice: ...
    def next_fails(self) -> None: ...
    def next_hangs(self) -> None: ...

    def paid_before(self, count: int, amount_msat: int) -> list[str]:
        """So many payments are in the rail's books already; their hashes."""
        ...

    async def old_invoice(self, amount_msat: int) -> Invoice:
        """An invoice of the rail's own that ended long ago."""
        ...

    def somebody_pays(self, invoice: Invoice, amount_msat: int) -> None:
        """An invoice of the rail's own."""
        ...

    def forget(self, invoice: Invoice) -> None:
        """The rail loses an invoice of its own."""
        ...

    def is_away(self) -> None:
        """The next question finds nobody, whichever it is."""
        ...


def invoice_of(text: str) -> Invoice:
    decoded = bolt11.decode(text)
    assert decoded.amount_msat is not None
    return Invoice(
        bolt11=text,
        payment_hash=decoded.payment_hash,
        amount_msat=decoded.amount_msat,
        expires_at_ms=decoded.expires_at_ms,
    )


def paid_before(file: SandboxFile, count: int, amount_msat: int) -> list[str]:
    """The sandbox's own book, written as it writes it."""
    hashes = [secrets.token_hex(32) for _ in range(count)]
    now_ms = clock.now_ms()
    with file.write() as db:
        for payment_hash in hashes:
            db.execute(
                """INSERT INTO payments (payment_hash, bolt11, amount_msat, fee_msat, state, attempts, created_at_ms,
                   preimage) VALUES (?, '', ?, 0, 'settled', 1, ?, 'aa')""",
                (payment_hash, amount_msat, now_ms),
            )
    return hashes


class SandboxLab:
    def __init__(self, data_dir: Path):
        self._config = RailConfig(name="sandbox", data_dir=data_dir, options={"answer_timeout": 0.1})
        self.rail = self.restarted()
        self._wallets = SandboxWallets(data_dir / FILE_NAME)
        self._controls = SandboxControls(data_dir / FILE_NAME)
        self._file = SandboxFile(data_dir / FILE_NAME)

    def restarted(self) -> Rail:
        return RAILS["sandbox"](self._config)

    async def invoice(self, amount_msat: int) -> Invoice:
        return invoice_of(await self._wallets.invoice("careful", amount_msat))

    async def expired_invoice(self, amount_msat: int) -> Invoice:
        return invoice_of(await self._wallets.invoice("careful", amount_msat, made_at_s=clock.unix() - 3601))

    async def foreign_invoice(self, amount_msat: int) -> Invoice:
        return invoice_of(await self._wallets.invoice("careful", amount_msat, network="bc"))

    def next_fails(self) -> None:
        self._controls.add_fault(Fault.FAIL)

    def next_hangs(self) -> None:
        self._controls.add_fault(Fault.HANG)

    def next_loses_its_answer(self) -> None:
        self._controls.add_fault(Fault.ACCEPT_THEN_LOSE_ANSWER)

    def next_is_unreachable(self) -> None:
        self._controls.add_fault(Fault.UNREACHABLE)

    def next_look_up_is_unreachable(self) -> None:
        self._controls.add_fault(Fault.LOOK_UP_UNREACHABLE)

    def release(self, *, settle: bool) -> None:
        self._controls.release(settle=settle)

    async def received_msat(self) -> int:
        return await self._wallets.balance("careful")

    def paid_before(self, count: int, amount_msat: int) -> list[str]:
        return paid_before(self._file, count, amount_msat)

    async def old_invoice(self, amount_msat: int) -> Invoice:
        assert isinstance(self.rail, Receiving)
        invoice = await self.rail.receive(amount_msat, memo="top-up", expires_seconds=3600)
        self._write(
            "UPDATE invoices SET expires_at_ms = expires_at_ms - 172800000 WHERE payment_hash = ?", invoice
        )
        return invoice

    def somebody_pays(self, invoice: Invoice, amount_msat: int) -> None:
        assert self._controls.pay_ours(invoice.bolt11, amount_msat=amount_msat) == amount_msat

    def forget(self, invoice: Invoice) -> None:
        self._write("DELETE FROM invoices WHERE payment_hash = ?", invoice)

    def is_away(self) -> None:
        with self._file.write() as db:
            db.execute("ALTER TABLE invoices RENAME TO gone")
            db.execute("ALTER TABLE payments RENAME TO gone_too")

    def _write(self, statement: str, invoice: Invoice) -> None:
        with self._file.write() as db:
            assert db.execute(statement, (invoice.payment_hash,)).rowcount == 1


LABS: dict[str, Callable[[Path], Lab]] = {
    "sandbox": SandboxLab,
    "lnd": LndLab,
    "cln": ClnLab,
    "electrum": ElectrumLab,
    "phoenixd": PhoenixdLab,
    "lnbits": LnbitsLab,
    "strike": StrikeLab,
}

# Rails that pay banks deal in no invoices, and have a suite of their own: `test_strike_bank.py`, `test_bank.py`.
BANK_RAILS = frozenset({"bank", "strike_bank"})

# Rails that never send a hash again once it has failed there: their FAILED is for good.
FAILED_FOR_EVER = frozenset({"electrum", "phoenixd", "lnbits", "strike"})
