"""What holds of every decision on a task's answers, whatever they are: it comes out again from its record, byte for byte; the
order of the answers plays no part; nothing that a stage refused is paid or given out; nobody is asked beyond what is paid
for; and another policy over the same records never pays more answers than there are."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from core.tasks.types import Rule
from core.verification.backtest import Recorded, run, summary
from core.verification.consensus import Certificate
from core.verification.fold import Decision, Given, Question, Record, Step, encode, fold
from core.verification.policy import Level, Otherwise, Requirement
from core.verification.stage import Outcome, Reason, Verdict

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "eligible": {"type": "boolean"},
        "severity": {"enum": ["minor", "major", "critical"]},
        "amount": {"type": "integer", "minimum": 0, "maximum": 50},
        "note": {"type": "string"},
    },
    "required": ["eligible", "severity"],
}
RULE = Rule(name="r", expect="output.eligible || output.severity != 'critical'", message="Not so")
outputs = st.fixed_dictionaries(
    {"eligible": st.booleans(), "severity": st.sampled_from(["minor", "major", "critical"])},
    optional={"amount": st.integers(0, 50), "note": st.sampled_from(["so it is", "no", "So  it is "])},
)
otherwise = st.sampled_from(list(Otherwise))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Record, Question]:
    least = draw(st.integers(1, 3))
    level = Level(
        answers_min=least,
        answers_max=least + draw(st.integers(0, 3)),
        confidence=draw(st.sampled_from([0.5, 0.9, 0.99])),
        rho=draw(st.sampled_from([0.02, 0.1])),
        uncertified=draw(otherwise),
        undecided=draw(otherwise),
        unsure=draw(otherwise),
        short=draw(otherwise),
        always_qa=draw(st.booleans()),
        spot_check=draw(st.sampled_from([0.0, 0.5, 1.0])),
    )
    count = draw(st.integers(0, 6))
    answers: list[Given] = []
    kept: dict[str, Any] = {}
    for n in range(count):
        said = draw(st.sampled_from([*[Outcome.PASS] * 4, Outcome.UNSURE, Outcome.FAIL]))
        reasons = [] if said is Outcome.PASS else [Reason(code="c", message="m")]
        answers.append(
            Given(
                submission=f"sub_{n}",
                worker=f"per_{n}",
                stages=["schema"],
                verdicts=[Verdict(stage="schema", outcome=said, reasons=reasons)],
            )
        )
        kept[f"sub_{n}"] = draw(outputs)
    counters = st.lists(
        st.tuples(st.just(""), st.sampled_from(["good", "bad"]), st.just(""), st.floats(0, 40)), max_size=2
    )
    record = Record(
        task="t",
        task_type="triage",
        requirement=Requirement(level=level, stages=["schema"], test=draw(st.booleans())),
        answers=answers,
        under_way=draw(st.integers(0, 2)),
        unjudged=draw(st.sampled_from([0, 0, 0, 1])),
        closing=draw(st.booleans()),
        pool=draw(counters),
        workers={f"per_{n}": draw(counters) for n in range(count) if draw(st.booleans())},
        certificate=draw(
            st.sampled_from([None, Certificate(threshold=0.6, bound=0.01, audits=300, wrong=1)])
        ),
        draw=draw(st.integers(0, 999_999)),
        rules=[RULE],
    )
    return record, Question(payload={}, schema=SCHEMA, outputs=kept)


@settings(max_examples=150)
@given(cases(), st.randoms(use_true_random=False))
def test_a_decision_comes_out_again_and_the_order_plays_no_part(
    case: tuple[Record, Question], dice: Any
) -> None:
    record, question = case
    decision = fold(record, question)
    again = fold(msgspec.json.decode(encode(record), type=Record), question)
    assert encode(again) == encode(decision)
    assert encode(msgspec.json.decode(encode(decision), type=Decision)) == encode(decision)
    answers = list(record.answers)
    dice.shuffle(answers)
    shuffled = fold(msgspec.structs.replace(record, answers=answers), question)
    assert encode(shuffled) == encode(decision)


@settings(max_examples=150)
@given(cases())
def test_nothing_refused_is_paid_and_nobody_is_asked_for_nothing(case: tuple[Record, Question]) -> None:
    record, question = case
    decision = fold(record, question)
    failed = {
        one.submission for one in record.answers if any(v.outcome is Outcome.FAIL for v in one.verdicts)
    }
    good = {one.submission for one in record.answers} - failed
    assert not failed & (set(decision.counted) | set(decision.refused))
    assert not set(decision.counted) & set(decision.refused)
    level = record.requirement.level
    match decision.step:
        case Step.VERIFIED:
            assert decision.counted
            assert set(decision.counted) | set(decision.refused) == good
            assert not level.always_qa or record.requirement.test
            assert all(decision.refused.values())
        case Step.ANOTHER:
            assert len(good) < level.answers_max
            assert not record.closing
        case Step.WAIT:
            assert record.under_way or record.unjudged
        case Step.QA:
            assert good
            assert not record.requirement.test
        case Step.FAILED:
            assert not decision.counted
            assert set(decision.refused) == good


@settings(max_examples=60)
@given(st.lists(cases(), min_size=1, max_size=4), st.integers(1, 3))
def test_a_backtest_pays_no_more_answers_than_there_are(
    many: list[tuple[Record, Question]], least: int
) -> None:
    recorded = [
        Recorded(
            task=str(n),
            organisation="org",
            task_type="triage",
            risk="low",
            environment="live",
            stages=["schema"],
            payout_msat=1000,
            question=question,
            answers=record.answers,
            took_ms=[1000 * (k + 1) for k in range(len(record.answers))],
            record=record,
            truth={"eligible": True, "severity": "minor"},
        )
        for n, (record, question) in enumerate(many)
    ]
    needed = Requirement(level=Level(answers_min=least, answers_max=3), stages=["schema"])
    outcomes = [run(one, needed) for one in recorded]
    found = summary(recorded, outcomes)
    assert found.tasks == len(recorded)
    assert found.released + found.qa + found.failed == found.tasks
    assert all(one.paid <= one.answers for one in outcomes)
    assert found.paid_per_task * found.tasks == sum(one.paid for one in outcomes) * 1000
