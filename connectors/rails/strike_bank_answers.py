"""Strike's payment methods and payouts, read and written as pure functions. From docs.strike.me/api/create-bank-payment-method
and create-a-payout; used by the rail `strike_bank`."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from connectors.rails.strike_answers import Money, entries, fields, is_id, money
from connectors.rails.wallet_checks import IN_FLIGHT, failed, unknown
from core.payouts.rail import BankAccount, BankKind, Outcome, PaymentResult

CURRENCY = "USD"
MOST_CENTS = 100_000_000  # a million dollars; more is a mistake

# "Currency is defined by the payment method": what the hub owes is dollars, so that these alone can be paid.
TRANSFER_TYPE = {BankKind.ACH: "ACH", BankKind.US_WIRE: "US_DOMESTIC_WIRE"}
LONGEST_REFERENCE = {BankKind.ACH: 10, BankKind.US_WIRE: 15}

# Refusals of an initiation; believed only when the payout is still NEW.
NEVER_BEGAN = frozenset(
    {
        "BALANCE_TOO_LOW",
        "PAYMENT_METHOD_NOT_READY",
        "PAYOUT_ORIGINATOR_NOT_APPROVED",
        "INVALID_AMOUNT",
        "AMOUNT_TOO_HIGH",
        "AMOUNT_TOO_LOW",
        "INVALID_RECIPIENT",
    }
)


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is PENDING, READY, SUSPENDED, INVALID or INACTIVE."""

    id: str
    state: str


class Payout(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is NEW, INITIATED, COMPLETED, FAILED or REVERSED; `fee` is zero when Strike names none."""

    id: str
    state: str
    amount: Money
    fee: Money


def wrong_payee(payee: BankAccount | None, cents: int) -> str:
    """Why this cannot be paid, empty when it can. Numbers are never repeated."""
    if payee is None:
        return "there are no bank details"
    if payee.kind not in TRANSFER_TYPE:
        return f"Strike pays {payee.kind} in its own currency, and payouts here are in dollars"
    checks = (
        (0 < cents <= MOST_CENTS, f"{cents} cents cannot be paid"),
        (bool(payee.holder.strip()), "the holder of the account is not named"),
        (bool(payee.account_number), "the account number is missing"),
        (
            len(payee.routing_number) == 9 and payee.routing_number.isdigit(),
            "the routing number is not nine digits",
        ),
        (
            payee.kind is not BankKind.ACH or payee.account_type in ("CHECKING", "SAVINGS"),
            "an ACH account is CHECKING or SAVINGS",
        ),
    )
    return next((why for good, why in checks if not good), "")


def payee_body(payee: BankAccount) -> dict[str, Any]:
    """The body of `POST /payment-methods/bank`."""
    body: dict[str, Any] = {
        "transferType": TRANSFER_TYPE[payee.kind],
        "accountNumber": payee.account_number.reveal(),
        "routingNumber": payee.routing_number,
        "beneficiaries": [{"type": "COMPANY" if payee.company else "INDIVIDUAL", "name": payee.holder}],
    }
    if payee.account_type:
        body["accountType"] = payee.account_type
    if payee.bank_name:
        body["bankName"] = payee.bank_name
    address = payee.bank_address
    if address is not None:
        body["bankAddress"] = {
            "country": address.country,
            "city": address.city,
            "postCode": address.post_code,
            "line1": address.line1,
            **({"state": address.state} if address.state else {}),
        }
    return body


def same_account(value: object, payee: BankAccount) -> bool:
    """Whether an entry of `GET /payment-methods/bank` is this account, number for number, and of this holder alone."""
    item = fields(value)
    number, wanted = item.get("accountNumber"), payee_body(payee)
    return (
        isinstance(number, str)
        and hmac.compare_digest(number.encode(), payee.account_number.reveal().encode())
        and all(item.get(key) == wanted.get(key) for key in ("transferType", "routingNumber", "accountType"))
        and _holders(item) == [payee.holder]
    )


def _holders(item: Mapping[str, Any]) -> list[object]:
    return [one.get("name") for one in entries(item.get("beneficiaries"))]


def method_of(value: object) -> Method | None:
    body = fields(value)
    method_id, state = body.get("id"), body.get("state")
    return Method(id=str(method_id), state=state) if is_id(method_id) and isinstance(state, str) else None


def payout_of(value: object) -> Payout | None:
    body = fields(value)
    payout_id, state, amount = body.get("id"), body.get("state"), money(body.get("amount"))
    fee = Money(Decimal(0), CURRENCY) if body.get("fee") is None else money(body.get("fee"))
    if not is_id(payout_id) or not isinstance(state, str) or amount is None or fee is None:
        return None
    if (amount.currency, fee.currency) != (CURRENCY, CURRENCY):
        return None
    return Payout(id=str(payout_id), state=state, amount=amount, fee=fee)


def result_of(payout: Payout) -> PaymentResult:
    """COMPLETED is "sent to the receiver", and REVERSED may follow. The fee is left to the caller."""
    match payout.state:
        case "INITIATED":
            return IN_FLIGHT
        case "COMPLETED":
            return PaymentResult(outcome=Outcome.SETTLED)
        case "FAILED":
            return failed("Strike says that the payout failed")
        case "REVERSED":
            return PaymentResult(outcome=Outcome.REVERSED, reason="the bank took the payout back")
        case _:
            return unknown(f"Strike's payout is in the state {payout.state[:30]!r}")
