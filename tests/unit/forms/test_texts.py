"""What a posted text becomes, and that values survive the page."""

from __future__ import annotations

from typing import Any

import pytest

from core.forms.fields import judge, read
from core.forms.model import FieldError
from tests.unit.forms.shapes import obj, posted, through


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "integer"}, " 42 ", 42),
        ({"type": "integer"}, "-0", 0),
        ({"type": "integer"}, "3.0", 3),
        ({"type": "integer"}, "−7", -7),
        ({"type": "integer"}, "４２", 42),
        ({"type": "integer"}, "9" * 40, int("9" * 40)),
        ({"type": "integer"}, "9" * 41, "Must have at most 40 digits"),
        ({"type": "integer"}, "9" * 5000, "Must have at most 40 digits"),
        ({"type": "integer"}, "3.5", "Must be a whole number, in digits only"),
        ({"type": "integer"}, "1,000", "Must be a whole number, in digits only"),
        ({"type": "integer"}, "1_000", "Must be a whole number, in digits only"),
        ({"type": "number"}, "9007199254740993", 9007199254740993),
        ({"type": "number"}, "2.50", 2.5),
        ({"type": "number"}, ".5", 0.5),
        ({"type": "number"}, "1e3", 1000.0),
        ({"type": "number"}, "1e999", "Too large a number"),
        (
            {"type": "number"},
            "NaN",
            "Must be a number; use a point for decimals and nothing between thousands",
        ),
        (
            {"type": "number"},
            "1,5",
            "Must be a number; use a point for decimals and nothing between thousands",
        ),
        ({"type": "string"}, " a\r\nb ", " a\nb "),
        ({"type": "string"}, "   ", "(missing)"),
        ({"type": "string"}, "a\x00", "Holds a character that cannot be kept"),
        ({"type": "string"}, "\ud800", "Holds a character that cannot be kept"),
        ({"type": "string", "format": "email"}, " a@b.org ", "a@b.org"),
        ({"type": "string", "format": "date-time"}, "2026-11-23T14:05", "2026-11-23T14:05:00Z"),
        ({"type": "string", "format": "date-time"}, "2026-11-23T14:05:09.5", "2026-11-23T14:05:09.5Z"),
        ({"type": "string", "format": "date-time"}, "2026-11-23T14:05:00+02:00", "2026-11-23T14:05:00+02:00"),
        ({"type": "string", "format": "time"}, "14:05", "14:05:00Z"),
        ({"type": ["string", "null"]}, "", None),
        ({"enum": ["a", "b"]}, "b", "b"),
        ({"enum": ["a", "b"]}, "c", "Choose one of the answers shown"),
        ({"enum": ["a", "b"]}, "", "(missing)"),
        ({"enum": [1, "1", None, True]}, '"1"', "1"),
        ({"enum": [1, "1", None, True]}, "null", None),
        ({"type": "boolean"}, "true", True),
        ({"type": "boolean"}, "false", False),
        ({"type": "boolean"}, "on", "Choose one of the answers shown"),
        ({"const": "x"}, "y", "x"),
        ({"const": True}, "yes", True),
        ({"const": True}, "no", "(missing)"),
    ],
)
def test_reading(schema: dict[str, Any], text: str, value: object):
    found = posted(schema, text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "format": "date-time"}, "2026-11-23T14:05:00Z"),
        ({"type": "string", "format": "date-time"}, "2026-11-23t14:05:00z"),
        ({"type": "string", "format": "date-time"}, "2026-11-23T14:05:60Z"),
        ({"type": "string", "format": "time"}, "14:05:00.123456Z"),
        ({"type": "string", "format": "date"}, "not a date"),
        ({"type": "string"}, "\nleading line\n\nand more"),
        ({"type": "string"}, "</textarea>\n<b>"),
        ({"type": "number"}, 1e22),
        ({"type": "array", "items": {"type": "integer"}}, [1, 2, 3]),
        (
            {"type": "array", "items": {"type": "object", "properties": {"a/b~": {"type": "string"}}}},
            [{"a/b~": "x"}],
        ),
        (
            {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
            ["a", 2],
        ),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, ["a", 2, 3]),
        ({"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}, [[1], [2, 3]]),
        ({"type": "array", "uniqueItems": True, "items": {"enum": ["a", "b", "c"]}}, ["a", "c"]),
        ({"type": "array", "uniqueItems": True, "items": {"enum": [1, "1", 2.5]}}, [1, "1"]),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
            {"z": [1], "a": "b"},
        ),
        ({"type": ["string", "integer", "null"]}, None),
        ({"type": ["string", "integer"]}, 5),
        ({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}, ["x"]),
        ({}, {"free": [1, 2.5, "x", None]}),
        ({}, "words"),
        ({"type": "object"}, {}),
    ],
)
def test_round_trips(schema: dict[str, Any], value: object):
    assert through(schema, value) == value


def test_numbers_stay_what_they_were():
    assert type(through({"type": "number"}, 5)) is int
    assert type(through({"type": "number"}, 5.0)) is float


def test_plain_words_are_taken_where_any_value_is():
    assert posted({}, "anything") == "(missing)"  # posted under the wrong name
    assert read(obj(v={}), {"_json:/v": ["just words"]}) == ({"v": "just words"}, [])
    assert read(obj(v={}), {"_json:/v": ["12"]}) == ({"v": 12}, [])
    _, wrong = read(obj(v={}), {"_json:/v": ['{"a": ']})
    assert [error.pointer for error in wrong] == ["/v"]
    assert read(None, {"_json:": ["It was a fuse"]}) == ({"answer": "It was a fuse"}, [])
    assert read(None, {"_json:": ['{"cause": "fuse"}']}) == ({"cause": "fuse"}, [])


def test_an_empty_answer_to_any_object_is_missing():
    assert judge(None, {}) == ({}, [FieldError(pointer="", message="Required", keyword="required")])


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a": NaN}', '"\\ud800"', "1e999", '{"a":' * 2000 + "1" + "}" * 2000]
)
def test_hostile_json_is_an_error_at_its_field(text: str):
    answer, wrong = judge(obj(v={"type": "object"}), {"_json:/v": [text]})
    assert len(wrong) == 1
    assert wrong[0].pointer.startswith("/v")
    assert isinstance(answer, dict)
