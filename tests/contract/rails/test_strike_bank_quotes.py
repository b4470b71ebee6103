"""A quote for a bank through Strike: a payout that moves nothing yet, the account it goes to, and what Strike refuses of
it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.errors import HubError, Misconfigured, Rejected, Retryable
from core.payouts.rail import BankKind, Outcome, PaymentResult
from core.secret import Secret
from tests.contract.rails.labs_strike import ANN, StrikeBankLab
from tests.contract.rails.strike_kit import FEE, bank_refusal
from tests.fakes.wallet_faults import AFTER, BEFORE, Fault

IN_FLIGHT = PaymentResult(outcome=Outcome.IN_FLIGHT)
DOLLARS = Decimal("1000.00")


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[StrikeBankLab]:
    async with StrikeBankLab(tmp_path) as lab:
        yield lab


async def test_a_quote_creates_a_payout_that_moves_nothing(lab: StrikeBankLab) -> None:
    invoice = lab.invoice(1_250)
    quote = await lab.rail.quote(invoice, max_fee_msat=FEE)
    (method,), (payout,) = lab.account.payouts.methods.values(), lab.account.payouts.payouts.values()
    assert (quote.reference, quote.fee_msat, quote.valid_until_ms) == (payout.id, 0, None)
    assert (payout.amount, payout.reference, payout.state) == (Decimal("12.50"), "A2B3C4D5E6", "NEW")
    assert {key: method[key] for key in method if key not in ("id", "state", "created")} == {
        "transferType": "ACH",
        "accountNumber": "000123456789",
        "routingNumber": "021000021",
        "accountType": "CHECKING",
        "bankName": "First Example Bank",
        "bankAddress": {
            "country": "US",
            "state": "NY",
            "city": "New York",
            "postCode": "10001",
            "line1": "1 Main Street",
        },
        "beneficiaries": [{"type": "INDIVIDUAL", "name": "Ann Example"}],
    }
    assert lab.account.balances["USD"] == DOLLARS
    assert await lab.rail.quote(invoice, max_fee_msat=FEE) == quote
    assert len(lab.account.payouts.payouts) == 1
    assert await lab.rail.look_up(invoice.payment_hash, reference=quote.reference) is None


async def test_an_account_has_one_payment_method(lab: StrikeBankLab) -> None:
    await lab.quoted(1_250)
    await lab.quoted(300)
    lab.restarted()
    await lab.quoted(400)
    assert len(lab.account.payouts.methods) == 1
    for other in (
        {"account_number": Secret("000123456780")},
        {"routing_number": "011000015"},
        {"account_type": "SAVINGS"},
        {"holder": "Bob Example"},
    ):
        lab.restarted()
        await lab.quoted(400, msgspec.structs.replace(ANN, **other))
    assert len(lab.account.payouts.methods) == 5


async def test_four_digits_of_a_number_are_nobody(lab: StrikeBankLab) -> None:
    """Strike may show account numbers in part; a new payment method is then made after a restart."""
    lab.account.payouts.masks = True
    await lab.quoted(1_250)
    lab.restarted()
    await lab.quoted(300)
    assert len(lab.account.payouts.methods) == 2


async def test_a_changed_account_gets_a_payout_of_its_own(lab: StrikeBankLab) -> None:
    first = lab.invoice(1_250)
    old = await lab.rail.quote(first, max_fee_msat=FEE)
    moved = msgspec.structs.replace(
        first, payee=msgspec.structs.replace(ANN, account_number=Secret("000999999999"))
    )
    new = await lab.rail.quote(moved, max_fee_msat=FEE)
    assert new.reference != old.reference
    method = lab.account.payouts.methods[lab.account.payouts.payouts[new.reference].method]
    assert method["accountNumber"] == "000999999999"


async def test_details_under_review_wait_and_then_go(lab: StrikeBankLab) -> None:
    lab.account.payouts.method_state = "PENDING"
    problem = await bank_refusal(lab)
    assert isinstance(problem, Retryable)
    assert (problem.code, problem.message) == ("under_review", "the bank details are under review at Strike")
    (method,) = lab.account.payouts.methods.values()
    method["state"] = "READY"
    await lab.quoted(1_250)
    assert len(lab.account.payouts.methods) == 1


@pytest.mark.parametrize("state", ["SUSPENDED", "INVALID"])
async def test_details_that_strike_refuses(lab: StrikeBankLab, state: str) -> None:
    lab.account.payouts.method_state = state
    problem = await bank_refusal(lab)
    assert isinstance(problem, Rejected)
    assert state in problem.message


@pytest.mark.parametrize(
    ("cents", "changes", "message"),
    [
        (0, {}, "0 cents cannot be paid"),
        (-5, {}, "-5 cents cannot be paid"),
        (100_000_001, {}, "100000001 cents cannot be paid"),
        (
            100,
            {"kind": BankKind.SEPA},
            "Strike pays sepa in its own currency, and payouts here are in dollars",
        ),
        (100, {"kind": BankKind.FPS}, "Strike pays fps in its own currency, and payouts here are in dollars"),
        (100, {"holder": " "}, "the holder of the account is not named"),
        (100, {"account_number": Secret("")}, "the account number is missing"),
        (100, {"routing_number": "12"}, "the routing number is not nine digits"),
        (100, {"account_type": ""}, "an ACH account is CHECKING or SAVINGS"),
    ],
)
async def test_details_that_cannot_be_paid_are_not_sent_to_strike(
    lab: StrikeBankLab, cents: int, changes: dict[str, Any], message: str
) -> None:
    problem = await bank_refusal(lab, cents, **changes)
    assert isinstance(problem, Rejected)
    assert problem.message == message
    assert lab.account.faults.requests == []


async def test_without_details_there_is_no_quote(lab: StrikeBankLab) -> None:
    with pytest.raises(Rejected):
        await lab.rail.quote(msgspec.structs.replace(lab.invoice(100), payee=None), max_fee_msat=FEE)


async def test_a_wire_goes_to_a_company(lab: StrikeBankLab) -> None:
    wire = msgspec.structs.replace(
        ANN, kind=BankKind.US_WIRE, account_type="", company=True, holder="Example Inc.", bank_address=None
    )
    await lab.quoted(1_250, wire)
    (method,) = lab.account.payouts.methods.values()
    assert (method["transferType"], "accountType" in method) == ("US_DOMESTIC_WIRE", False)
    assert method["beneficiaries"] == [{"type": "COMPANY", "name": "Example Inc."}]
    lab.restarted()
    await lab.quoted(100, wire)
    assert len(lab.account.payouts.methods) == 1


async def test_too_dear_is_refused_before_anything_is_initiated(lab: StrikeBankLab) -> None:
    """Twelve dollars and a half are 18,750,000 msat here, so that a cent of fees is 15,000."""
    lab.account.payouts.fee = Decimal("0.01")
    invoice = lab.invoice(1_250)
    with pytest.raises(Rejected) as caught:
        await lab.rail.quote(invoice, max_fee_msat=14_999)
    assert caught.value.code == "too_dear"
    assert (await lab.rail.quote(invoice, max_fee_msat=15_000)).fee_msat == 15_000


async def test_an_originator_goes_along(lab: StrikeBankLab) -> None:
    originator = "ee66cfe2-f3e3-450b-b333-c5e64e355125"
    lab.restarted(originator_id=originator)
    problem = await bank_refusal(lab)
    assert isinstance(problem, Retryable)
    assert problem.code == "under_review"
    lab.account.payouts.originators[originator] = "APPROVED"
    await lab.quoted(1_250)
    (payout,) = lab.account.payouts.payouts.values()
    assert payout.originator == originator
    with pytest.raises(Misconfigured):
        lab.restarted(originator_id="us")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (422, "AMOUNT_TOO_LOW", Rejected),
        (422, "BALANCE_TOO_LOW", Retryable),
        (422, "PAYMENT_METHOD_NOT_READY", Retryable),
        (409, "PROCESSING_CONFLICT", Retryable),
        (401, "UNAUTHORIZED", Misconfigured),
        (403, "FORBIDDEN", Misconfigured),
        (429, "RATE_LIMIT_EXCEEDED", Retryable),
        (503, "MAINTENANCE_MODE", Retryable),
    ],
)
async def test_a_refused_creation(lab: StrikeBankLab, status: int, code: str, kind: type[HubError]) -> None:
    lab.account.payouts.create_refusals.append((status, code))
    problem = await bank_refusal(lab)
    assert type(problem) is kind
    assert code in problem.message


@pytest.mark.parametrize(
    "fault",
    sorted(
        {*AFTER, *BEFORE} - {Fault.TIMEOUT_AFTER, Fault.TOO_LONG, Fault.WRONG_HASH, Fault.WRONG_PREIMAGE},
        key=str,
    ),
)
@pytest.mark.parametrize("request_number", [0, 1, 2])
async def test_a_quote_with_a_bad_answer_is_asked_again(
    lab: StrikeBankLab, fault: Fault, request_number: int
) -> None:
    """The list of payment methods, the new method, the new payout. An orphan is NEW for ever."""
    lab.account.faults.others.extend([Fault.NONE] * request_number + [fault])
    problem = await bank_refusal(lab)
    assert isinstance(problem, Retryable)
    invoice = await lab.quoted(1_250)
    assert await lab.rail.pay(invoice, max_fee_msat=FEE) == IN_FLIGHT
    assert sum(lab.account.payouts.sent.values()) == Decimal("12.50")


async def test_numbers_stay_out_of_what_is_printed() -> None:
    assert "000123456789" not in repr(ANN)
