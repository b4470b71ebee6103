"""The rail that pays banks through Strike: nothing moves before it is initiated, each payout is initiated once, and what a
bank takes back is reversed. The suite of all rails deals in invoices; this is its counterpart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from connectors.rails.strike_bank_answers import NEVER_BEGAN
from core.payouts.rail import Funded, Outcome, PaymentResult, Quoting, Rail, Recording, Target
from tests.contract.rails.labs import BANK_RAILS
from tests.contract.rails.labs_strike import StrikeBankLab
from tests.contract.rails.strike_kit import FEE
from tests.fakes.wallet_faults import AFTER, BEFORE, Fault

IN_FLIGHT = PaymentResult(outcome=Outcome.IN_FLIGHT)
SETTLED = PaymentResult(outcome=Outcome.SETTLED)
DOLLARS = Decimal("1000.00")


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[StrikeBankLab]:
    async with StrikeBankLab(tmp_path) as lab:
        yield lab


def initiations(lab: StrikeBankLab) -> int:
    return sum(request.endswith("/initiate") for request in lab.account.faults.requests)


async def test_it_says_what_it_is(lab: StrikeBankLab) -> None:
    rail: Rail = lab.rail
    assert rail.name in BANK_RAILS
    assert (rail.capabilities.pays, rail.capabilities.slow) == (Target.BANK, True)
    assert not rail.capabilities.proves_by_preimage
    assert not rail.capabilities.real_money
    assert lab.restarted(sandbox=False).capabilities.real_money
    assert isinstance(rail, Quoting)
    assert isinstance(rail, Funded)
    assert not isinstance(rail, Recording)  # Strike's list of payouts does not carry our reference


@pytest.mark.parametrize(
    ("bank", "expected"),
    [
        ("COMPLETED", SETTLED),
        ("FAILED", PaymentResult(outcome=Outcome.FAILED, reason="Strike says that the payout failed")),
    ],
)
async def test_a_payout_from_start_to_end(lab: StrikeBankLab, bank: str, expected: PaymentResult) -> None:
    invoice = await lab.quoted(1_250)
    assert await lab.rail.pay(invoice, max_fee_msat=FEE) == IN_FLIGHT
    assert await lab.rail.look_up(invoice.payment_hash, reference=invoice.reference) == IN_FLIGHT
    assert lab.account.balances["USD"] == DOLLARS - Decimal("12.50")
    lab.account.payouts.bank(bank)
    assert await lab.restarted().look_up(invoice.payment_hash, reference=invoice.reference) == expected


async def test_what_the_bank_takes_back_is_reversed(lab: StrikeBankLab) -> None:
    invoice = await lab.quoted(1_250)
    await lab.rail.pay(invoice, max_fee_msat=FEE)
    lab.account.payouts.bank("COMPLETED")
    assert await lab.rail.look_up(invoice.payment_hash, reference=invoice.reference) == SETTLED
    lab.account.payouts.bank("REVERSED")
    found = await lab.rail.look_up(invoice.payment_hash, reference=invoice.reference)
    assert found == PaymentResult(outcome=Outcome.REVERSED, reason="the bank took the payout back")


async def test_a_fee_is_told_at_strikes_rate_of_the_day(lab: StrikeBankLab) -> None:
    """A cent at 67,000 dollars, rounded up."""
    lab.account.payouts.fee = Decimal("0.01")
    invoice = lab.invoice(1_250)
    quote = await lab.rail.quote(invoice, max_fee_msat=15_000)
    paid = msgspec.structs.replace(invoice, reference=quote.reference)
    await lab.rail.pay(paid, max_fee_msat=15_000)
    lab.account.payouts.bank("COMPLETED")
    lab.account.faults.others.extend([Fault.NONE, Fault.HTML])
    first = await lab.rail.look_up(paid.payment_hash, reference=paid.reference)
    assert first is not None
    assert first.outcome is Outcome.UNKNOWN
    assert await lab.rail.look_up(paid.payment_hash, reference=paid.reference) == PaymentResult(
        outcome=Outcome.SETTLED, fee_msat=14_926
    )


async def test_without_a_payout_nothing_is_initiated(lab: StrikeBankLab) -> None:
    for reference in ("", "../payouts", "x" * 36):
        invoice = msgspec.structs.replace(lab.invoice(100), reference=reference)
        assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.UNKNOWN
        found = await lab.rail.look_up(invoice.payment_hash, reference=reference)
        assert found is not None
        assert found.outcome is Outcome.UNKNOWN
    assert lab.account.faults.requests == []


@pytest.mark.parametrize(
    "fault", sorted(set(AFTER) - {Fault.WRONG_HASH, Fault.WRONG_PREIMAGE, Fault.TOO_LONG}, key=str)
)
async def test_an_initiation_with_a_bad_answer_is_unknown_and_the_look_up_knows(
    lab: StrikeBankLab, fault: Fault
) -> None:
    invoice = await lab.quoted(1_250)
    lab.account.faults.payments.append(fault)
    assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.UNKNOWN
    assert await lab.restarted().look_up(invoice.payment_hash, reference=invoice.reference) == IN_FLIGHT
    assert initiations(lab) == 1


@pytest.mark.parametrize("fault", BEFORE)
async def test_an_initiation_that_never_began_goes_again(lab: StrikeBankLab, fault: Fault) -> None:
    invoice = await lab.quoted(1_250)
    lab.account.faults.payments.append(fault)
    assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.UNKNOWN
    assert await lab.rail.look_up(invoice.payment_hash, reference=invoice.reference) is None
    assert await lab.rail.pay(invoice, max_fee_msat=FEE) == IN_FLIGHT
    assert sum(lab.account.payouts.sent.values()) == Decimal("12.50")


async def test_a_second_initiation_finds_the_first(lab: StrikeBankLab) -> None:
    invoice = await lab.quoted(1_250)
    assert await lab.rail.pay(invoice, max_fee_msat=FEE) == IN_FLIGHT
    assert await lab.restarted().pay(invoice, max_fee_msat=FEE) == IN_FLIGHT
    assert lab.account.balances["USD"] == DOLLARS - Decimal("12.50")


@pytest.mark.parametrize("code", sorted(NEVER_BEGAN))
async def test_a_refusal_is_a_failure_only_while_the_payout_is_new(lab: StrikeBankLab, code: str) -> None:
    invoice = await lab.quoted(1_250)
    lab.account.payouts.initiate_refusals.append((422, code))
    assert await lab.rail.pay(invoice, max_fee_msat=FEE) == PaymentResult(
        outcome=Outcome.FAILED, reason=f"Strike refused: 422 {code}: Refused."
    )
    lab.account.payouts.initiate_refusals.append((422, code))
    lab.account.faults.others.append(Fault.RESET_BEFORE)
    assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.UNKNOWN
    assert await lab.rail.pay(invoice, max_fee_msat=FEE) == IN_FLIGHT
    lab.account.payouts.initiate_refusals.append((422, code))
    assert await lab.rail.pay(invoice, max_fee_msat=FEE) == IN_FLIGHT


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "INVALID_DATA"),
        (401, "UNAUTHORIZED"),
        (404, "NOT_FOUND"),
        (405, "METHOD_NOT_ALLOWED"),
        (409, "PROCESSING_CONFLICT"),
        (422, "A_CODE_OF_TOMORROW"),
        (429, "RATE_LIMIT_EXCEEDED"),
        (500, "BALANCE_TOO_LOW"),
        (503, "MAINTENANCE_MODE"),
    ],
)
async def test_every_other_refusal_is_unknown(lab: StrikeBankLab, status: int, code: str) -> None:
    invoice = await lab.quoted(1_250)
    lab.account.payouts.initiate_refusals.append((status, code))
    assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "fault",
    sorted(
        {*AFTER, *BEFORE} - {Fault.TIMEOUT_AFTER, Fault.TOO_LONG, Fault.WRONG_HASH, Fault.WRONG_PREIMAGE},
        key=str,
    ),
)
async def test_a_look_up_with_a_bad_answer_is_unknown(lab: StrikeBankLab, fault: Fault) -> None:
    invoice = await lab.quoted(1_250)
    for _ in range(2):  # while it is NEW, and when it is on its way
        lab.account.faults.others.append(fault)
        found = await lab.rail.look_up(invoice.payment_hash, reference=invoice.reference)
        assert found is not None
        assert found.outcome is Outcome.UNKNOWN
        await lab.rail.pay(invoice, max_fee_msat=FEE)


async def test_a_payout_that_strike_does_not_know_is_unknown(lab: StrikeBankLab) -> None:
    found = await lab.rail.look_up("ab" * 32, reference="ee66cfe2-f3e3-450b-b333-c5e64e355125")
    assert found == PaymentResult(
        outcome=Outcome.UNKNOWN, reason="Strike answered 404 NOT_FOUND: Payout not found."
    )


async def test_the_balance_is_in_millisatoshi(lab: StrikeBankLab) -> None:
    assert await lab.rail.balance_msat() == 1_492_537_313
