"""A wallet's server that misbehaves: whatever it answers to a payment, the rail never says FAILED for one that was made
nor SETTLED without its preimage, and never sends while it cannot look first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.payouts.rail import Outcome, PaymentResult
from tests.contract.rails.labs_wallets import LnbitsLab, PhoenixdLab
from tests.fakes.wallet_faults import AFTER, BEFORE, Fault

AMOUNT = 500_000
FEE = 5_000
Lab = PhoenixdLab | LnbitsLab


@pytest.fixture(params=[PhoenixdLab, LnbitsLab])
async def lab(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Lab]:
    async with request.param(tmp_path) as lab:
        yield lab


def payments(lab: Lab) -> int:
    return sum(request.startswith("POST ") for request in lab.wallet.faults.requests)


@pytest.mark.parametrize("fault", AFTER)
async def test_a_payment_with_a_bad_answer_is_unknown_and_the_look_up_knows(lab: Lab, fault: Fault) -> None:
    invoice = await lab.invoice(AMOUNT)
    if fault is Fault.TIMEOUT_AFTER:
        lab.set_answer_timeout(1)
    lab.wallet.faults.payments.append(fault)
    paid = await lab.rail.pay(invoice, max_fee_msat=FEE)
    assert (paid.outcome, paid.preimage, paid.fee_msat) == (Outcome.UNKNOWN, None, 0)
    assert paid.reason
    found = await lab.rail.look_up(invoice.payment_hash)
    assert found is not None
    assert found.outcome is Outcome.SETTLED
    assert await lab.received_msat() == AMOUNT
    assert payments(lab) == 1


@pytest.mark.parametrize("fault", BEFORE)
async def test_a_payment_that_never_began_is_unknown_and_goes_again(lab: Lab, fault: Fault) -> None:
    invoice = await lab.invoice(AMOUNT)
    lab.wallet.faults.payments.append(fault)
    assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.UNKNOWN
    assert await lab.rail.look_up(invoice.payment_hash) is None
    assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.SETTLED
    assert await lab.received_msat() == AMOUNT


@pytest.mark.parametrize("fault", sorted({*AFTER, *BEFORE} - {Fault.TIMEOUT_AFTER}, key=str))
async def test_a_look_up_with_a_bad_answer_is_unknown(lab: Lab, fault: Fault) -> None:
    invoice = await lab.invoice(AMOUNT)
    assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.SETTLED
    lab.wallet.faults.others.append(fault)
    found = await lab.rail.look_up(invoice.payment_hash)
    assert found is not None
    assert (found.outcome, found.preimage) == (Outcome.UNKNOWN, None)


@pytest.mark.parametrize("fault", [Fault.RESET_BEFORE, Fault.PROXY_404, Fault.HTML, Fault.NOTHING])
async def test_nothing_is_sent_when_it_cannot_look_first(lab: Lab, fault: Fault) -> None:
    invoice = await lab.invoice(AMOUNT)
    lab.wallet.faults.others.append(fault)
    result = await lab.rail.pay(invoice, max_fee_msat=FEE)
    if fault in (Fault.HTML, Fault.NOTHING):
        # These bend a good answer alone; the 404 of an unknown hash becomes a 200 that cannot be read.
        assert "cannot be read" in (result.reason or "") or "in full" in (result.reason or "")
    assert result.outcome is Outcome.UNKNOWN
    assert (result.reason or "").startswith("nothing was sent: ")
    assert payments(lab) == 0


async def test_a_failure_is_believed_only_with_the_record(lab: Lab) -> None:
    """The answer said "failed"; the record cannot be read just then."""
    invoice = await lab.invoice(AMOUNT)
    lab.next_fails()
    # Before the payment: one look-up, and LNbits' fee reserve. The next request confirms the failure.
    earlier = 1 if isinstance(lab, PhoenixdLab) else 2
    lab.wallet.faults.others.extend([Fault.NONE] * earlier + [Fault.RESET_BEFORE])
    assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.UNKNOWN
    found = await lab.rail.look_up(invoice.payment_hash)
    assert found is not None
    assert found.outcome is Outcome.FAILED


async def test_what_is_in_flight_stays_so_when_its_invoice_expires(lab: Lab) -> None:
    """lightningnetwork/lnd#7621: expired, refunded, and then the first payment settled."""
    invoice = await lab.invoice(AMOUNT)
    lab.next_hangs()
    await lab.rail.pay(invoice, max_fee_msat=FEE)
    expired = type(invoice)(
        bolt11=invoice.bolt11, payment_hash=invoice.payment_hash, amount_msat=AMOUNT, expires_at_ms=0
    )
    assert await lab.rail.pay(expired, max_fee_msat=FEE) == PaymentResult(outcome=Outcome.IN_FLIGHT)
    assert payments(lab) == 1


async def test_a_wallet_without_the_money_is_a_failure_that_names_it(lab: Lab) -> None:
    invoice = await lab.invoice(10_000_000_000)
    result = await lab.rail.pay(invoice, max_fee_msat=100_000_000)
    assert result.outcome is Outcome.FAILED
    assert "funds" in (result.reason or "") or "balance" in (result.reason or "")
    assert await lab.rail.look_up(invoice.payment_hash) is None
    assert await lab.received_msat() == 0


async def test_fees_over_the_limit_are_a_failure_before_anything_is_sent(lab: Lab) -> None:
    invoice = await lab.invoice(AMOUNT)
    result = await lab.rail.pay(invoice, max_fee_msat=2_999)
    assert result.outcome is Outcome.FAILED
    assert "the limit is 2999" in (result.reason or "")
    assert payments(lab) == 0


async def test_a_wrong_secret_is_unknown_and_says_what_to_mend(lab: Lab) -> None:
    invoice = await lab.invoice(AMOUNT)
    assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.SETTLED
    lab.secret("0" * 32)
    found = await lab.restarted().look_up(invoice.payment_hash)
    assert found is not None
    assert found.outcome is Outcome.UNKNOWN
    assert "password" in (found.reason or "") or "key" in (found.reason or "")


async def test_a_server_that_is_not_there_is_unknown(lab: Lab) -> None:
    invoice = await lab.invoice(AMOUNT)
    lab.move_to("http://127.0.0.1:9")
    rail = lab.restarted()
    paid, found = await rail.pay(invoice, max_fee_msat=FEE), await rail.look_up(invoice.payment_hash)
    assert found is not None
    assert (paid.outcome, found.outcome) == (Outcome.UNKNOWN, Outcome.UNKNOWN)
    assert paid.reason == f"nothing was sent: {found.reason}"


async def test_lnbits_pays_a_neighbour_on_the_same_server(tmp_path: Path) -> None:
    async with LnbitsLab(tmp_path) as lab:
        invoice = lab.invoice_of(lab.wallet.internal_invoice(AMOUNT))
        result = await lab.rail.pay(invoice, max_fee_msat=FEE)
        assert (result.outcome, result.fee_msat) == (Outcome.SETTLED, 0)


async def test_an_internal_invoice_that_somebody_else_paid_is_our_failure(tmp_path: Path) -> None:
    async with LnbitsLab(tmp_path) as lab:
        invoice = lab.invoice_of(lab.wallet.internal_invoice(AMOUNT))
        lab.wallet.rows[0].status = "success"
        result = await lab.rail.pay(invoice, max_fee_msat=FEE)
        assert result == PaymentResult(
            outcome=Outcome.FAILED, reason="LNbits: Internal invoice already paid."
        )
        assert await lab.received_msat() == 0


async def test_lnbits_without_preimages_proves_nothing(tmp_path: Path) -> None:
    async with LnbitsLab(tmp_path) as lab:
        lab.wallet.gives_preimages = False
        invoice = await lab.invoice(AMOUNT)
        result = await lab.rail.pay(invoice, max_fee_msat=FEE)
        assert result == PaymentResult(
            outcome=Outcome.UNKNOWN, reason="LNbits says paid, but gives no preimage to prove it"
        )
        assert await lab.rail.look_up(invoice.payment_hash) == result


async def test_an_early_phoenixd_calls_an_ended_failure_paid(tmp_path: Path) -> None:
    async with PhoenixdLab(tmp_path) as lab:
        lab.wallet.early = True
        invoice = await lab.invoice(AMOUNT)
        lab.next_fails()
        result = await lab.rail.pay(invoice, max_fee_msat=FEE)
        assert result == PaymentResult(
            outcome=Outcome.UNKNOWN, reason="phoenixd says paid, but gives no preimage to prove it"
        )


async def test_a_phoenixd_without_look_up_is_never_sent_anything(tmp_path: Path) -> None:
    async with PhoenixdLab(tmp_path) as lab:
        lab.wallet.knows_by_hash = False
        result = await lab.rail.pay(await lab.invoice(AMOUNT), max_fee_msat=FEE)
        assert result.outcome is Outcome.UNKNOWN
        assert "0.8 or newer is needed" in (result.reason or "")
        assert payments(lab) == 0
