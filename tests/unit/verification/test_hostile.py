"""What strangers may send to hang or get past the hub: every schema of the list is refused at creation, every answer by
the first stage, every body before it is read; and whatever an answer holds, each stage gives a verdict."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.errors import Invalid, Malformed
from core.forms.profile import check
from core.receipts.canonical import digest
from core.tasks.types import Rule, TaskType
from core.verification.anomaly import detect
from core.verification.anomaly.model import Behaviour, Device, Given, Memory, Pool
from core.verification.stage import Evidence, Outcome
from core.verification.stages import STAGES
from hub.api.decoding import Fields, object_of
from tests.hostile import REFUSED_ANSWERS, REFUSED_BODIES, REFUSED_SCHEMAS, TAKEN_ANSWERS

KIND = TaskType(
    name="triage",
    title="Triage",
    rules=[
        Rule(name="short", expect="length(to_string(output.x)) < `1000000`", message="Too long"),
        Rule(name="sorted", expect="!output.list || sort(output.list) == output.list", message="Sort it"),
    ],
)


def evidence(schema: dict[str, Any], answer: Any) -> Evidence:
    return Evidence(payload={"q": "?"}, output=answer, output_schema=schema, task_type=KIND)


@pytest.mark.parametrize("name", REFUSED_SCHEMAS)
def test_a_hostile_schema_is_refused_with_its_place(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        check(REFUSED_SCHEMAS[name])
    assert refused.value.code == "output_schema_invalid"
    assert refused.value.field_errors
    assert all(path.startswith("outputSchema") for path in refused.value.field_errors)


@pytest.mark.parametrize("name", REFUSED_ANSWERS)
def test_a_hostile_answer_does_not_get_in(name: str) -> None:
    schema, answer = REFUSED_ANSWERS[name]
    verdict = STAGES["schema"].judge(evidence(schema, answer))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons
    assert all(len(one.message) < 1_000 and "\0" not in one.message for one in verdict.reasons)


@pytest.mark.parametrize("name", TAKEN_ANSWERS)
def test_an_odd_answer_is_judged_like_any_other(name: str) -> None:
    schema, answer = TAKEN_ANSWERS[name]
    assert STAGES["schema"].judge(evidence(schema, answer)).outcome is Outcome.PASS
    seen = Behaviour(
        given=Given(worker="w", answer=answer, seconds=0.0, device=Device(pastes=1, pasted=10)),
        memory=Memory(),
        pool=Pool(log_seconds=[3.0] * 30),
        others=[Given(worker="v", answer=answer)],
    )
    odd = detect.found({"q": answer}, seen)
    assert detect.remembered(Memory(), seen, odd).answers == 1
    assert len(digest(answer)) == 64


@pytest.mark.parametrize("name", TAKEN_ANSWERS | REFUSED_ANSWERS)
@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_gives_a_verdict(stage: str, name: str) -> None:
    schema, answer = (TAKEN_ANSWERS | REFUSED_ANSWERS)[name]
    assert STAGES[stage].judge(evidence(schema, answer)).stage == stage


@pytest.mark.parametrize("name", REFUSED_BODIES)
def test_a_hostile_body_is_not_read(name: str) -> None:
    with pytest.raises(Malformed):
        object_of(REFUSED_BODIES[name])


def test_the_last_of_two_equal_names_counts_everywhere() -> None:
    """One reading of duplicate names, whoever reads: what was checked is what is kept."""
    found = object_of(b'{"output":{"ok":false,"ok":true},"output":{"ok":"x"}}')
    assert bytes(found["output"]) == b'{"ok":"x"}'


def test_a_number_beyond_every_float_is_named_with_its_field() -> None:
    fields = Fields(object_of(b'{"payload":{"x":1e400000}}'))
    assert fields.take(msgspec.json.Decoder(), "payload") is None
    assert list(fields.errors) == ["payload"]
