"""Answers that are objects: field by field, put together, and told in words."""

from __future__ import annotations

from typing import Any

import pytest

from core.verification.consensus import (
    Answer,
    Book,
    ConsensusPolicy,
    agreements,
    judge,
    widest_choice,
    wrong,
)

POLICY = ConsensusPolicy()


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": sorted(properties), "properties": properties}


def outcome(shape: dict[str, Any], *outputs: Any, valid: Any = None) -> Any:
    given = [Answer(worker=f"w{number}", output=output) for number, output in enumerate(outputs)]
    return judge(given, Book(), POLICY, shape, valid)


def test_each_field_has_its_own_majority() -> None:
    shape = schema(a={"enum": ["x", "y"]}, b={"type": "boolean"}, c={"enum": [1, 2, 3]})
    found = outcome(
        shape, {"a": "x", "b": True, "c": 1}, {"a": "x", "b": False, "c": 2}, {"a": "y", "b": True, "c": 2}
    )
    assert found.output == {"a": "x", "b": True, "c": 2}  # nobody gave this whole


def test_a_number_within_its_tolerance_is_the_weighted_mean_and_a_far_one_weighs_less() -> None:
    shape = schema(kg={"type": "number", "x-tolerance": 1})
    assert outcome(shape, {"kg": 10.0}, {"kg": 10.4}, {"kg": 10.2}).output["kg"] == pytest.approx(10.2)
    assert 10.0 <= outcome(shape, {"kg": 10.0}, {"kg": 10.4}, {"kg": 90.0}).output["kg"] < 13
    assert outcome(schema(n={"type": "integer", "x-tolerance": 2}), {"n": 4}, {"n": 5}, {"n": 5}).output == {
        "n": 5
    }


def test_a_number_without_tolerance_is_one_that_somebody_gave() -> None:
    assert outcome(schema(n={"type": "number"}), {"n": 7}, {"n": 7.0}, {"n": 8}).output == {"n": 7}
    assert outcome(schema(n={"type": "number"}), {"n": 1}, {"n": 5}, {"n": 100}).output == {"n": 5}


def test_texts_are_the_same_after_normalisation_and_else_the_likest_wins() -> None:
    shape = schema(t={"type": "string"})
    assert outcome(shape, {"t": "Pump  broken."}, {"t": "pump broken"}, {"t": "all fine"}).confidence > 0.9
    found = outcome(
        shape,
        {"t": "the red pump on deck two leaks"},
        {"t": "the red pump on deck two is leaking"},
        {"t": "red pump on deck two leaks"},
    )
    assert found.output == {"t": "the red pump on deck two leaks"}


def test_a_set_is_a_vote_on_each_option_and_a_list_is_taken_whole() -> None:
    tags = {"type": "array", "uniqueItems": True, "items": {"enum": ["a", "b", "c"]}}
    assert outcome(schema(tags=tags), {"tags": ["b", "a"]}, {"tags": ["a", "c"]}, {"tags": ["b"]}).output == {
        "tags": ["a", "b"]
    }
    steps = {"type": "array", "items": {"type": "string"}}
    found = outcome(schema(s=steps), {"s": ["x", "y", "z"]}, {"s": ["x", "y"]}, {"s": ["x", "y", "z"]})
    assert found.output == {"s": ["x", "y", "z"]}


def test_objects_in_an_array_are_matched_by_their_key() -> None:
    line = schema(sku={"type": "string"}, qty={"type": "integer"})
    shape = schema(lines={"type": "array", "items": line})
    found = outcome(
        shape,
        {"lines": [{"sku": "p", "qty": 1}, {"sku": "q", "qty": 2}]},
        {"lines": [{"sku": "q", "qty": 2}, {"sku": "p", "qty": 3}]},
        {"lines": [{"sku": "p", "qty": 1}, {"sku": "r", "qty": 9}]},
    )
    assert found.output == {"lines": [{"qty": 1, "sku": "p"}, {"qty": 2, "sku": "q"}]}


def test_an_optional_field_is_first_a_vote_on_whether_it_is_there() -> None:
    shape = {"type": "object", "properties": {"note": {"enum": ["a", "b"]}}}
    assert outcome(shape, {}, {}, {"note": "a"}).output == {}
    assert outcome(shape, {"note": "b"}, {}, {"note": "b"}).output == {"note": "b"}
    nullable = schema(n={"type": ["integer", "null"]})
    assert outcome(nullable, {"n": None}, {"n": None}, {"n": 3}).output == {"n": None}


def test_fields_that_contradict_one_another_give_way_to_one_persons_answer() -> None:
    shape = schema(a={"type": "boolean"}, b={"type": "boolean"}, c={"type": "boolean", "x-critical": True})

    def rule(output: Any) -> bool:
        return not (output["a"] and output["b"])

    given = [
        {"a": True, "b": False, "c": True},
        {"a": False, "b": True, "c": True},
        {"a": True, "b": True, "c": False},
    ]
    found = outcome(shape, *given, valid=rule)
    assert found.source == "worker"
    assert found.output in given[:2]
    nothing = outcome(shape, *given, valid=lambda _: False)
    assert (nothing.source, nothing.reason, nothing.output) == (
        "none",
        "worth_more",
        {"a": True, "b": True, "c": True},
    )


def test_who_differs_is_told_where_and_only_critical_fields_decide() -> None:
    shape = schema(urgency={"enum": ["low", "high"], "x-critical": True}, tag={"enum": ["a", "b"]})
    result = {"urgency": "low", "tag": "a"}
    given = [
        Answer(worker="ada", output={"urgency": "low", "tag": "b"}),
        Answer(worker="bob", output={"urgency": "high", "tag": "a"}),
    ]
    ada, bob = agreements(given, result, POLICY, shape)
    assert (ada.agreed, ada.share) == (True, 0.5)
    assert ada.differs == {"/tag": 'you gave "b", the result is "a"'}
    assert (bob.agreed, bob.share) == (False, 0.5)
    assert bob.differs == {"/urgency": 'you gave "high", the result is "low"'}
    assert not wrong({"urgency": "low", "tag": "b"}, result, POLICY, shape)
    assert wrong({"urgency": "high", "tag": "a"}, result, POLICY, shape)


def test_true_is_not_one() -> None:
    [one] = agreements([Answer(worker="w", output={"x": True})], {"x": 1}, POLICY, None)
    assert not one.agreed


def test_a_remark_does_not_hold_the_money_beside_other_fields() -> None:
    shape = schema(ok={"type": "boolean"}, remark={"type": "string"})
    found = outcome(shape, {"ok": True, "remark": "fine"}, {"ok": True, "remark": "looks good to me"})
    assert found.confidence == pytest.approx(0.9)
    assert all(one.agreed for one in found.agreements)


def test_the_widest_choice_is_looked_for_in_all_places() -> None:
    colours = {"enum": ["red", "green", "blue"]}
    assert widest_choice(None) == 0
    assert widest_choice(schema(text={"type": "string"})) == 0
    assert widest_choice(schema(ok={"type": "boolean"}, inner=schema(colour=colours))) == 3
    assert widest_choice(schema(colours={"type": "array", "items": colours})) == 2
    assert (
        widest_choice(schema(lines={"type": "array", "items": schema(id={"type": "string"}, colour=colours)}))
        == 3
    )
