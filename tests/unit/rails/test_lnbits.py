"""What LNbits' answers and records mean. The bodies are those that release 1.6.2 gave (`tests/lightning` asks it again),
and where it is said those of releases before 1.0 (lnbits/lnbits, `payment_api.py`)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from connectors.rails.lnbits import answered, recorded
from core.payouts.rail import Outcome, PaymentResult

PREIMAGE = "5a" * 32
HASH = hashlib.sha256(bytes.fromhex(PREIMAGE)).hexdigest()
ROW: dict[str, Any] = {
    "checking_id": f"internal_{HASH}",
    "payment_hash": HASH,
    "wallet_id": "8b293db3f26a4d4d981d5f82e0fbd785",
    "amount": -500_000,
    "fee": -1_500,
    "status": "success",
    "preimage": PREIMAGE,
}
PAID: dict[str, Any] = {"paid": True, "preimage": PREIMAGE, "details": ROW}
SETTLED = PaymentResult(outcome=Outcome.SETTLED, preimage=PREIMAGE, fee_msat=1_500)
FAILED = PaymentResult(outcome=Outcome.FAILED, reason="LNbits says that the payment failed")
IN_FLIGHT = PaymentResult(outcome=Outcome.IN_FLIGHT)


def pending(**changes: Any) -> dict[str, Any]:
    """The record of a payment that has not ended; its fee is the reserve."""
    row = ROW | {"status": "pending", "preimage": None, "fee": -5_000} | changes
    return {"paid": False, "status": row["status"], "preimage": None, "details": row}


def test_the_answer_to_a_payment() -> None:
    assert answered(ROW, HASH) == SETTLED
    assert answered(ROW | {"status": "pending", "preimage": None}, HASH) == IN_FLIGHT
    assert answered(ROW | {"status": "failed", "preimage": None}, HASH) == FAILED


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"payment_hash": HASH, "checking_id": HASH},  # before 1.0: nothing of its state
        ROW | {"payment_hash": "ab" * 32},
        ROW | {"payment_hash": None},
        ROW | {"status": "SUCCESS"},
        ROW | {"status": True},
        ROW | {"preimage": None},
        ROW | {"preimage": "0" * 64},
        ROW | {"preimage": PREIMAGE + "00"},
        ROW | {"fee": None},
        ROW | {"fee": "1500"},
    ],
)
def test_every_other_answer_is_unknown(body: dict[str, Any]) -> None:
    assert _doubt(answered(body, HASH))


def test_the_record() -> None:
    assert recorded(PAID, HASH) == SETTLED
    assert recorded(PAID | {"details": ROW | {"preimage": None}}, HASH) == SETTLED
    assert recorded(pending(), HASH) == IN_FLIGHT
    assert recorded({"paid": False, "details": pending()["details"]}, HASH) == IN_FLIGHT
    assert recorded(pending(status="failed"), HASH) == FAILED


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"paid": True, "preimage": PREIMAGE}, "is the key of the wallet that paid it?"),
        ({"paid": False, "status": "failed"}, "is the key of the wallet that paid it?"),
        (PAID | {"details": ROW | {"amount": 500_000}}, "the wallet would pay itself"),
        (PAID | {"details": ROW | {"amount": None}}, "the wallet would pay itself"),
        (PAID | {"details": ROW | {"payment_hash": "ab" * 32}}, "of another payment"),
        (PAID | {"details": ROW | {"preimage": "0" * 64}}, "not that of the invoice"),
        (PAID | {"details": ROW | {"status": "pending"}}, "neither success, pending nor failed"),
        (PAID | {"details": ROW | {"status": "failed"}}, "neither success, pending nor failed"),
        (PAID | {"paid": False}, "neither success, pending nor failed"),
        (PAID | {"paid": 1}, "neither success, pending nor failed"),
        (pending(status="settling"), "neither success, pending nor failed"),
        # Before 1.0 `paid` was `not pending`, and there was no status.
        (
            {"paid": True, "details": {"payment_hash": HASH, "amount": -1, "fee": 0, "pending": False}},
            "neither success",
        ),
        ({}, "in full"),
        ({"paid": True, "details": [ROW]}, "in full"),
    ],
)
def test_every_other_record_is_unknown(body: dict[str, Any], reason: str) -> None:
    result = recorded(body, HASH)
    assert _doubt(result)
    assert reason in (result.reason or "")


def _doubt(result: PaymentResult) -> bool:
    return result.outcome is Outcome.UNKNOWN and bool(result.reason) and result.preimage is None
