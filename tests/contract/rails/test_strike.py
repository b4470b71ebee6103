"""A Strike account that misbehaves: whatever it answers to an execution, the rail never says FAILED for a payment that was
made, executes each quote once, and takes an absence for one only where the list of payments is known to be complete."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from connectors.rails.strike_answers import NOTHING_LEFT
from core import clock
from core.errors import HubError, Misconfigured, Rejected, Retryable
from core.payouts.rail import Funded, Outcome, PaymentResult, Quoting, Recording
from tests.contract.rails.labs_strike import StrikeLab
from tests.contract.rails.strike_kit import AMOUNT, FEE, rail_of, refusal
from tests.fakes.wallet_faults import AFTER, BEFORE, Fault


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[StrikeLab]:
    async with StrikeLab(tmp_path) as lab:
        yield lab


async def test_it_is_what_the_machine_asks_for(lab: StrikeLab) -> None:
    assert isinstance(lab.rail, Quoting)
    assert isinstance(lab.rail, Funded)
    assert isinstance(lab.rail, Recording)
    assert not lab.rail.capabilities.proves_by_preimage


# --- the quote ---


async def test_a_quote_is_named_priced_and_moves_nothing(lab: StrikeLab) -> None:
    invoice = await lab.invoice(AMOUNT)
    quote = await rail_of(lab).quote(invoice, max_fee_msat=FEE)
    (row,) = lab.account.quotes.values()
    assert (quote.reference, quote.fee_msat, quote.valid_until_ms) == (row.id, 1_000, row.valid_until_ms)
    assert await rail_of(lab).quote(invoice, max_fee_msat=FEE) == quote
    assert len(lab.account.quotes) == 1
    assert lab.account.balances["BTC"] == Decimal("0.05000000")
    assert lab.account.payments == {}


async def test_a_quote_that_was_made_before_a_restart_is_never_executed_unpriced(lab: StrikeLab) -> None:
    invoice = await lab.invoice(AMOUNT)
    await rail_of(lab).quote(invoice, max_fee_msat=FEE)
    again = lab.with_options()
    with pytest.raises(Retryable) as caught:
        await again.quote(invoice, max_fee_msat=FEE)
    assert caught.value.code == "quote_unpriced"
    assert len(lab.account.quotes) == 1


@pytest.mark.parametrize(("fee", "limit"), [("0.00000006", 5_999), ("0.00000001", 0)])
async def test_too_dear_is_refused_before_anything_is_executed(lab: StrikeLab, fee: str, limit: int) -> None:
    lab.account.fees["BTC"] = Decimal(fee)
    problem = await refusal(lab, max_fee_msat=limit)
    assert isinstance(problem, Rejected)
    assert problem.code == "too_dear"


async def test_a_fee_in_dollars_is_held_against_the_limit_in_millisatoshi(lab: StrikeLab) -> None:
    """A cent at 67,000 dollars is 14,925.37... msat; it is rounded up."""
    lab.with_options(source_currency="USD")
    lab.account.fees["USD"] = Decimal("0.01")
    assert isinstance(await refusal(lab, max_fee_msat=14_925), Rejected)
    invoice = await lab.quoted(AMOUNT, max_fee_msat=14_926)
    result = await lab.rail.pay(invoice, max_fee_msat=14_926)
    assert (result.outcome, result.fee_msat) == (Outcome.SETTLED, 14_926)
    assert lab.account.balances["USD"] == Decimal("999.65")  # 500 sat are 33.5 cents, and the fee
    assert await lab.rail.look_up(invoice.payment_hash) == result


async def test_a_quote_over_another_amount_is_refused(lab: StrikeLab) -> None:
    lab.account.overcharge = Decimal("0.00000100")
    problem = await refusal(lab)
    assert isinstance(problem, Rejected)
    assert (problem.code, problem.message) == (
        "wrong_quote",
        "Strike's quote is over 600000 msat, the invoice over 500000",
    )


async def test_a_quote_that_ends_at_once_is_not_taken(lab: StrikeLab) -> None:
    lab.account.quote_seconds = 5
    problem = await refusal(lab)
    assert isinstance(problem, Retryable)
    assert problem.code == "quote_ends"


async def test_an_account_without_the_money_waits_before_the_attempt(lab: StrikeLab) -> None:
    problem = await refusal(lab, 6_000_000_000, max_fee_msat=60_000_000)
    assert isinstance(problem, Retryable)
    assert (problem.code, problem.after) == ("balance_too_low", 300)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (422, "LN_ROUTE_NOT_FOUND", Rejected),
        (422, "LN_INVOICE_PROCESSED", Rejected),
        (422, "SELF_PAYMENT_NOT_ALLOWED", Rejected),
        (422, "BALANCE_TOO_LOW", Retryable),
        (422, "EXCHANGE_RATE_NOT_AVAILABLE", Retryable),
        (422, "TOO_MANY_TRANSACTIONS", Retryable),
        (409, "PROCESSING_CONFLICT", Retryable),
        (425, "ACCOUNT_NOT_READY", Retryable),
        (401, "UNAUTHORIZED", Misconfigured),
        (403, "FORBIDDEN", Misconfigured),
        (500, "INTERNAL_SERVER_ERROR", Retryable),
        (503, "MAINTENANCE_MODE", Retryable),
    ],
)
async def test_a_refused_quote(lab: StrikeLab, status: int, code: str, kind: type[HubError]) -> None:
    lab.account.quote_refusals.append((status, code))
    problem = await refusal(lab)
    assert type(problem) is kind
    assert code in problem.message


@pytest.mark.parametrize(
    "fault",
    sorted(
        {*AFTER, *BEFORE} - {Fault.TIMEOUT_AFTER, Fault.TOO_LONG, Fault.WRONG_HASH, Fault.WRONG_PREIMAGE},
        key=str,
    ),
)
async def test_a_quote_with_a_bad_answer_is_asked_again_later(lab: StrikeLab, fault: Fault) -> None:
    lab.account.faults.others.append(fault)
    assert isinstance(await refusal(lab), Retryable)
    assert isinstance(await lab.quoted(AMOUNT), msgspec.Struct)


# --- the execution ---


async def test_settled_with_a_preimage_that_was_not_promised(lab: StrikeLab) -> None:
    invoice = await lab.quoted(AMOUNT)
    result = await lab.rail.pay(invoice, max_fee_msat=FEE)
    assert (result.outcome, result.fee_msat) == (Outcome.SETTLED, 1_000)
    assert hashlib.sha256(bytes.fromhex(result.preimage or "")).hexdigest() == invoice.payment_hash
    lab.account.gives_preimages = False
    other = await lab.quoted(AMOUNT)
    assert await lab.rail.pay(other, max_fee_msat=FEE) == PaymentResult(
        outcome=Outcome.SETTLED, fee_msat=1_000
    )


async def test_without_a_quote_nothing_is_executed(lab: StrikeLab) -> None:
    invoice = await lab.invoice(AMOUNT)
    for reference in ("", "../payouts", "x" * 36):
        result = await lab.rail.pay(msgspec.structs.replace(invoice, reference=reference), max_fee_msat=FEE)
        assert result.outcome is Outcome.UNKNOWN
        assert (result.reason or "").startswith("nothing was sent: ")
    assert lab.account.faults.requests == []


@pytest.mark.parametrize("fault", sorted(set(AFTER) - {Fault.WRONG_HASH, Fault.TOO_LONG}, key=str))
async def test_an_execution_with_a_bad_answer_is_unknown_and_the_list_knows(
    lab: StrikeLab, fault: Fault
) -> None:
    invoice = await lab.quoted(AMOUNT)
    lab.account.faults.payments.append(fault)
    paid = await lab.rail.pay(invoice, max_fee_msat=FEE)
    assert (paid.outcome, paid.preimage, paid.fee_msat) == (Outcome.UNKNOWN, None, 0)
    assert paid.reason
    found = await lab.restarted().look_up(invoice.payment_hash, reference=invoice.reference)
    assert found is not None
    assert found.outcome is Outcome.SETTLED
    assert await lab.received_msat() == AMOUNT
    assert lab.account.executions() == 1


@pytest.mark.parametrize("fault", BEFORE)
async def test_an_execution_that_never_began_is_unknown_and_goes_again(lab: StrikeLab, fault: Fault) -> None:
    invoice = await lab.quoted(AMOUNT)
    lab.account.faults.payments.append(fault)
    assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.UNKNOWN
    assert await lab.rail.look_up(invoice.payment_hash, reference=invoice.reference) is None
    assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.SETTLED
    assert await lab.received_msat() == AMOUNT


@pytest.mark.parametrize("code", sorted(NOTHING_LEFT))
async def test_a_refusal_is_a_failure_when_the_list_has_no_payment(lab: StrikeLab, code: str) -> None:
    invoice = await lab.quoted(AMOUNT)
    lab.account.execute_refusals.append((422, code))
    result = await lab.rail.pay(invoice, max_fee_msat=FEE)
    assert result == PaymentResult(outcome=Outcome.FAILED, reason=f"Strike refused: 422 {code}: Refused.")


@pytest.mark.parametrize("listing", ["absent", "nameless"])
@pytest.mark.parametrize("code", sorted(NOTHING_LEFT))
async def test_a_refusal_alone_is_no_failure(lab: StrikeLab, code: str, listing: str) -> None:
    lab.account.gives_preimages = False
    await lab.rail.pay(await lab.quoted(AMOUNT), max_fee_msat=FEE)
    lab.account.listing = listing
    invoice = await lab.quoted(AMOUNT)
    lab.account.execute_refusals.append((422, code))
    result = await lab.rail.pay(invoice, max_fee_msat=FEE)
    assert result.outcome is Outcome.UNKNOWN
    assert code in (result.reason or "")


@pytest.mark.parametrize("code", sorted(NOTHING_LEFT))
async def test_a_refusal_of_what_was_paid_before_is_not_a_failure(lab: StrikeLab, code: str) -> None:
    """The answer to the first execution was lost, and the second is refused for another reason."""
    invoice = await lab.quoted(AMOUNT)
    lab.next_loses_its_answer()
    await lab.rail.pay(invoice, max_fee_msat=FEE)
    lab.account.execute_refusals.append((422, code))
    assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.SETTLED
    assert await lab.received_msat() == AMOUNT


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (422, "PAYMENT_PROCESSED"),
        (422, "LN_INVOICE_PROCESSED"),
        (422, "PROCESSING_PAYMENT"),
        (409, "PROCESSING_CONFLICT"),
        (422, "LN_UNAVAILABLE"),
        (422, "EXCHANGE_RATE_NOT_AVAILABLE"),
        (422, "TOO_MANY_TRANSACTIONS"),
        (422, "UNPROCESSABLE_ENTITY"),
        (422, "A_CODE_OF_TOMORROW"),
        (400, "INVALID_DATA"),
        (401, "UNAUTHORIZED"),
        (403, "FORBIDDEN"),
        (404, "NOT_FOUND"),
        (425, "ACCOUNT_NOT_READY"),
        (429, "RATE_LIMIT_EXCEEDED"),
        (500, "INTERNAL_SERVER_ERROR"),
        (502, "BAD_GATEWAY"),
        (503, "SERVICE_UNAVAILABLE"),
        (504, "GATEWAY_TIMEOUT"),
        (500, "BALANCE_TOO_LOW"),  # the code is not believed under a status that is not its own
    ],
)
async def test_what_may_be_said_of_a_payment_that_left_is_unknown(
    lab: StrikeLab, status: int, code: str
) -> None:
    invoice = await lab.quoted(AMOUNT)
    lab.account.execute_refusals.append((status, code))
    result = await lab.rail.pay(invoice, max_fee_msat=FEE)
    assert result.outcome is Outcome.UNKNOWN
    assert code in (result.reason or "")


async def test_a_second_execution_pays_nothing_and_finds_the_first(lab: StrikeLab) -> None:
    invoice = await lab.quoted(AMOUNT)
    first = await lab.rail.pay(invoice, max_fee_msat=FEE)
    assert await lab.rail.pay(invoice, max_fee_msat=FEE) == first
    assert await lab.restarted().pay(invoice, max_fee_msat=FEE) == first
    assert await lab.received_msat() == AMOUNT


async def test_a_second_payment_of_one_quote_is_no_answer(lab: StrikeLab) -> None:
    """It cannot be, by all that is published; the first payment stays the one that is asked about."""
    invoice = await lab.quoted(AMOUNT)
    lab.next_hangs()
    await lab.rail.pay(invoice, max_fee_msat=FEE)
    (first,) = lab.account.payments.values()
    lab.account.payments.clear()
    lab.next_fails()
    again = await lab.rail.pay(invoice, max_fee_msat=FEE)
    assert again.outcome is Outcome.UNKNOWN
    assert "a second payment" in (again.reason or "")
    lab.account.payments[first.id] = first
    assert await lab.restarted().look_up(invoice.payment_hash, reference=invoice.reference) == PaymentResult(
        outcome=Outcome.IN_FLIGHT
    )


async def test_a_quote_past_its_end_fails_only_with_the_list(lab: StrikeLab) -> None:
    invoice = await lab.quoted(AMOUNT)
    lab.account.quotes[invoice.reference].valid_until_ms = clock.now_ms() - 1
    lab.account.listing = "absent"
    assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.UNKNOWN
    assert await lab.rail.look_up(invoice.payment_hash, reference=invoice.reference) == PaymentResult(
        outcome=Outcome.UNKNOWN, reason="Strike answered 404 NOT_FOUND: Not found."
    )
    lab.account.listing = "items"
    assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.FAILED


async def test_in_flight_stays_so_when_quote_and_invoice_expire(lab: StrikeLab) -> None:
    """lightningnetwork/lnd#7621: expired, refunded, and then the first payment settled."""
    invoice = await lab.quoted(AMOUNT)
    lab.next_hangs()
    in_flight = PaymentResult(outcome=Outcome.IN_FLIGHT)
    assert await lab.rail.pay(invoice, max_fee_msat=FEE) == in_flight
    lab.account.quotes[invoice.reference].valid_until_ms = 0
    expired = msgspec.structs.replace(invoice, expires_at_ms=0)
    assert await lab.rail.pay(expired, max_fee_msat=FEE) == in_flight
    assert await lab.rail.look_up(invoice.payment_hash, reference=invoice.reference) == in_flight
