"""What is wrong with an answer, in words, and that no answer costs more than a bounded effort."""

from __future__ import annotations

from typing import Any

import pytest

from core.forms.measure import MAX_VALUES
from core.forms.validate import MAX_ERRORS, errors

TAGGED = {
    "oneOf": [
        {
            "type": "object",
            "properties": {"kind": {"const": "a"}, "n": {"type": "integer"}},
            "required": ["kind", "n"],
        },
        {"type": "object", "properties": {"kind": {"const": "b"}}, "required": ["kind", "m"]},
    ]
}


def told(schema: dict[str, Any], instance: object) -> list[tuple[str, str, str]]:
    return [(error.pointer, error.message, error.keyword) for error in errors(schema, instance)]


def of_value(schema: dict[str, Any] | bool, value: object) -> list[str]:
    found = errors({"type": "object", "properties": {"v": schema}}, {"v": value})
    assert {error.pointer for error in found} <= {"/v"}
    return [error.message for error in found]


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"type": "string"}, 1, "Must be text"),
        ({"type": "integer"}, 1.5, "Must be a whole number"),
        ({"type": ["number", "null"]}, "x", "Must be empty or a number"),
        ({"type": "boolean"}, "yes", "Choose yes or no"),
        ({"type": "array"}, {}, "Must be a list"),
        ({"type": "object"}, [], "Must be a group of fields"),
        ({"enum": ["a", "b", 3, None, True]}, "c", "Choose one of: a, b, 3, none, yes"),
        ({"const": {"a": 1}}, 1, 'Must be: {"a": 1}'),
        ({"minimum": 3}, 2, "Must be at least 3"),
        ({"maximum": 3}, 4, "Must be at most 3"),
        ({"exclusiveMinimum": 3}, 3, "Must be more than 3"),
        ({"exclusiveMaximum": 3}, 3, "Must be less than 3"),
        ({"multipleOf": 0.01}, 0.001, "Must be a multiple of 0.01"),
        ({"multipleOf": 5}, 3, "Must be a multiple of 5"),
        ({"minLength": 1}, "", "Write at least 1 character"),
        ({"maxLength": 2}, "abc", "Write at most 2 characters"),
        ({"pattern": "^a+$"}, "b", "Not in the expected form: ^a+$"),
        ({"format": "email"}, "x", "Not a valid e-mail address"),
        ({"format": "date"}, "2026-02-30", "Not a valid date, such as 2026-11-23"),
        ({"format": "ipv4"}, "1.2.3", "Not a valid IPv4 address"),
        ({"format": "json-pointer"}, "a", "Not a valid json-pointer"),
        ({"minItems": 2}, [1], "Give at least 2"),
        ({"maxItems": 1}, [1, 2], "Give at most 1"),
        ({"uniqueItems": True}, [1, 1], "Must not hold the same thing twice"),
        ({"contains": {"const": 1}}, [2], "None of these is what was asked for"),
        ({"minProperties": 2}, {"a": 1}, "Fill in at least 2 fields"),
        ({"maxProperties": 0}, {"a": 1}, "Fill in at most 0 fields"),
        (
            {"propertyNames": {"maxLength": 1}},
            {"ab": 1},
            "A name in here is not allowed. Write at most 1 character",
        ),
        ({"not": {"const": 1}}, 1, "This is not allowed here"),
        (False, 1, "Not expected here"),
        (
            {"anyOf": [{"type": "string", "minLength": 3}, {"type": "null"}]},
            "a",
            "Write at least 3 characters",
        ),
        ({"oneOf": [{"const": 1, "title": "One"}, {"const": 2}]}, 3, "Choose one of: 1, 2"),
        ({"anyOf": [{"type": "string"}, {"type": "array"}]}, 1, "Does not fit any of the choices"),
        (
            {"oneOf": [{"minimum": 1}, {"maximum": 5}]},
            3,
            "Fits more than one of the choices; it must fit exactly one",
        ),
        (
            {"anyOf": [{"required": ["mail"]}, {"required": ["phone"]}]},
            {},
            "Fill in at least one of: mail, phone",
        ),
    ],
)
def test_sentences(schema: dict[str, Any] | bool, value: object, message: str):
    assert of_value(schema, value) == [message]


def test_a_valid_answer_has_no_errors():
    assert errors(None, {"anything": [1, None, {"a": "b"}]}) == []


def test_missing_and_unexpected_properties_are_told_at_their_own_pointer():
    schema = {"type": "object", "properties": {"a/b": {}}, "required": ["a/b"], "additionalProperties": False}
    assert told(schema, {"c": 1}) == [
        ("/c", "Not expected here", "additionalProperties"),
        ("/a~1b", "Required", "required"),
    ]
    assert told({"type": "object", "unevaluatedProperties": False}, {"c": 1}) == [
        ("/c", "Not expected here", "unevaluatedProperties")
    ]
    assert told({"dependentRequired": {"q": ["r"]}}, {"q": 1}) == [("/r", "Required", "required")]
    conditional = {"if": {"required": ["a"]}, "then": {"required": ["b"]}}
    assert told(conditional, {"a": 1}) == [("/b", "Required", "required")]


def test_the_errors_are_those_of_the_branch_that_was_meant():
    assert told(TAGGED, {"kind": "b"}) == [("/m", "Required", "required")]
    assert told(TAGGED, {"kind": "a", "n": "x"}) == [("/n", "Must be a whole number", "type")]
    assert told(TAGGED, {"kind": "z"}) == [("", "Does not fit any of the choices", "oneOf")]


def test_formats_are_asserted_in_every_draft():
    for draft in ("http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2019-09/schema"):
        assert (
            told({"$schema": draft, "properties": {"a": {"format": "email"}}}, {"a": "x"})[0][2] == "format"
        )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a\x00b", "Holds a character that cannot be kept"),
        ("\ud800", "Holds a character that cannot be kept"),
        (float("nan"), "Must be a number"),
        (float("-inf"), "Must be a number"),
        (10**41, "Must have at most 40 digits"),
        pytest.param(10**5000, "Must have at most 40 digits", id="endless"),
        ((1, 2), "Must be JSON"),
    ],
)
def test_values_that_no_answer_may_hold(value: object, message: str):
    assert of_value({}, value) == [message]


def test_names_that_no_answer_may_hold():
    assert told({}, {"\ud800": 1})[0][2] == "characters"
    assert told({}, {1: 1})[0][2] == "characters"


def test_size_and_depth_are_bounded():
    assert told({}, {"a": [0] * (MAX_VALUES + 1)}) == [
        ("", f"Too large: at most {MAX_VALUES} values", "size")
    ]
    assert told({}, {"a": "x" * 300_000})[0][2] == "size"
    assert told({"properties": {"a": {"pattern": "x"}}}, {"a": "x" * 100_000})[0][2] == "size"
    deep: object = 1
    for _ in range(5000):
        deep = {"a": deep}
    assert told({}, deep) == [("/a" * 31, "Nested too deep: at most 32 levels", "depth")]


def test_only_the_first_errors_are_told():
    schema = {"properties": {"l": {"items": {"type": "integer"}}}}
    found = told(schema, {"l": ["x"] * 200})
    assert found == [(f"/l/{i}", "Must be a whole number", "type") for i in range(MAX_ERRORS)]


def test_a_wrong_row_is_found_in_a_list_too_long_to_be_listed():
    row = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["b"]}
    schema = {"properties": {"l": {"items": row}}}
    found = told(schema, {"l": [{"a": 1, "b": 2}] * 2500 + [{"a": "x"}]})
    assert found == [("/l/2500/b", "Required", "required"), ("/l/2500/a", "Must be a whole number", "type")]


def test_branches_times_rows_is_not_listed():
    """40 branches and 9,000 rows: jsonschema-rs would write 360,000 errors (5 s) before the first is read."""
    branches = [{"items": {"type": "integer"}}, {"items": {"type": "null"}}] * 20
    found = told({"properties": {"l": {"anyOf": branches}}}, {"l": ["x"] * 9000})
    assert found == [("/l", "Does not fit what was asked for", "schema")]


def test_recursion_with_two_ways_down_is_refused_when_the_answer_is_deep():
    either = {"$ref": "#/$defs/n"}
    node = {"type": "object", "additionalProperties": {"anyOf": [either, either]}}
    deep: object = "bad"
    for _ in range(25):
        deep = {"a": deep}
    assert told({"$defs": {"n": node}, "$ref": "#/$defs/n"}, deep)[0][2] == "size"


def test_catastrophic_patterns_are_linear_here():
    found = of_value({"pattern": "^(a+)+$"}, "a" * 30_000 + "!")
    assert found == ["Not in the expected form: ^(a+)+$"]
