"""Small examples with exact figures, worked out by hand from the formulas of core/verification/README.md."""

from __future__ import annotations

from typing import Any

import pytest

from core.verification.consensus import Answer, Audit, Book, ConsensusPolicy, Kind, certify, judge
from core.verification.consensus.certify import upper_bound

YES_NO = {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}


def answers(*values: Any) -> list[Answer]:
    return [Answer(worker=f"w{number}", output={"ok": value}) for number, value in enumerate(values)]


def test_one_answer_of_a_newcomer_is_as_sure_as_the_pool_is_good() -> None:
    found = judge(answers(True), Book(), ConsensusPolicy(), YES_NO)
    assert found.output == {"ok": True}
    assert found.confidence == pytest.approx(0.75)
    assert (found.kind, found.reason) == (Kind.ANOTHER, "worth_more")


def test_two_that_agree() -> None:
    found = judge(answers(True, True), Book(), ConsensusPolicy(), YES_NO)
    assert found.confidence == pytest.approx(0.75**2 / (0.75**2 + 0.25**2))


def test_a_type_without_audits_goes_to_qa_however_sure_it_is() -> None:
    found = judge(answers(*[True] * 5), Book(), ConsensusPolicy(), YES_NO)
    assert (found.kind, found.reason, found.bound) == (Kind.QA, "uncertified", None)


def test_a_certified_type_is_released_with_its_bound() -> None:
    policy = ConsensusPolicy()
    certificate = certify([Audit(confidence=0.9, wrong=False)] * 72, policy)
    assert certificate is not None
    found = judge(answers(*[True] * 5), Book(certificate=certificate), policy, YES_NO)
    assert (found.kind, found.reason, found.audits) == (Kind.VERIFIED, "certified", 72)
    assert found.bound == pytest.approx(1 - 0.025 ** (1 / 72))


def test_clopper_pearson_against_its_closed_forms() -> None:
    assert upper_bound(0, 59, 0.05) == pytest.approx(1 - 0.05 ** (1 / 59))
    assert upper_bound(10, 10, 0.05) == 1.0
    # one wrong of two: P(X <= 1) = 1 - p^2
    assert upper_bound(1, 2, 0.05) == pytest.approx(0.95**0.5)
