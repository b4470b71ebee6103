"""Who vouches for whom, and what the fold makes of it: answers of a marked pair are one answer at most."""

from __future__ import annotations

from typing import Any

import pytest

from core.verification.anomaly.voices import voices
from core.verification.fold import Decision, Given, Question, Record, Step, fold, heard
from core.verification.policy import Level, Otherwise, Requirement
from core.verification.stage import Outcome, Reason, Verdict

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"yes": {"type": "boolean"}},
    "required": ["yes"],
}


@pytest.mark.parametrize(
    ("doubts", "expected"),
    [
        ({"a": [], "b": []}, {"a", "b"}),
        ({"a": [], "b": ["pair"], "c": ["pair"]}, {"a"}),
        ({"b": ["pair"], "c": ["pair"]}, {"b"}),
        ({"b": ["pair"], "c": ["pair"], "d": ["fast"]}, {"b", "d"}),
        ({"b": ["fast"], "c": ["unskilled"]}, {"b", "c"}),
        ({}, set[str]()),
    ],
)
def test_who_is_heard(doubts: dict[str, list[str]], expected: set[str]) -> None:
    assert voices(doubts) == expected


def given(worker: str, marked: list[str], *, live: bool = True) -> Given:
    doubted = bool(marked) and live
    reasons = [Reason(code="anomaly_marked", message="m")] if doubted else []
    return Given(
        submission=f"sub_{worker}",
        worker=worker,
        stages=["anomaly"],
        verdicts=[
            Verdict(
                stage="anomaly",
                outcome=Outcome.UNSURE if doubted else Outcome.PASS,
                reasons=reasons,
                evidence={"marked": marked},
            )
        ],
    )


def decided(
    answers: dict[str, tuple[bool, list[str]]], *, version: int = 2, live: bool = True, most: int = 4
) -> Decision:
    """`answers`: by worker what they said, and their marks."""
    level = Level(
        answers_min=2,
        answers_max=most,
        confidence=0.6,
        unsure=Otherwise.QA,
        uncertified=Otherwise.RELEASE,
        undecided=Otherwise.RELEASE,
        short=Otherwise.RELEASE,
    )
    record = Record(
        version=version,
        task="t",
        task_type="triage",
        requirement=Requirement(level=level, stages=["anomaly"], test=not live),
        answers=[given(worker, marks, live=live) for worker, (_, marks) in answers.items()],
        under_way=0,
        unjudged=0,
        closing=False,
        pool=[],
        workers={},
        certificate=None,
        draw=999_999,
    )
    outputs = {f"sub_{worker}": {"yes": said} for worker, (said, _) in answers.items()}
    return fold(record, Question(payload={}, schema=SCHEMA, outputs=outputs))


PAIR = ["pair"]


@pytest.mark.parametrize("live", [True, False])
def test_a_marked_pair_that_agrees_is_not_two_answers(live: bool) -> None:
    found = decided({"a": (True, PAIR), "b": (True, PAIR)}, live=live)
    assert (found.step, found.reason) == (Step.ANOTHER, "too_few")


def test_it_does_not_outvote_anybody_and_is_judged_by_those_who_count() -> None:
    found = decided({"a": (True, PAIR), "b": (True, PAIR), "c": (False, []), "d": (False, [])})
    assert (found.step, found.output) == (Step.VERIFIED, {"yes": False})
    assert found.counted == ["sub_c", "sub_d"]
    assert sorted(found.refused) == ["sub_a", "sub_b"]


def test_a_marked_worker_who_is_right_is_paid_like_anybody() -> None:
    answers = {"a": (False, ["turned"]), "c": (False, []), "d": (False, [])}
    found = decided(answers, most=3)
    assert (found.step, found.counted) == (Step.VERIFIED, ["sub_a", "sub_c", "sub_d"])


def test_when_nobody_else_may_be_asked_a_reviewer_looks() -> None:
    found = decided({"a": (True, PAIR), "b": (True, PAIR)}, most=2)
    assert (found.step, found.reason) == (Step.QA, "unsure")


def test_a_record_of_before_comes_out_as_it_did() -> None:
    found = decided({"a": (True, PAIR), "b": (True, PAIR)}, version=1, most=2)
    assert (found.step, found.output) == (Step.VERIFIED, {"yes": True})


def test_a_refused_answer_vouches_for_nobody() -> None:
    refused = Verdict(stage="schema", outcome=Outcome.FAIL, reasons=[Reason(code="c", message="m")])
    one = Given(submission="s", worker="a", stages=["schema"], verdicts=[refused])
    record = Record(
        version=2, task="t", task_type="triage", requirement=Requirement(level=Level(), stages=["schema"]),
        answers=[one, given("b", [])], under_way=0, unjudged=0, closing=False, pool=[], workers={},
        certificate=None, draw=0,
    )  # fmt: skip
    assert heard(record) == {"b"}
