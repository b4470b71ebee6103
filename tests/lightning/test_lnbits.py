"""The rail `lnbits` against a real LNbits server; `tests/lightning/install_lnbits.sh` installs it. What it answers here is
what `tests/fakes/lnbits.py` answers everywhere else."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.rails import RAILS, RailConfig, bolt11
from core.payouts.rail import Invoice, Outcome, PaymentResult, Rail
from tests.absent import needed
from tests.fakes.wallet_faults import Payee
from tests.lightning.lnbits_server import FUNDS_SATS, VENV, Server, lnbits_server

SATS = 500
FEE = 5_000

pytestmark = [
    pytest.mark.lightning,
    pytest.mark.timeout(180),  # it starts in ten seconds, on a busy machine in forty
]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    needed(VENV.exists(), "LNbits (tests/lightning/install_lnbits.sh)")
    async with lnbits_server(tmp_path) as server:
        yield server


def rail_of(server: Server, folder: Path, key: str) -> Rail:
    (folder / "key").write_text(key)
    options: dict[str, object] = {"url": server.url, "admin_key": f"file:{folder / 'key'}"}
    return RAILS["lnbits"](RailConfig(name="lnbits", data_dir=folder, options=options))


def invoice_of(text: str) -> Invoice:
    decoded = bolt11.decode(text)
    assert decoded.amount_msat is not None
    return Invoice(
        bolt11=text,
        payment_hash=decoded.payment_hash,
        amount_msat=decoded.amount_msat,
        expires_at_ms=decoded.expires_at_ms,
    )


async def test_a_real_server_says_what_the_rail_believes(server: Server, tmp_path: Path) -> None:
    """One server for all, since it takes seconds to start."""
    rail = rail_of(server, tmp_path, server.hub["adminkey"])
    await _settles_once_with_proof(server, rail)
    await _many_at_once(server, rail)
    await _fails_for_good(server, rail)
    await _refuses_before_it_records(server, rail)
    await _needs_the_admin_key_of_the_wallet_that_pays(server, tmp_path)
    paid = 2 * SATS * 1000
    assert await server.balance_msat(server.hub) == FUNDS_SATS * 1000 - paid
    assert await server.balance_msat(server.worker) == paid


async def _settles_once_with_proof(server: Server, rail: Rail) -> None:
    invoice = invoice_of(await server.invoice(SATS))
    assert await rail.look_up(invoice.payment_hash) is None
    result = await rail.pay(invoice, max_fee_msat=FEE)
    assert (result.outcome, result.fee_msat) == (Outcome.SETTLED, 0)
    assert hashlib.sha256(bytes.fromhex(result.preimage or "")).hexdigest() == invoice.payment_hash
    assert await rail.look_up(invoice.payment_hash) == result
    assert await rail.pay(invoice, max_fee_msat=FEE) == result


async def _many_at_once(server: Server, rail: Rail) -> None:
    """Those that looked before the first was written down are told that it is paid already, in one way or another."""
    invoice = invoice_of(await server.invoice(SATS))
    results = await asyncio.gather(*(rail.pay(invoice, max_fee_msat=FEE) for _ in range(5)))
    said = {result.reason for result in results if result.outcome is not Outcome.SETTLED}
    assert said <= {"LNbits answered 520: Payment already paid."}
    assert {result.outcome for result in results} <= {Outcome.SETTLED, Outcome.UNKNOWN}


async def _fails_for_good(server: Server, rail: Rail) -> None:
    """The FakeWallet pays none but its own invoices."""
    invoice = invoice_of(Payee().invoice(SATS * 1000, network="bc"))
    assert await rail.pay(invoice, max_fee_msat=FEE) == PaymentResult(
        outcome=Outcome.FAILED, reason="LNbits: Payment failed: Only internal invoices can be used!"
    )
    found = await rail.look_up(invoice.payment_hash)
    assert found == PaymentResult(outcome=Outcome.FAILED, reason="LNbits says that the payment failed")
    assert await rail.pay(invoice, max_fee_msat=FEE) == found


async def _refuses_before_it_records(server: Server, rail: Rail) -> None:
    rich = invoice_of(await server.invoice(FUNDS_SATS * 10))
    assert await rail.pay(rich, max_fee_msat=10**12) == PaymentResult(
        outcome=Outcome.FAILED, reason="LNbits: Insufficient balance."
    )
    assert await rail.look_up(rich.payment_hash) is None
    dear = invoice_of(await server.invoice(SATS))
    over = await rail.pay(dear, max_fee_msat=FEE - 1)
    assert over == PaymentResult(
        outcome=Outcome.FAILED,
        reason="nothing was sent: LNbits would spend up to 5000 msat on fees, the limit is 4999",
    )
    own = await rail.pay(invoice_of(await server.invoice(SATS, wallet="hub")), max_fee_msat=FEE)
    assert own.outcome is Outcome.UNKNOWN
    assert "the wallet would pay itself" in (own.reason or "")


async def _needs_the_admin_key_of_the_wallet_that_pays(server: Server, folder: Path) -> None:
    invoice = invoice_of(await server.invoice(SATS))
    with_invoice_key = await rail_of(server, folder, server.hub["inkey"]).pay(invoice, max_fee_msat=FEE)
    assert with_invoice_key.outcome is Outcome.UNKNOWN
    assert "refuses the key (403" in (with_invoice_key.reason or "")
    # With a key that opens no wallet LNbits shows other people's payments, without their details.
    with_wrong_key = await rail_of(server, folder, "0" * 32).look_up(invoice.payment_hash)
    assert with_wrong_key is not None
    assert with_wrong_key.outcome is Outcome.UNKNOWN
    assert "is the key of the wallet that paid it?" in (with_wrong_key.reason or "")
