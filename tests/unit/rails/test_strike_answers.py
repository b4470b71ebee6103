"""What Strike's answers mean. The bodies have the form of the examples in docs.strike.me/api (read 2026-11)."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

import pytest

from connectors.calls import Answer
from connectors.rails.strike import idempotency_key
from connectors.rails.strike_answers import (
    Money,
    Rate,
    Unreadable,
    WrongQuote,
    decimal_text,
    fee_of,
    hash_of,
    moment_ms,
    msat_of,
    quoted,
    rate,
    refused,
    result_of,
    said,
    together,
)
from connectors.rails.strike_http import Budget
from connectors.rails.wallet_checks import IN_FLIGHT, failed, unknown
from core.payouts.rail import Outcome, PaymentResult

PREIMAGE = "5a" * 32
HASH = hashlib.sha256(bytes.fromhex(PREIMAGE)).hexdigest()
ID = "ac36a8a9-7e0d-4a6f-9d2c-1f7f3c1b2a10"
USD_RATE = {"amount": "50000.00", "sourceCurrency": "BTC", "targetCurrency": "USD"}


def usd(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "USD"}


PAID: dict[str, Any] = {
    "paymentId": ID,
    "state": "COMPLETED",
    "result": "SUCCESS",
    "completed": "2026-11-24T04:00:00+00:00",
    "conversionRate": USD_RATE,
    "amount": usd("0.25"),
    "totalFee": usd("0.01"),
    "lightningNetworkFee": usd("0.00"),
    "totalAmount": usd("0.26"),
    "lightning": {"networkFee": usd("0.00")},
}
QUOTE: dict[str, Any] = {
    "paymentQuoteId": ID,
    "validUntil": "2026-11-24T04:00:30.1234567+00:00",
    "conversionRate": USD_RATE,
    "amount": usd("0.25"),
    "totalFee": usd("0.01"),
    "totalAmount": usd("0.26"),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.35", Decimal("0.35")),
        ("12", Decimal(12)),
        ("0", Decimal(0)),
        ("-1", None),
        ("1e9", None),
        ("NaN", None),
        ("", None),
        ("1.", None),
        ("1,000", None),
        ("1" * 13, None),
        (0.35, None),
        (1, None),
        (None, None),
    ],
)
def test_an_amount_is_text_with_digits(text: object, expected: Decimal | None) -> None:
    assert decimal_text(text) == expected


def test_money_in_millisatoshi_rounds_against_the_limit() -> None:
    at = Rate(Decimal(67_000), "BTC", "USD")
    assert msat_of(Money(Decimal("0.01"), "USD"), at) == 14_926
    assert msat_of(Money(Decimal("0.01"), "USD"), at, "ROUND_FLOOR") == 14_925
    assert msat_of(Money(Decimal("0.00000001"), "BTC"), None) == 1_000
    other_way = Rate(Decimal("0.00002"), "USD", "BTC")
    assert msat_of(Money(Decimal("0.01"), "USD"), other_way) == 20_000
    assert msat_of(Money(Decimal("0.01"), "USD"), None) is None
    assert msat_of(Money(Decimal("0.01"), "EUR"), at) is None
    assert msat_of(Money(Decimal("0.00"), "EUR"), None) == 0


def test_a_rate_of_nothing_is_none() -> None:
    assert rate(USD_RATE) == Rate(Decimal("50000.00"), "BTC", "USD")
    assert rate(USD_RATE | {"amount": "0"}) is None
    assert rate(None) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Money(Decimal("0.01"), "USD")),
        ({"totalFee": usd("0.00")}, Money(Decimal("0.01"), "USD")),  # the total says more
        ({"totalFee": usd("0.02")}, Money(Decimal("0.02"), "USD")),
        ({"totalFee": None}, Money(Decimal("0.01"), "USD")),
        ({"totalAmount": None}, Money(Decimal("0.01"), "USD")),
        ({"totalFee": {"amount": "0.00000002", "currency": "BTC"}}, Money(Decimal("0.00000002"), "BTC")),
        ({"totalFee": None, "totalAmount": None}, None),
    ],
)
def test_a_fee_is_the_dearer_of_what_is_told(changes: dict[str, Any], expected: Money | None) -> None:
    assert fee_of(PAID | changes) == expected


def test_a_quote() -> None:
    found = quoted(QUOTE, amount_msat=500_000, source="USD")
    assert (found.id, found.fee_msat, found.total) == (ID, 20_000, Money(Decimal("0.26"), "USD"))
    assert found.valid_until_ms == 1_795_492_830_123


@pytest.mark.parametrize(
    "changes",
    [
        {"paymentQuoteId": "../payouts"},
        {"paymentQuoteId": None},
        {"validUntil": "soon"},
        {"validUntil": None},
        {"amount": None},
        {"amount": {"amount": 0.25, "currency": "USD"}},
        {"totalAmount": None},
        {"conversionRate": None},
        {"conversionRate": USD_RATE | {"targetCurrency": "EUR"}},
    ],
)
def test_a_quote_that_cannot_be_read(changes: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        quoted(QUOTE | changes, amount_msat=500_000, source="USD")


@pytest.mark.parametrize(("amount_msat", "source"), [(700_000, "USD"), (5_000_000, "USD"), (500_000, "BTC")])
def test_a_quote_for_something_else(amount_msat: int, source: str) -> None:
    with pytest.raises(WrongQuote):
        quoted(QUOTE, amount_msat=amount_msat, source=source)


def test_a_quote_is_rounded_to_a_cent() -> None:
    """Ten satoshis are half a cent; Strike may say none or one."""
    for amount, total in (("0.00", "0.00"), ("0.01", "0.01")):
        tiny = QUOTE | {"amount": usd(amount), "totalFee": usd("0.00"), "totalAmount": usd(total)}
        assert quoted(tiny, amount_msat=10_000, source="USD").fee_msat == 0


def test_the_three_states() -> None:
    assert result_of(PAID, HASH) == PaymentResult(outcome=Outcome.SETTLED, fee_msat=20_000)
    assert result_of(PAID | {"state": "PENDING", "result": "PENDING"}, HASH) == IN_FLIGHT
    assert result_of(PAID | {"state": "FAILED", "result": "FAILURE"}, HASH) == failed(
        "Strike says that the payment failed; the account was not charged"
    )
    without_old = {key: value for key, value in PAID.items() if key != "result"}
    assert result_of(without_old, HASH).outcome is Outcome.SETTLED


def test_a_preimage_goes_along_when_it_is_the_invoices() -> None:
    with_proof = PAID | {"lightning": {"preImage": PREIMAGE, "paymentHash": HASH.upper()}}
    assert result_of(with_proof, HASH).preimage == PREIMAGE
    assert result_of(PAID | {"lightning": {"preImage": "proof"}}, HASH).preimage is None


@pytest.mark.parametrize(
    "changes",
    [
        {"lightning": {"preImage": "6b" * 32}},
        {"lightning": {"paymentHash": "ab" * 32}},
        {"lightning": {"paymentHash": 7}},
        {"state": "FAILED", "result": "FAILURE", "lightning": {"preImage": PREIMAGE}},
        {"state": "FAILED"},
        {"state": "PENDING", "result": "FAILURE"},
        {"state": "REVERSED", "result": None},
        {"state": None, "result": None},
        {"state": True, "result": None},
        {"totalFee": None, "totalAmount": None},
        {"conversionRate": None},
    ],
)
def test_what_is_in_doubt(changes: dict[str, Any]) -> None:
    assert result_of(PAID | changes, HASH).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("body", [None, [], "COMPLETED", 7, {}, [PAID]])
def test_what_is_no_payment(body: object) -> None:
    assert result_of(body, HASH).outcome is Outcome.UNKNOWN


def test_of_several_payments_the_one_that_left_counts() -> None:
    settled = PaymentResult(outcome=Outcome.SETTLED)
    assert together([failed("x"), IN_FLIGHT, settled]) == settled
    assert together([failed("x"), unknown("y"), IN_FLIGHT]) == IN_FLIGHT
    assert together([failed("x"), unknown("y")]) == unknown("y")
    assert together([failed("x"), failed("y")]) == failed("x")
    assert together([]) is None


def test_which_invoice_a_payment_was_for() -> None:
    assert hash_of({"lightning": {"paymentHash": HASH.upper()}}) == HASH
    assert hash_of({"lightning": {"preImage": PREIMAGE}}) == HASH
    assert hash_of({"onchain": {"txnId": "7b"}}) == ""
    assert hash_of({"lightning": {"networkFee": usd("0.00")}}) is None
    assert hash_of({}) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24T04:00:30Z", 1_795_492_830_000),
        ("2026-11-24T04:00:30", 1_795_492_830_000),
        ("2026-11-24T05:00:30.5+01:00", 1_795_492_830_500),
        ("24.11.2026", None),
        (1_795_492_830, None),
    ],
)
def test_a_moment(text: object, expected: int | None) -> None:
    assert moment_ms(text) == expected


def answer(status: int, body: object) -> Answer:
    return Answer(status=status, body=body, headers={})


def test_an_error_document_and_what_is_none() -> None:
    low = {"traceId": "0H", "data": {"status": 422, "code": "BALANCE_TOO_LOW", "message": "Too\n low"}}
    assert said(answer(422, low)).words == "422 BALANCE_TOO_LOW: Too low"
    assert refused(answer(422, low), frozenset({"BALANCE_TOO_LOW"}))
    assert not refused(answer(500, low), frozenset({"BALANCE_TOO_LOW"}))
    assert not refused(answer(200, low), frozenset({"BALANCE_TOO_LOW"}))
    for body in (None, [], {"code": "BALANCE_TOO_LOW"}, {"data": {"code": "balance too low"}}):
        assert said(answer(422, body)).code == ""


def test_one_invoice_has_one_key_in_the_form_of_version_4() -> None:
    key = idempotency_key("lnbc1pexample")
    assert key == idempotency_key("LNBC1PEXAMPLE")
    assert key != idempotency_key("lnbc2pexample")
    assert (len(key), key[14], key[19] in "89ab") == (36, "4", True)


def test_the_budget_is_of_any_ten_minutes() -> None:
    now = [1_000.0]
    budget = Budget(20, lambda: now[0])
    for _ in range(20):
        budget.take(paying=True)
    assert (budget.left(paying=True), budget.wait()) == (0, 600.0)
    now[0] += 600
    assert (budget.left(paying=True), budget.left(paying=False)) == (20, 16)


def test_a_pause_grows_until_an_answer_is_good() -> None:
    now = [1_000.0]
    budget = Budget(20, lambda: now[0])
    for expected in (60, 120, 240, 480, 960, 1_920, 3_600, 3_600):
        budget.refused(None)
        assert (budget.left(paying=True), budget.wait()) == (0, expected)
        now[0] += expected
    budget.accepted()
    budget.refused(None)
    assert budget.wait() == 60
    now[0] += 60
    budget.refused(90_000)
    assert budget.wait() == 3_600
