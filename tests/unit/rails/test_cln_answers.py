"""What each answer of Core Lightning means, in the words of doc/schemas and common/jsonrpc_errors.h."""

from __future__ import annotations

import hashlib

import pytest

from connectors.rails.bolt11_encode import NewInvoice, encode
from connectors.rails.cln_answers import (
    AllFailed,
    Paid,
    Part,
    Pay,
    Pays,
    RpcError,
    doubt,
    judge_paid,
    judge_records,
    read,
)
from connectors.rails.node_http import NodeAnswer, NodeTrouble
from core.payouts.rail import Outcome, PaymentResult

PREIMAGE = "11" * 32
HASH = hashlib.sha256(bytes.fromhex(PREIMAGE)).hexdigest()
IN_FLIGHT = PaymentResult(outcome=Outcome.IN_FLIGHT)
SETTLED = PaymentResult(outcome=Outcome.SETTLED, preimage=PREIMAGE, fee_msat=10)
COMPLETE = Pay(HASH, "complete", PREIMAGE, 1000, 1010)


def part(number: int, status: str, preimage: str | None = None) -> Part:
    return Part(HASH, status, number, preimage)


def test_paid_with_its_proof() -> None:
    assert judge_paid(Paid(PREIMAGE, 1000, 1010), HASH) == SETTLED
    assert judge_paid(Paid(PREIMAGE, 1000, 1010, "complete", HASH), HASH) == SETTLED
    assert judge_paid(Paid(PREIMAGE, 1000, 1010, "pending", HASH), HASH) == IN_FLIGHT


@pytest.mark.parametrize(
    "paid",
    [
        Paid("22" * 32, 1000, 1010),
        Paid("", 1000, 1010),
        Paid(PREIMAGE, 1000, 999),
        Paid(PREIMAGE, 1000, 1010, "failed", HASH),
        Paid(PREIMAGE, 1000, 1010, "complete", "22" * 32),
    ],
)
def test_paid_without_its_proof_is_unknown(paid: Paid) -> None:
    assert judge_paid(paid, HASH).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("pays", "parts", "expected"),
    [
        ([], [], None),
        ([COMPLETE], [part(1, "complete", PREIMAGE)], SETTLED),
        ([Pay(HASH, "failed"), COMPLETE], [part(1, "failed"), part(2, "complete", PREIMAGE)], SETTLED),
        ([Pay(HASH, "pending")], [part(1, "pending")], IN_FLIGHT),
        ([Pay(HASH, "failed")], [part(1, "failed"), part(2, "pending")], IN_FLIGHT),
        ([Pay(HASH, "pending")], [part(1, "failed")], IN_FLIGHT),
        ([Pay(HASH, "pending")], [], IN_FLIGHT),
        ([], [part(1, "pending")], IN_FLIGHT),
        ([Pay(HASH, "failed")], [part(4, "failed"), part(9, "failed")], AllFailed(9)),
        ([Pay(HASH, "failed")], [], AllFailed(0)),
        # a preimage is known, its payment is not added up yet
        ([Pay(HASH, "pending")], [part(1, "complete", PREIMAGE), part(2, "pending")], IN_FLIGHT),
        (
            [Pay(HASH, "complete", PREIMAGE, 1000, 400)],
            [part(1, "complete", PREIMAGE), part(2, "pending")],
            IN_FLIGHT,
        ),
    ],
)
def test_the_two_lists_together(
    pays: list[Pay], parts: list[Part], expected: PaymentResult | AllFailed | None
) -> None:
    assert judge_records(pays, parts, HASH) == expected


@pytest.mark.parametrize(
    ("pays", "parts"),
    [
        ([Pay(HASH, "complete", "22" * 32, 1000, 1010)], []),
        ([Pay(HASH, "complete", None, 1000, 1010)], []),
        ([Pay(HASH, "complete", PREIMAGE, None, 1010)], []),
        ([Pay(HASH, "complete", PREIMAGE, 1000, None)], []),
        ([Pay(HASH, "complete", PREIMAGE, 1000, 400)], []),
        ([Pay(HASH, "complete", PREIMAGE, None, 1010, "lnbc-broken")], []),
        ([Pay("22" * 32, "failed")], []),
        ([], [Part("22" * 32, "failed", 1)]),
        ([Pay(HASH, "failed")], [part(1, "complete", "22" * 32)]),
        ([Pay(HASH, "expired")], []),
    ],
)
def test_records_that_prove_nothing_are_unknown(pays: list[Pay], parts: list[Part]) -> None:
    result = judge_records(pays, parts, HASH)
    assert isinstance(result, PaymentResult)
    assert result.outcome is Outcome.UNKNOWN
    assert result.reason


def test_the_invoice_says_the_amount_that_listpays_leaves_out() -> None:
    text = encode(
        NewInvoice(
            network="bcrt",
            amount_msat=1000,
            timestamp=1_700_000_000,
            payment_hash=HASH,
            payment_secret="44" * 32,
            description="x",
        ),
        b"\x01" * 32,
    )
    assert judge_records([Pay(HASH, "complete", PREIMAGE, None, 1010, text)], [], HASH) == SETTLED


def test_an_answer_and_an_error_are_told_by_their_status() -> None:
    assert read(NodeAnswer(status=201, body=b'{"pays":[]}'), Pays) == Pays([])
    assert read(NodeAnswer(status=500, body=b'{"code":205,"message":"no"}'), Pays) == RpcError(205, "no")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (201, b'{"code":205,"message":"no"}'),
        (201, b""),
        (201, b'{"pays":[{"payment_hash":'),
        (200, b'{"pays":[]}'),
        (500, b'{"pays":[]}'),
        (500, b"<html>"),
        (502, b""),
        (500, b'{"code":"205"}'),
        (201, b'{"pays":[{"payment_hash":"a","status":"failed","amount_sent_msat":-1}]}'),
    ],
)
def test_what_is_neither_is_trouble(status: int, body: bytes) -> None:
    with pytest.raises(NodeTrouble):
        read(NodeAnswer(status=status, body=body), Pays)


def test_a_doubt_tells_the_operator_about_the_rune() -> None:
    assert doubt(RpcError(1502, "Invalid rune")).reason == (
        "cln refused (1502): Invalid rune; make the rune as told in connectors/rails/README.md"
    )
    assert doubt(RpcError(219, "Already paid")).reason == "cln refused (219): Already paid"
