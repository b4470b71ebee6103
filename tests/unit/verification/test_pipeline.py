"""The fold over verdicts: what comes next, and when it is over."""

from __future__ import annotations

import pytest

from core.verification.pipeline import Failed, NextStage, Passed, after, sentence
from core.verification.stage import Outcome, Reason, Verdict

STAGES = ["schema", "rules", "last"]
REASON = Reason(code="no", message="Not so", pointer="/answer")


def passed(stage: str) -> Verdict:
    return Verdict(stage=stage, outcome=Outcome.PASS)


def test_one_stage_after_the_other() -> None:
    verdicts: list[Verdict] = []
    for name in STAGES:
        assert after(STAGES, verdicts) == NextStage(name)
        verdicts.append(passed(name))
    assert after(STAGES, verdicts) == Passed()


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.UNSURE])
def test_what_is_not_a_pass_ends_it(outcome: Outcome) -> None:
    verdicts = [passed("schema"), Verdict(stage="rules", outcome=outcome, reasons=[REASON])]
    assert after(STAGES, verdicts) == Failed("rules", [REASON])


def test_the_order_of_the_verdicts_does_not_matter() -> None:
    verdicts = [Verdict(stage="last", outcome=Outcome.FAIL, reasons=[REASON]), passed("schema")]
    assert after(STAGES, verdicts) == NextStage("rules")


def test_reasons_as_a_sentence() -> None:
    whole = Reason(code="x", message="Too long", pointer="")
    rule = Reason(code="y", message="Give a severity")
    assert sentence([REASON, whole, rule]) == "/answer: Not so; (answer): Too long; Give a severity"
    assert sentence([rule], limit=10) == "Give a se…"
