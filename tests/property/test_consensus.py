"""What must hold for any answers: order changes no bit, agreement makes surer, nobody judges their own answer, what is taught
can be taken back, and the decision is the same on every replay."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.verification.consensus import (
    Answer,
    Book,
    Changes,
    ConsensusPolicy,
    agreements,
    apply,
    close,
    judge,
    known,
    next_worker,
    undo,
)
from core.verification.consensus.counts import BAD, GOOD
from core.verification.consensus.judge import stored
from core.verification.consensus.model import POOL, Key

SCHEMA = {
    "type": "object",
    "required": ["kind", "kg"],
    "properties": {
        "kind": {"enum": ["a", "b", "c"], "x-critical": True},
        "kg": {"type": "number", "x-tolerance": 0.5},
        "ok": {"type": "boolean"},
        "text": {"type": "string"},
        "tags": {"type": "array", "uniqueItems": True, "items": {"enum": ["x", "y"]}},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id"],
                "properties": {"id": {"type": "integer"}, "qty": {"type": "integer"}},
            },
        },
    },
}
KIND = {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["a", "b", "c"]}}}
POLICY = ConsensusPolicy()
KINDS = st.sampled_from(["a", "b", "c"])
OUTPUTS = st.fixed_dictionaries(
    {"kind": KINDS, "kg": st.floats(0, 50, allow_nan=False)},
    optional={
        "ok": st.booleans(),
        "text": st.sampled_from(["red pump leaks", "Red pump leaks.", "the red pump leaks", "no idea", ""]),
        "tags": st.lists(st.sampled_from(["x", "y"]), unique=True),
        "lines": st.lists(
            st.fixed_dictionaries({"id": st.integers(0, 3)}, optional={"qty": st.integers(0, 2)}),
            unique_by=lambda line: line["id"],
        ),
    },
)
# Any JSON, for a schema that says nothing.
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5, allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)
ANY_OBJECTS = st.dictionaries(st.text(max_size=2), ANYTHING, max_size=3)


def answers_of(outputs: list[Any]) -> list[Answer]:
    return [Answer(worker=f"w{number}", output=output) for number, output in enumerate(outputs)]


@st.composite
def books(draw: st.DrawFn) -> Book:
    """What a history of gold tasks and closed tasks leaves behind."""
    state: dict[str, dict[Key, float]] = {}
    for _ in range(draw(st.integers(0, 4))):
        book = Book(pool=state.get(POOL, {}), workers=state)
        answers = answers_of([{"kind": one} for one in draw(st.lists(KINDS, min_size=1, max_size=4))])
        if draw(st.booleans()):
            changes = known(answers, {"kind": draw(KINDS)}, book, POLICY, KIND)
        else:
            changes = close(answers, book, POLICY, KIND)
        state = apply(state, [changes])
    return Book(pool=state.get(POOL, {}), workers=state)


@given(st.lists(OUTPUTS, min_size=1, max_size=5), books(), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_of_answers_changes_no_bit(outputs: list[Any], book: Book, dice: Any) -> None:
    answers = answers_of(outputs)
    turned = list(answers)
    dice.shuffle(turned)
    assert stored(judge(answers, book, POLICY, SCHEMA)) == stored(judge(turned, book, POLICY, SCHEMA))
    assert close(answers, book, POLICY, SCHEMA) == close(turned, book, POLICY, SCHEMA)


@given(st.lists(ANY_OBJECTS, min_size=1, max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_any_json_is_judged_and_in_any_order_the_same(outputs: list[Any], dice: Any) -> None:
    answers = answers_of(outputs)
    turned = list(answers)
    dice.shuffle(turned)
    found = judge(answers, Book(), POLICY, None)
    assert 0.0 <= found.confidence <= 1.0 + 1e-9
    assert stored(found) == stored(judge(turned, Book(), POLICY, None))
    assert close(answers, Book(), POLICY, None) == close(turned, Book(), POLICY, None)


@given(OUTPUTS, books(), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_one_answer_given_by_all_is_the_result_and_all_agree(output: Any, book: Book, many: int) -> None:
    found = judge(answers_of([output] * many), book, POLICY, SCHEMA)
    assert all(one.agreed for one in found.agreements)
    assert agreements(answers_of([output]), output, POLICY, SCHEMA)[0].share == 1.0


@given(st.lists(KINDS, min_size=1, max_size=5), books())
@settings(max_examples=40, deadline=None)
def test_an_agreeing_answer_of_one_who_is_better_than_chance_makes_surer(
    kinds: list[str], book: Book
) -> None:
    """Better than chance: likelier to give the result where it is true than where anything else is."""
    answers = answers_of([{"kind": one} for one in kinds])
    before = judge(answers, book, POLICY, KIND)
    newcomer = Answer(worker="new", output=before.output)
    after = judge([*answers, newcomer], book, POLICY, KIND)
    if _better_than_chance(book, before.output["kind"]):
        assert after.output == before.output
        assert after.confidence >= before.confidence - 1e-12


def _better_than_chance(book: Book, option: str) -> bool:
    from core.verification.consensus.posterior import View

    view = View(book.pool, "/kind", ('"a"', '"b"', '"c"'))
    answer = view.place[f'"{option}"']
    column = view.log_column({}, "/kind", answer)
    return all(column[answer] > one for k, one in enumerate(column) if k != answer)


@given(st.lists(KINDS, min_size=1, max_size=4), books(), KINDS, KINDS)
@settings(max_examples=40, deadline=None)
def test_the_weight_of_a_lesson_does_not_know_the_answer_that_it_is_about(
    kinds: list[str], book: Book, one: str, other: str
) -> None:
    """How much a task teaches about a worker depends on the others alone: good + bad is the same whatever they said."""
    rest = answers_of([{"kind": kind} for kind in kinds])

    def weight(said: str) -> float:
        changes = close([*rest, Answer(worker="judged", output={"kind": said})], book, POLICY, KIND)
        return sum(delta for owner, key, delta in changes.add if owner == "judged" and key in (GOOD, BAD))

    assert abs(weight(one) - weight(other)) < 1e-9


@given(st.lists(OUTPUTS, min_size=1, max_size=4), OUTPUTS, books())
@settings(max_examples=40, deadline=None)
def test_what_was_taught_can_be_taken_back(outputs: list[Any], truth: Any, book: Book) -> None:
    state = {POOL: dict(book.pool), **{worker: dict(counts) for worker, counts in book.workers.items()}}
    taught: list[Changes] = [
        close(answers_of(outputs), book, POLICY, SCHEMA),
        known(answers_of(outputs), truth, book, POLICY, SCHEMA),
    ]
    after = apply(state, [*taught, *map(undo, taught)])
    for owner, counts in after.items():
        for key, value in counts.items():
            assert abs(value - state.get(owner, {}).get(key, 0.0)) < 1e-6


@given(
    st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=8, unique=True),
    st.lists(OUTPUTS, max_size=4),
    books(),
)
@settings(max_examples=30, deadline=None)
def test_the_next_worker_is_the_same_on_every_replay(
    workers: list[str], outputs: list[Any], book: Book
) -> None:
    answers = answers_of(outputs)
    first = next_worker("task", answers, workers, book, POLICY, SCHEMA)
    assert first == next_worker("task", answers[::-1], workers[::-1], book, POLICY, SCHEMA)
    assert first.worker in workers
    assert {worker for worker, _ in first.draws} == set(workers)
    assert all(0.0 <= draw <= 1.0 for _, draw in first.draws)


@pytest.mark.parametrize("answers", [[], [Answer(worker="w0", output={"kind": "a", "kg": 1.0})]])
def test_a_tenth_of_the_draws_are_even_and_the_rest_prefers_the_good(answers: list[Answer]) -> None:
    book = Book(workers={"good": {GOOD: 60.0, BAD: 2.0}, "bad": {GOOD: 2.0, BAD: 60.0}})
    picks = [
        next_worker(f"t{number}", answers, ["good", "bad"], book, POLICY, SCHEMA) for number in range(1000)
    ]
    even = [one for one in picks if one.how == "random"]
    assert 70 <= len(even) <= 130
    assert 0.35 <= sum(one.worker == "bad" for one in even) / len(even) <= 0.65
    assert sum(one.worker == "bad" for one in picks if one.how == "thompson") == 0
