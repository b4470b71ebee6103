"""The operator's rules: true passes, everything else fails with the rule's message; mistakes are found at load."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import Misconfigured
from core.tasks.types import Rule, Severity, TaskType
from core.verification.stage import Evidence, Outcome
from core.verification.stages import check_stages
from core.verification.stages.rules import RulesStage, check_rules


def kind(*expects: str, **values: Any) -> TaskType:
    rules = [Rule(name=f"r{n}", expect=expect, message=f"Message {n}") for n, expect in enumerate(expects)]
    return TaskType(name="triage", title="Triage", rules=rules, **values)


def judge(expect: str, output: Any, payload: dict[str, Any] | None = None) -> tuple[Outcome, list[str]]:
    evidence = Evidence(payload=payload or {}, output=output, output_schema={}, task_type=kind(expect))
    verdict = RulesStage().judge(evidence)
    return verdict.outcome, [reason.code for reason in verdict.reasons]


@pytest.mark.parametrize(
    ("expect", "output", "codes"),
    [
        ("output.n > `3`", {"n": 4}, []),
        ("output.n > `3`", {"n": 3}, ["rule_r0"]),
        ("output.n > `3`", {"n": "x"}, ["rule_error_r0"]),
        ("output.n > `3`", {}, ["rule_r0"]),
        ("output.ok", {"ok": True}, []),
        ("output.ok", {"ok": 1}, ["rule_r0"]),
        ("output.ok", {"ok": "true"}, ["rule_r0"]),
        ("length(output.text) > `2`", {"text": "abc"}, []),
        ("length(output.text) > `2`", {"text": 5}, ["rule_error_r0"]),
        ("length(output.text) > `2`", {}, ["rule_error_r0"]),
        ("contains(payload.options, output.choice)", {"choice": "b"}, []),
        ("contains(payload.options, output.choice)", {"choice": "z"}, ["rule_r0"]),
        ("max(output.n) < `9`", {"n": [1, "a"]}, ["rule_error_r0"]),
    ],
)
def test_true_alone_passes(expect: str, output: Any, codes: list[str]) -> None:
    outcome = Outcome.FAIL if codes else Outcome.PASS
    assert judge(expect, output, {"options": ["a", "b"]}) == (outcome, codes)


def test_every_broken_rule_is_told() -> None:
    task_type = kind("output.a", "output.b", "output.c")
    evidence = Evidence(payload={}, output={"b": True}, output_schema={}, task_type=task_type)
    reasons = RulesStage().judge(evidence).reasons
    assert [(reason.code, reason.message) for reason in reasons] == [
        ("rule_r0", "Message 0"),
        ("rule_r2", "Message 2"),
    ]


@pytest.mark.parametrize(
    ("output", "outcome", "messages"),
    [
        ({"a": True, "b": True}, Outcome.PASS, []),
        ({"a": True}, Outcome.UNSURE, ["Odd: somebody should look"]),
        ({"b": True}, Outcome.FAIL, ["Wrong"]),
        ({}, Outcome.FAIL, ["Wrong"]),  # who is refused is not told what somebody would have looked at
    ],
)
def test_a_rule_that_is_unsure_holds_back_and_does_not_refuse(
    output: Any, outcome: Outcome, messages: list[str]
) -> None:
    rules = [
        Rule(name="odd", expect="output.b", message="Odd: somebody should look", severity=Severity.UNSURE),
        Rule(name="wrong", expect="output.a", message="Wrong"),
    ]
    evidence = Evidence(
        payload={}, output=output, output_schema={}, task_type=TaskType(name="t", title="T", rules=rules)
    )
    verdict = RulesStage().judge(evidence)
    assert (verdict.outcome, [one.message for one in verdict.reasons]) == (outcome, messages)


def test_a_rule_reads_the_question_and_the_task_as_well() -> None:
    expect = "output.n <= payload.most && task.riskTier == 'low' && length(task.skills) == `1`"
    facts = {"riskTier": "low", "skills": ["x"]}
    for n, outcome in ((3, Outcome.PASS), (4, Outcome.FAIL)):
        evidence = Evidence(
            payload={"most": 3}, output={"n": n}, output_schema={}, task_type=kind(expect), task=facts
        )
        assert RulesStage().judge(evidence).outcome is outcome


@pytest.mark.parametrize(
    "expect",
    [
        "output.a == payload.b",
        "length(output.items[?kind == 'x']) > `0`",
        "sort_by(output.items, &rank)[0].ok",
        "output.items[0:2] | length(@) == `2`",
        "not_null(output.a, output.b, 'x') == 'x'",
        "output.{a: b, c: d}.a",
        "!contains(output.text, 'http')",
    ],
)
def test_rules_that_load(expect: str) -> None:
    check_rules(kind(expect))


@pytest.mark.parametrize(
    ("expect", "told"),
    [
        ("output.a ==", "not a JMESPath expression"),
        ("lenght(output.a) > `1`", "no function `lenght`"),
        ("length(output.a, `1`) > `1`", "`length` takes 1 values, not 2"),
        ("contains(output.a)", "`contains` takes 2 values, not 1"),
        ("output.severity == sev1", "there is no `sev1`"),
        ("answer == 'x'", "there is no `answer`"),
        ("", "not a JMESPath expression"),
        ("(" * 2000 + "output" + ")" * 2000, "not a JMESPath expression"),
    ],
)
def test_mistakes_are_found_when_the_file_loads(expect: str, told: str) -> None:
    with pytest.raises(Misconfigured, match="task type 'triage', rule 'r0'") as caught:
        check_rules(kind(expect))
    assert told in caught.value.message


def test_two_rules_of_one_name() -> None:
    rule = Rule(name="same", expect="output.a", message="m")
    with pytest.raises(Misconfigured, match="two rules of this name"):
        check_rules(TaskType(name="t", title="T", rules=[rule, rule]))


@pytest.mark.parametrize("stages", [[], ["schema", "schema"], ["schema", "telepathy"]])
def test_stages_of_a_task_type(stages: list[str]) -> None:
    check_stages(kind())
    with pytest.raises(Misconfigured):
        check_stages(kind(stages=stages))
