"""Answers that hold nothing which could be compared are no surer than others: `{}` under a schema that asks for nothing, an
empty list, or the place where the money is left out by everybody."""

from __future__ import annotations

from typing import Any

import pytest

from core.verification.consensus import Answer, Audit, Book, ConsensusPolicy, Kind, certify, judge

ANYTHING = {"type": "object"}
CLAIM = {
    "type": "object",
    "properties": {"amount": {"type": "integer", "x-critical": True}, "note": {"type": "string"}},
}
ITEMS = {
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}}
    },
}
EMPTY = [({}, ANYTHING), ({"note": "Nothing to claim"}, CLAIM), ({"items": []}, ITEMS)]


def said(output: Any, count: int) -> list[Answer]:
    return [Answer(worker=f"w{number}", output=output) for number in range(count)]


@pytest.mark.parametrize(("output", "schema"), EMPTY)
def test_one_is_as_sure_as_the_pool_is_good_and_another_is_asked(output: Any, schema: dict[str, Any]) -> None:
    found = judge(said(output, 1), Book(), ConsensusPolicy(), schema)
    assert (found.confidence, found.kind, found.output) == (pytest.approx(0.75), Kind.ANOTHER, output)


@pytest.mark.parametrize(("output", "schema"), EMPTY)
def test_with_everyone_who_says_the_same_it_grows(output: Any, schema: dict[str, Any]) -> None:
    sure = [judge(said(output, n), Book(), ConsensusPolicy(), schema).confidence for n in range(1, 6)]
    assert sure == sorted(sure)
    assert 0.75 < sure[1] < sure[4] < 1.0


@pytest.mark.parametrize(("output", "schema"), EMPTY)
def test_no_certificate_vouches_for_one(output: Any, schema: dict[str, Any]) -> None:
    """It did, for everybody who sent an empty form: nothing is multiplied to 1."""
    policy = ConsensusPolicy(rho=0.10)
    certificate = certify([Audit(confidence=0.9, wrong=False)] * 100, policy)
    assert certificate is not None
    found = judge(said(output, 1), Book(certificate=certificate), policy, schema)
    assert (found.bound, found.audits) == (None, 0)


@pytest.mark.parametrize(("output", "schema"), EMPTY[:2])
def test_a_decision_of_before_comes_out_as_it_did(output: Any, schema: dict[str, Any]) -> None:
    found = judge(said(output, 1), Book(), ConsensusPolicy(), schema, empty_is_sure=True)
    assert found.confidence == 1.0
