"""The fold over verdicts: what comes next, and when it is over."""

from __future__ import annotations

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


def test_a_no_ends_it() -> None:
    verdicts = [passed("schema"), Verdict(stage="rules", outcome=Outcome.FAIL, reasons=[REASON])]
    assert after(STAGES, verdicts) == Failed("rules", [REASON])


def test_unsure_asks_the_stages_that_are_left_and_is_remembered() -> None:
    verdicts = [passed("schema"), Verdict(stage="rules", outcome=Outcome.UNSURE, reasons=[REASON])]
    assert after(STAGES, verdicts) == NextStage("last")
    assert after(STAGES, [*verdicts, passed("last")]) == Passed([REASON])


def test_the_order_of_the_verdicts_does_not_matter() -> None:
    verdicts = [Verdict(stage="last", outcome=Outcome.FAIL, reasons=[REASON]), passed("schema")]
    assert after(STAGES, verdicts) == NextStage("rules")


def test_reasons_as_a_sentence() -> None:
    whole = Reason(code="x", message="Too long", pointer="")
    rule = Reason(code="y", message="Give a severity")
    assert sentence([REASON, whole, rule]) == "/answer: Not so; (answer): Too long; Give a severity"
    assert sentence([rule], limit=10) == "Give a se…"
