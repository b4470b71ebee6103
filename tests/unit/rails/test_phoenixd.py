"""What phoenixd's answers and records mean. The bodies are those of its API (ACINQ/phoenixd, `JsonSerializers.kt`)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from connectors.rails.phoenixd import answered, recorded
from core.payouts.rail import Outcome, PaymentResult

PREIMAGE = "5a" * 32
HASH = hashlib.sha256(bytes.fromhex(PREIMAGE)).hexdigest()
SENT: dict[str, Any] = {
    "recipientAmountSat": 500,
    "routingFeeSat": 6,
    "paymentId": "cbc7a0e7-9d0b-4d4c-bfd3-2a1f6f0a3f55",
    "paymentHash": HASH,
    "paymentPreimage": PREIMAGE,
}
FAILED: dict[str, Any] = {
    "paymentHash": HASH,
    "reason": "the recipient was offline or did not have enough liquidity",
}
RECORD: dict[str, Any] = {
    "paymentHash": HASH,
    "preimage": PREIMAGE,
    "isPaid": True,
    "sent": 506,
    "fees": 6_004,
    "completedAt": 1_795_485_229_000,
    "createdAt": 1_795_485_228_000,
}


def test_paid() -> None:
    expected = PaymentResult(outcome=Outcome.SETTLED, preimage=PREIMAGE, fee_msat=6_000)
    assert answered(SENT, HASH) == expected
    assert answered(SENT | {"type": "payment_sent"}, HASH) == expected
    assert answered({key: _upper(value) for key, value in SENT.items()}, HASH.upper()) == expected


def test_failed() -> None:
    expected = PaymentResult(
        outcome=Outcome.FAILED, reason="phoenixd: the recipient was offline or did not have enough liquidity"
    )
    assert answered(FAILED, HASH) == expected
    assert answered(FAILED | {"type": "payment_failed", "offerId": None}, HASH) == expected


@pytest.mark.parametrize(
    "reason",
    [
        "another payment is in progress for that invoice",
        "this invoice has already been paid",
        "payment ID must be unique",
    ],
)
def test_a_reason_about_this_call_is_none_about_the_payment(reason: str) -> None:
    assert answered({"paymentHash": HASH, "reason": reason}, HASH) == PaymentResult(
        outcome=Outcome.UNKNOWN, reason=f"phoenixd: {reason}"
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"paymentHash": HASH},
        {"paymentHash": HASH, "type": "payment_sent"},
        SENT | {"paymentHash": "ab" * 32},
        SENT | {"paymentHash": 7},
        SENT | {"paymentPreimage": "ab" * 32},
        SENT | {"paymentPreimage": PREIMAGE[:-2]},
        SENT | {"paymentPreimage": "zz" * 32},
        SENT | {"paymentPreimage": None},
        SENT | {"routingFeeSat": "6"},
        SENT | {"routingFeeSat": True},
        SENT | {"routingFeeSat": -1},
        SENT | FAILED,
        FAILED | {"paymentHash": "ab" * 32},
        FAILED | {"reason": None},
        FAILED | {"reason": {"text": "offline"}},
    ],
)
def test_every_other_answer_is_unknown(body: dict[str, Any]) -> None:
    assert _doubt(answered(body, HASH))


def test_the_record_has_four_states() -> None:
    paid = PaymentResult(outcome=Outcome.SETTLED, preimage=PREIMAGE, fee_msat=6_004)
    assert recorded(RECORD, HASH) == paid
    pending = {"paymentHash": HASH, "isPaid": False, "sent": 500, "fees": 0, "createdAt": 1}
    assert recorded(pending, HASH) == PaymentResult(outcome=Outcome.IN_FLIGHT)
    assert recorded(pending | {"completedAt": None, "preimage": None}, HASH).outcome is Outcome.IN_FLIGHT
    assert recorded(pending | {"completedAt": 2}, HASH) == PaymentResult(
        outcome=Outcome.FAILED, reason="phoenixd says that the payment failed"
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        RECORD | {"paymentHash": "ab" * 32},
        RECORD | {"preimage": None},
        RECORD | {"preimage": "ab" * 32},
        RECORD | {"isPaid": "true"},
        RECORD | {"isPaid": 1},
        RECORD | {"isPaid": None},
        RECORD | {"isPaid": False},
        RECORD | {"isPaid": False, "completedAt": None},
        RECORD | {"isPaid": False, "preimage": None, "completedAt": "yesterday"},
        RECORD | {"isPaid": False, "preimage": None, "completedAt": True},
        RECORD | {"fees": None},
        RECORD | {"fees": -1},
    ],
)
def test_a_record_that_contradicts_itself_is_unknown(body: dict[str, Any]) -> None:
    assert _doubt(recorded(body, HASH))


def _doubt(result: PaymentResult) -> bool:
    return result.outcome is Outcome.UNKNOWN and bool(result.reason) and result.preimage is None


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value
