"""What every verification stage promises, asked of each one in the table: a newcomer is picked up by itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.tasks.types import Rule, TaskType
from core.verification.stage import Evidence, Outcome, Verdict
from core.verification.stages import STAGES

SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 1}, "n": {"type": "integer"}},
    "required": ["text"],
}
TASK_TYPE = TaskType(
    name="triage",
    title="Triage",
    output_schema=SCHEMA,
    rules=[
        Rule(name="long", expect="length(output.text) > `0`", message="Say something"),
        Rule(name="few", expect="output.n == null || output.n < `10`", message="Fewer"),
        Rule(name="known", expect="contains(payload.options, output.text)", message="One of the options"),
        Rule(name="sorted", expect="sort(keys(output))[0] != 'zzz'", message="No zzz"),
    ],
)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["text", "n", "zzz", ""]) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"text": [value]}
    return value


ODD = [
    None,
    True,
    "",
    [],
    {},
    {"text": None},
    {"text": "\0"},
    {"text": "a" * 100_000},
    {"n": 10**400, "text": "a"},
    {"n": 1e308, "text": "a"},
    {"text": {"text": {"text": []}}},
    {"text": "a", "n": "a"},
    deep(200),
]


def evidence(output: Any, **change: Any) -> Evidence:
    return Evidence(
        **{
            "payload": {"options": ["a", "b"]},
            "output": output,
            "output_schema": SCHEMA,
            "task_type": TASK_TYPE,
            **change,
        }
    )


def check(stage_name: str, output: Any, **change: Any) -> Verdict:
    stage = STAGES[stage_name]
    first = stage.judge(evidence(output, **change))
    assert first == stage.judge(evidence(output, **change)), "the same evidence, another verdict"
    assert first.stage == stage_name == stage.name
    assert first.outcome in Outcome
    assert bool(first.reasons) == (first.outcome is not Outcome.PASS)
    assert all(reason.code and reason.message for reason in first.reasons)
    assert msgspec.convert(msgspec.to_builtins(first), Verdict) == first, "must be kept as JSON"
    return first


@pytest.fixture(params=sorted(STAGES))
def stage_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_good_answer_passes(stage_name: str) -> None:
    assert check(stage_name, {"text": "a", "n": 3}).outcome is Outcome.PASS


@pytest.mark.parametrize("output", ODD, ids=lambda value: f"{type(value).__name__}-{str(value)[:20]!r}")
def test_an_odd_answer_gets_a_verdict(stage_name: str, output: Any) -> None:
    check(stage_name, output)


def test_nothing_was_asked_for(stage_name: str) -> None:
    bare = TaskType(name="any", title="Any")
    assert check(stage_name, {"x": 1}, output_schema={}, task_type=bare).outcome is Outcome.PASS


def test_a_schema_that_the_hub_no_longer_takes(stage_name: str) -> None:
    schema = {"type": "object", "$ref": "https://elsewhere.test/schema"}
    check(stage_name, {"text": "a"}, output_schema=schema)


@given(output=json_values)
@settings(max_examples=100)
def test_any_answer_gets_the_same_verdict_twice(output: Any) -> None:
    for name in STAGES:
        check(name, output)
