"""What each answer of lnd means, in the words of lnrpc/lightning.proto and payments/db."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from connectors.rails.lnd_answers import (
    Htlc,
    Payment,
    Refusal,
    doubt,
    judge,
    never_begun,
    never_seen,
    read_info,
    read_line,
)
from core.payouts.rail import Outcome, PaymentResult

PREIMAGE = "11" * 32
HASH = hashlib.sha256(bytes.fromhex(PREIMAGE)).hexdigest()
IN_FLIGHT = PaymentResult(outcome=Outcome.IN_FLIGHT)


def payment(status: str, **changes: object) -> Payment:
    return msgspec.structs.replace(
        Payment(payment_hash=HASH, status=status, payment_preimage=PREIMAGE, fee_msat=7), **changes
    )


def test_succeeded_with_its_proof_is_settled() -> None:
    expected = PaymentResult(outcome=Outcome.SETTLED, preimage=PREIMAGE, fee_msat=7)
    assert judge(payment("SUCCEEDED"), HASH) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"payment_preimage": "22" * 32},
        {"payment_preimage": "00" * 32},
        {"payment_preimage": ""},
        {"payment_preimage": PREIMAGE.upper() + "x"},
        {"fee_msat": None},
        {"payment_hash": "22" * 32},
    ],
)
def test_succeeded_without_its_proof_or_fee_is_unknown(changes: dict[str, object]) -> None:
    assert judge(payment("SUCCEEDED", **changes), HASH).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("FAILURE_REASON_TIMEOUT", "lnd: timeout"),
        ("FAILURE_REASON_NO_ROUTE", "lnd: no route"),
        ("FAILURE_REASON_ERROR", "lnd: error"),
        ("FAILURE_REASON_INCORRECT_PAYMENT_DETAILS", "lnd: incorrect payment details"),
        ("FAILURE_REASON_INSUFFICIENT_BALANCE", "lnd: insufficient balance"),
        ("FAILURE_REASON_CANCELED", "lnd: canceled"),
        ("FAILURE_REASON_NONE", "lnd gave up and gave no reason"),
        ("", "lnd gave up and gave no reason"),
    ],
)
def test_failed_names_its_reason(reason: str, words: str) -> None:
    failed = payment("FAILED", failure_reason=reason, htlcs=[Htlc("FAILED")])
    assert judge(failed, HASH) == PaymentResult(outcome=Outcome.FAILED, reason=words)


@pytest.mark.parametrize("alive", ["IN_FLIGHT", "SUCCEEDED"])
def test_failed_beside_a_living_htlc_is_in_flight(alive: str) -> None:
    assert judge(payment("FAILED", htlcs=[Htlc("FAILED"), Htlc(alive)]), HASH) == IN_FLIGHT


@pytest.mark.parametrize("status", ["INITIATED", "IN_FLIGHT"])
def test_begun_is_in_flight(status: str) -> None:
    assert judge(payment(status), HASH) == IN_FLIGHT


@pytest.mark.parametrize("status", ["UNKNOWN", "", "failed", "SETTLED"])
def test_a_state_that_is_not_known_is_unknown(status: str) -> None:
    assert judge(payment(status), HASH).outcome is Outcome.UNKNOWN


def test_failed_about_another_hash_is_unknown() -> None:
    assert judge(payment("FAILED"), "33" * 32).outcome is Outcome.UNKNOWN


def test_lines_of_both_kinds_of_error_and_numbers_as_texts() -> None:
    line = (
        b'{"result":{"payment_hash":"%s","status":"SUCCEEDED","fee_msat":"12","value_sat":"1"}}'
        % HASH.encode()
    )
    assert read_line(line) == Payment(payment_hash=HASH, status="SUCCEEDED", fee_msat=12)
    assert read_line(b'{"error":{"code":6,"message":"m","details":[]}}') == Refusal(6, "m")
    assert read_line(b'{"code":5,"message":"Not Found","details":[]}') == Refusal(5, "Not Found")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b'{"result":{"payment_hash":"ab","sta',
        b"<html>",
        b"null",
        b"[]",
        b"{}",
        b'{"result":{}}',
        b'{"result":{"payment_hash":"a","status":"FAILED","fee_msat":"-1"}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_line_of_lnd_is_none(line: bytes) -> None:
    assert read_line(line) is None
    assert read_info(line) is None


def test_only_lnds_own_words_say_never_seen() -> None:
    assert never_seen(Refusal(5, "payment isn't initiated"))
    assert not never_seen(Refusal(5, "Not Found"))
    assert not never_seen(Refusal(2, "payment isn't initiated"))


def test_only_what_lnd_refuses_while_reading_has_never_begun() -> None:
    assert never_begun(Refusal(2, "invoice expired. Valid until then"))
    assert never_begun(Refusal(2, "self-payments not allowed"))
    assert not never_begun(Refusal(6, "invoice is already paid"))
    assert not never_begun(Refusal(2, "the invoice expired. who knows"))


def test_a_doubt_tells_the_operator_about_the_macaroon() -> None:
    reason = doubt(Refusal(2, "permission denied\n")).reason
    assert reason == (
        "lnd refused (2): permission denied; bake the macaroon with the permissions in connectors/rails/README.md"
    )
