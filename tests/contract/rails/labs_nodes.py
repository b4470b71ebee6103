"""Labs of the rails `lnd` and `cln`: the rail over TLS to a faked node with state, which listens while the lab is entered."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from connectors.rails import bolt11
from connectors.rails.cln import ClnRail
from connectors.rails.lnd import LndRail
from core import clock
from core.payouts.rail import Invoice, Rail, Receiving
from tests.fakes.cln import FakeCln
from tests.fakes.electrum import FakeElectrum
from tests.fakes.lnd import FakeLnd
from tests.fakes.payee import Verdict
from tests.fakes.tls_node import CREDENTIAL, Fault


class NodeLab:
    """What they have in common. `options` is all that a restarted hub knows."""

    node: FakeLnd | FakeCln | FakeElectrum
    rail: Rail

    def __init__(self, data_dir: Path):
        self.data_dir = data_dir
        self.options: dict[str, object] = {}

    def start(self, node: FakeLnd | FakeCln | FakeElectrum, credential: str) -> Self:
        secret = self.data_dir / "credential"
        secret.write_text(CREDENTIAL + "\n")
        self.node = node
        self.options = {
            "url": node.url,
            "tls_cert": str(node.certificate),
            "network": "bcrt",
            "answer_timeout": 2,
            credential: f"file:{secret}",
        }
        self.rail = self.restarted()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.node.close()

    def restarted(self) -> Rail:
        raise NotImplementedError

    async def invoice(self, amount_msat: int) -> Invoice:
        return self.invoice_of(self.node.payee.invoice(amount_msat))

    async def expired_invoice(self, amount_msat: int) -> Invoice:
        return self.invoice_of(self.node.payee.invoice(amount_msat, made_at_s=clock.unix() - 3601))

    async def foreign_invoice(self, amount_msat: int) -> Invoice:
        return self.invoice_of(self.node.payee.invoice(amount_msat, network="bc"))

    def next_fails(self) -> None:
        self.node.verdicts.append(Verdict.FAIL)

    def next_hangs(self) -> None:
        self.node.verdicts.append(Verdict.HOLD)

    def next_loses_its_answer(self) -> None:
        self.node.faults.append(Fault.RESET_AFTER)

    def next_is_unreachable(self) -> None:
        self.node.faults.append(Fault.RESET_BEFORE)

    def next_look_up_is_unreachable(self) -> None:
        self.node.look_up_faults.append(Fault.RESET_BEFORE)

    def release(self, *, settle: bool) -> None:
        self.node.release(settle=settle)

    async def received_msat(self) -> int:
        hashes = [payment_hash for payment_hash, _ in self.node.payee.payments]
        assert len(hashes) == len(set(hashes)), "a hash was paid twice"
        return self.node.payee.received_msat

    def invoice_of(self, text: str) -> Invoice:
        decoded = bolt11.decode(text)
        assert decoded.amount_msat is not None
        return Invoice(
            bolt11=text,
            payment_hash=decoded.payment_hash,
            amount_msat=decoded.amount_msat,
            expires_at_ms=decoded.expires_at_ms,
        )


class BooksLab(NodeLab):
    """The levers beside payments (`AccountLab`)."""

    node: FakeLnd | FakeCln

    def paid_before(self, count: int, amount_msat: int) -> list[str]:
        return self.node.paid_before(count, amount_msat)

    async def old_invoice(self, amount_msat: int) -> Invoice:
        assert isinstance(self.rail, Receiving)
        self.node.own.next_is_old = True
        return await self.rail.receive(amount_msat, memo="top-up", expires_seconds=3600)

    def somebody_pays(self, invoice: Invoice, amount_msat: int) -> None:
        self.node.own.pay(invoice.payment_hash, amount_msat)

    def forget(self, invoice: Invoice) -> None:
        self.node.own.forget(invoice.payment_hash)

    def is_away(self) -> None:
        self.node.close()

    async def __aexit__(self, *_: object) -> None:
        if not self.node.closing.is_set():
            self.node.close()


class LndLab(BooksLab):
    node: FakeLnd

    async def __aenter__(self) -> LndLab:
        return self.start(FakeLnd(self.data_dir / "node"), "macaroon")

    def restarted(self) -> LndRail:
        return LndRail.from_options(self.options)

    def next_look_up_is_unreachable(self) -> None:
        """Twice: aiohttp asks a GET once more by itself when the connection is lost (never a POST)."""
        self.node.look_up_faults.extend([Fault.RESET_BEFORE] * 2)


class ClnLab(BooksLab):
    """The node may try for a second, and the rail believes it after one more tenth."""

    node: FakeCln

    async def __aenter__(self) -> ClnLab:
        lab = self.start(FakeCln(self.data_dir / "node"), "rune")
        lab.options["retry_seconds"] = 1
        lab.rail = lab.restarted()
        return lab

    def restarted(self) -> ClnRail:
        return ClnRail.from_options(self.options, quiet_seconds=0.1)
