"""Answers come from strangers: however many places nine of them have between them, the work of comparing them is bounded, and
what is too wide is compared as a whole, exactly."""

from __future__ import annotations

from typing import Any

import pytest

from core.forms.validate import errors
from core.verification.anomaly.text import MOST_CHOSEN, choice, free_text
from core.verification.consensus import Answer, Book, ConsensusPolicy, agreements, close, judge
from core.verification.consensus.leaves import LONGEST_LIST, LONGEST_TEXT, MOST_VOTES, leaves, tree
from core.verification.consensus.plan import FieldKind, plan
from tests.hostile import CROWDS, OPEN

POLICY = ConsensusPolicy()


def answers_of(outputs: list[Any]) -> list[Answer]:
    return [Answer(worker=f"w{number}", output=output) for number, output in enumerate(outputs)]


@pytest.mark.parametrize("name", CROWDS)
def test_nine_answers_that_get_in_are_compared_in_few_steps(name: str) -> None:
    outputs = CROWDS[name]
    assert errors(OPEN, outputs[0]) == []  # it gets in
    answers = answers_of(outputs)
    found = list(leaves(tree(plan(OPEN), {one.worker: one.output for one in answers})))
    assert sum(len(leaf.votes) for leaf in found) <= MOST_VOTES
    decision = judge(answers, Book(), POLICY, OPEN)
    assert decision.output in outputs
    told = agreements(answers, decision.output, POLICY, OPEN)
    assert any(one.agreed for one in told)
    assert len(close(answers, Book(), POLICY, OPEN).add) < 2 * MOST_VOTES


def test_too_wide_a_place_is_the_same_to_the_letter_or_not() -> None:
    wide = {f"n{number}": number for number in range(MOST_VOTES)}
    other = wide | {"n7": 8}
    decision = judge(answers_of([other, wide, dict(reversed(wide.items()))]), Book(), POLICY, OPEN)
    assert decision.output == wide
    assert [leaf.pointer for leaf in decision.fields] == [""]
    first, second, third = agreements(answers_of([other, wide, wide]), wide, POLICY, OPEN)
    assert (second.agreed, third.agreed) == (True, True)
    assert (first.agreed, first.differs) == (False, {"": "it is not the same as the result"})


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("x" * LONGEST_TEXT, FieldKind.TEXT),
        ("x" * (LONGEST_TEXT + 1), FieldKind.WHOLE),
        ([1] * LONGEST_LIST, FieldKind.LIST),
        ([1] * (LONGEST_LIST + 1), FieldKind.WHOLE),
    ],
)
def test_one_long_place_does_not_make_the_others_a_whole(value: Any, kind: FieldKind) -> None:
    outputs = {f"w{number}": {"long": value, "ok": True} for number in range(3)}
    found = {leaf.pointer: leaf.kind for leaf in leaves(tree(plan(OPEN), outputs))}
    assert found == {"/long": kind, "/ok": FieldKind.CLOSED}


def test_an_honest_invoice_is_compared_line_by_line() -> None:
    """A hundred lines of five fields by three people."""
    line = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"lines": {"type": "array", "items": line}}}
    lines = [{"id": n, "sku": f"A{n}", "qty": n % 7, "price": n * 10, "ok": n % 2 == 0} for n in range(100)]
    wrong = [one | {"qty": 99} if one["id"] == 42 else one for one in lines]
    given = answers_of([{"lines": lines}, {"lines": wrong}, {"lines": lines}])
    output = judge(given, Book(), POLICY, schema).output
    assert sorted(output["lines"], key=lambda one: one["id"]) == lines
    [_, told, _] = agreements(given, {"lines": lines}, POLICY, schema)
    assert told.differs == {"/lines/42/qty": "you gave 99, the result is 0"}


def test_what_is_remembered_of_one_answer_is_bounded() -> None:
    many = {f"n{number:05}": f"c{number}" for number in range(9_000)}
    first = dict(list(many.items())[:MOST_CHOSEN])
    assert choice(many) == choice(first)
    assert choice(many) != choice(first | {"n00001": "other"})
    texts = [f"these are the words of number {number} and so on" for number in range(6_000)]
    assert free_text({"x": texts}) == " ".join(texts)[:4_000]
