"""What every rail must do, whatever it speaks to: the four outcomes, and never twice."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

import msgspec
import pytest

from connectors.rails import RAILS
from core.errors import Rejected, Retryable
from core.payouts.rail import Invoice, Outcome, PaymentResult, Quoting, Target
from tests.contract.rails.labs import BANK_RAILS, FAILED_FOR_EVER, LABS, Lab
from tests.wait import wait_until

AMOUNT = 500_000
FEE = 5_000


@pytest.fixture(params=sorted(RAILS.keys() - BANK_RAILS))
async def lab(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Lab]:
    """A lab that serves something does so while it is entered."""
    assert request.param in LABS, f"the rail {request.param} has no lab in tests/contract/rails/labs.py"
    lab = LABS[request.param](tmp_path)
    async with lab if isinstance(lab, AbstractAsyncContextManager) else nullcontext():
        yield lab


def assert_settled(lab: Lab, invoice: Invoice, result: PaymentResult | None) -> None:
    assert result is not None
    assert result.outcome is Outcome.SETTLED
    assert 0 <= result.fee_msat <= FEE
    if lab.rail.capabilities.proves_by_preimage:
        assert result.preimage is not None
        assert hashlib.sha256(bytes.fromhex(result.preimage)).hexdigest() == invoice.payment_hash


async def pay(lab: Lab, invoice: Invoice) -> PaymentResult:
    """A rail that quotes is asked first, and what it will not quote is never paid, as `core/payouts/prepare.py` has it."""
    if isinstance(lab.rail, Quoting):
        try:
            quote = await lab.rail.quote(invoice, max_fee_msat=FEE)
        except Rejected as error:
            return PaymentResult(outcome=Outcome.FAILED, reason=error.message)
        except Retryable as error:
            return PaymentResult(outcome=Outcome.UNKNOWN, reason=error.message)
        invoice = msgspec.structs.replace(invoice, reference=quote.reference)
    return await lab.rail.pay(invoice, max_fee_msat=FEE)


async def test_a_rail_says_what_it_is(lab: Lab) -> None:
    assert lab.rail.name in RAILS
    assert lab.rail.capabilities.pays is Target.INVOICE
    assert lab.rail.capabilities.network in ("bc", "tb", "tbs", "bcrt")
    assert not (lab.rail.capabilities.real_money and lab.rail.capabilities.network != "bc")


async def test_settled_with_proof(lab: Lab) -> None:
    invoice = await lab.invoice(AMOUNT)
    result = await pay(lab, invoice)
    assert_settled(lab, invoice, result)
    assert await lab.rail.look_up(invoice.payment_hash) == result
    assert await lab.received_msat() == AMOUNT


async def test_failed_for_good(lab: Lab) -> None:
    invoice = await lab.invoice(AMOUNT)
    lab.next_fails()
    result = await pay(lab, invoice)
    assert result.outcome is Outcome.FAILED
    assert result.reason
    assert result.preimage is None
    assert result.fee_msat == 0
    looked_up = await lab.rail.look_up(invoice.payment_hash)
    assert looked_up is not None
    assert looked_up.reason
    assert (
        msgspec.structs.replace(looked_up, reason=result.reason) == result
    )  # a record may know less of the why
    assert await lab.received_msat() == 0


async def test_a_failed_hash_may_be_sent_again_or_never(lab: Lab) -> None:
    invoice = await lab.invoice(AMOUNT)
    lab.next_fails()
    assert (await pay(lab, invoice)).outcome is Outcome.FAILED
    again = await pay(lab, invoice)
    if lab.rail.name in FAILED_FOR_EVER:
        assert again.outcome is Outcome.FAILED
        assert await lab.received_msat() == 0
    else:
        assert_settled(lab, invoice, again)
        assert await lab.received_msat() == AMOUNT


@pytest.mark.parametrize("settle", [True, False])
async def test_what_hangs_is_in_flight_until_the_payee_decides(lab: Lab, settle: bool) -> None:
    invoice = await lab.invoice(AMOUNT)
    lab.next_hangs()
    assert (await pay(lab, invoice)).outcome in (Outcome.IN_FLIGHT, Outcome.UNKNOWN)
    looked_up = await lab.rail.look_up(invoice.payment_hash)
    assert looked_up == PaymentResult(outcome=Outcome.IN_FLIGHT)
    again = await pay(lab, invoice)
    assert again.outcome in (Outcome.UNKNOWN, Outcome.IN_FLIGHT)
    lab.release(settle=settle)

    async def decided() -> bool:
        result = await lab.rail.look_up(invoice.payment_hash)
        return result is not None and result.outcome is not Outcome.IN_FLIGHT

    await wait_until(decided)
    result = await lab.rail.look_up(invoice.payment_hash)
    if settle:
        assert_settled(lab, invoice, result)
    else:
        assert result is not None
        assert result.outcome is Outcome.FAILED
    assert await lab.received_msat() == (AMOUNT if settle else 0)


async def test_a_payer_that_dies_while_waiting_finds_its_payment_again(lab: Lab) -> None:
    invoice = await lab.invoice(AMOUNT)
    lab.next_hangs()
    paying = asyncio.create_task(pay(lab, invoice))

    async def seen() -> bool:
        return await lab.rail.look_up(invoice.payment_hash) is not None

    await wait_until(seen)
    paying.cancel()
    lab.release(settle=True)
    assert_settled(lab, invoice, await lab.restarted().look_up(invoice.payment_hash))
    assert await lab.received_msat() == AMOUNT


async def test_a_lost_answer_is_unknown_and_the_look_up_knows(lab: Lab) -> None:
    invoice = await lab.invoice(AMOUNT)
    lab.next_loses_its_answer()
    result = await pay(lab, invoice)
    assert result.outcome is Outcome.UNKNOWN
    assert result.preimage is None
    assert_settled(lab, invoice, await lab.restarted().look_up(invoice.payment_hash))
    assert await lab.received_msat() == AMOUNT


async def test_a_settled_hash_is_not_paid_twice_and_not_called_failed(lab: Lab) -> None:
    invoice = await lab.invoice(AMOUNT)
    assert_settled(lab, invoice, await pay(lab, invoice))
    again = await pay(lab, invoice)
    assert again.outcome in (Outcome.UNKNOWN, Outcome.SETTLED)
    assert_settled(lab, invoice, await lab.rail.look_up(invoice.payment_hash))
    assert await lab.received_msat() == AMOUNT


async def test_many_at_once_pay_once(lab: Lab) -> None:
    invoice = await lab.invoice(AMOUNT)
    results = await asyncio.gather(*(pay(lab, invoice) for _ in range(8)))
    assert all(result.outcome is not Outcome.FAILED for result in results)
    assert_settled(lab, invoice, await lab.rail.look_up(invoice.payment_hash))
    assert await lab.received_msat() == AMOUNT


async def test_unreachable_is_unknown_and_leaves_nothing(lab: Lab) -> None:
    invoice = await lab.invoice(AMOUNT)
    lab.next_is_unreachable()
    assert (await pay(lab, invoice)).outcome is Outcome.UNKNOWN
    assert await lab.rail.look_up(invoice.payment_hash) is None
    assert_settled(lab, invoice, await pay(lab, invoice))


async def test_a_look_up_that_cannot_ask_says_so(lab: Lab) -> None:
    invoice = await lab.invoice(AMOUNT)
    await pay(lab, invoice)
    lab.next_look_up_is_unreachable()
    result = await lab.rail.look_up(invoice.payment_hash)
    assert result is not None
    assert result.outcome is Outcome.UNKNOWN
    assert_settled(lab, invoice, await lab.rail.look_up(invoice.payment_hash))


async def test_an_expired_invoice_is_not_paid(lab: Lab) -> None:
    assert (await pay(lab, await lab.expired_invoice(AMOUNT))).outcome is Outcome.FAILED
    assert await lab.received_msat() == 0


async def test_an_invoice_of_another_network_is_not_paid(lab: Lab) -> None:
    assert (await pay(lab, await lab.foreign_invoice(AMOUNT))).outcome is Outcome.FAILED
    assert await lab.received_msat() == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_msat": AMOUNT - 1000},
        {"amount_msat": AMOUNT + 1000},
        {"payment_hash": "00" * 32},
        {"bolt11": "x"},
    ],
)
async def test_an_invoice_that_is_not_what_was_committed_is_not_paid(
    lab: Lab, changes: dict[str, int | str]
) -> None:
    invoice = await lab.invoice(AMOUNT)
    other = msgspec.structs.replace(invoice, **changes)
    assert (await pay(lab, other)).outcome in (Outcome.FAILED, Outcome.UNKNOWN)
    assert await lab.received_msat() == 0


async def test_a_hash_never_seen_is_none(lab: Lab) -> None:
    assert await lab.rail.look_up("ab" * 32) is None
