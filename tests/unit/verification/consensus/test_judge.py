"""Small examples with exact figures, worked out by hand from the formulas of core/verification/README.md."""

from __future__ import annotations

import math
from typing import Any

import pytest

from core.verification.consensus import (
    Answer,
    Audit,
    Book,
    ConsensusPolicy,
    Kind,
    apply,
    certify,
    close,
    judge,
    known,
    undo,
)
from core.verification.consensus.certify import upper_bound
from core.verification.consensus.counts import BAD, GOOD
from core.verification.consensus.model import POOL

YES_NO = {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}
POLICY = ConsensusPolicy()


def answers(*values: Any) -> list[Answer]:
    return [Answer(worker=f"w{number}", output={"ok": value}) for number, value in enumerate(values)]


def test_one_answer_of_a_newcomer_is_as_sure_as_the_pool_is_good() -> None:
    found = judge(answers(True), Book(), POLICY, YES_NO)
    assert found.output == {"ok": True}
    assert found.confidence == pytest.approx(0.75)
    assert (found.kind, found.reason) == (Kind.ANOTHER, "too_few")


def test_two_that_agree_multiply_their_odds() -> None:
    found = judge(answers(True, True), Book(), POLICY, YES_NO)
    assert found.confidence == pytest.approx(9 / 10)  # odds 3 x 3
    assert [(one.worker, one.agreed, one.share) for one in found.agreements] == [
        ("w0", True, 1.0),
        ("w1", True, 1.0),
    ]


def test_a_tie_goes_to_the_option_that_the_schema_names_first_and_buys_more() -> None:
    found = judge(answers(True, False), Book(), POLICY, YES_NO)
    assert found.output == {"ok": False}
    assert found.confidence == pytest.approx(0.5)
    assert (found.kind, found.reason) == (Kind.ANOTHER, "worth_more")
    # People contradict one another, so that the next is right in (8 x .85 + 2 x .5) / 10 = .78; three more are worth most:
    # .78^3 + 3 x .78^2 x .22 = .876096.
    assert found.value == pytest.approx(POLICY.loss * (0.876096 - 0.5) - 3)


def test_what_is_not_worth_its_price_is_not_bought() -> None:
    cheap = ConsensusPolicy(loss=1.0, price=1.0)
    found = judge(answers(True, True), Book(), cheap, YES_NO)
    assert (found.kind, found.reason) == (Kind.QA, "uncertified")
    assert found.value < 0


def test_without_a_promise_the_raw_confidence_decides() -> None:
    promise_nothing = ConsensusPolicy(rho=None, release=0.95)
    assert judge(answers(*[True] * 5), Book(), promise_nothing, YES_NO).reason == "confident"
    found = judge(answers(True, True, True, False, False), Book(), promise_nothing, YES_NO)
    assert (found.kind, found.reason, found.bound) == (Kind.QA, "not_confident", None)


def test_a_type_without_audits_goes_to_qa_however_sure_it_is() -> None:
    found = judge(answers(*[True] * 5), Book(), POLICY, YES_NO)
    assert (found.kind, found.reason, found.bound) == (Kind.QA, "uncertified", None)


def test_a_certified_type_is_released_with_its_bound() -> None:
    certificate = certify([Audit(confidence=0.9, wrong=False)] * 104, POLICY)
    assert certificate is not None
    found = judge(answers(*[True] * 5), Book(certificate=certificate), POLICY, YES_NO)
    assert (found.kind, found.reason, found.audits) == (Kind.VERIFIED, "certified", 104)
    assert found.bound == pytest.approx(upper_bound(0, 104, 0.05))
    assert found.bound is not None
    assert 1 - 0.05 ** (1 / 104) < found.bound < 0.05  # one look alone would allow the first
    doubtful = judge(answers(True, True, True, False, False), Book(certificate=certificate), POLICY, YES_NO)
    assert (doubtful.kind, doubtful.reason, doubtful.bound) == (Kind.QA, "not_confident", None)


def test_the_weight_of_a_lesson_is_what_the_others_tell() -> None:
    """Alone nobody teaches anything about themselves. Of two newcomers who agree, each has one other of 3 in 4:
    weight 1 - H(.75)/log 2, right with probability .9."""
    assert [one for one in close(answers(True), Book(), POLICY, YES_NO).add if one[0] == "w0"] == []
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    weight = 1 - entropy / math.log(2)
    taught = {
        (owner, key): delta for owner, key, delta in close(answers(True, True), Book(), POLICY, YES_NO).add
    }
    assert taught["w0", GOOD] == pytest.approx(weight * 0.9)
    assert taught["w0", BAD] == pytest.approx(weight * 0.1)
    assert taught["w0", ("/ok", "true", "true")] == pytest.approx(weight * 0.9)
    assert taught[POOL, ("/ok", "@prior", "true")] == pytest.approx(0.9)


def test_gold_counts_whole_and_can_be_taken_back() -> None:
    right = known(answers(True), {"ok": True}, Book(), POLICY, YES_NO)
    state = apply({}, [right])
    assert state["w0"] == {GOOD: 1.0, ("/ok", "true", "true"): 1.0}
    assert all(value == 0.0 for value in apply(state, [undo(right)])["w0"].values())
    book = Book(pool=state[POOL], workers=state)
    # Beta mean (1 + 6 m) / (1 + 6) with the pool's m = 8.5/11
    assert judge(answers(True), book, POLICY, YES_NO).confidence > 0.75


def test_two_answers_of_one_worker_are_refused() -> None:
    with pytest.raises(ValueError, match="two answers of worker 'w0'"):
        judge([*answers(True), *answers(False)], Book(), POLICY, YES_NO)
    with pytest.raises(ValueError, match="no answers"):
        judge([], Book(), POLICY, YES_NO)
