"""Which control a schema gets, and its words; nothing preselected."""

from __future__ import annotations

from typing import Any

import pytest

from core.forms.fields import draw, read
from tests.unit.forms.browser import draw_page
from tests.unit.forms.shapes import obj, only


@pytest.mark.parametrize(
    ("schema", "kind", "input_type"),
    [
        ({"type": "string"}, "input", "text"),
        ({"type": "string", "maxLength": 500}, "textarea", "text"),
        ({"type": "string", "minLength": 80}, "textarea", "text"),
        ({"type": "string", "x-hub-widget": "textarea"}, "textarea", "text"),
        ({"type": "string", "format": "date"}, "input", "date"),
        ({"type": "string", "format": "date-time"}, "input", "datetime-local"),
        ({"type": "string", "format": "time"}, "input", "time"),
        ({"type": "string", "format": "email"}, "input", "email"),
        ({"type": "string", "format": "uri"}, "input", "url"),
        ({"type": "string", "format": "uuid"}, "input", "text"),
        ({"type": "integer"}, "input", "text"),
        ({"type": "number"}, "input", "text"),
        ({"type": "boolean"}, "radio", "text"),
        ({"enum": ["a", "b"]}, "radio", "text"),
        ({"enum": list("abcdefg")}, "radio", "text"),
        ({"enum": list("abcdefgh")}, "select", "text"),
        ({"enum": list("abcdefgh"), "x-hub-widget": "radio"}, "radio", "text"),
        ({"enum": ["a", "b"], "x-hub-widget": "select"}, "select", "text"),
        ({"oneOf": [{"const": 1, "title": "One"}, {"const": 2}]}, "radio", "text"),
        ({"const": "x"}, "const", "text"),
        ({"const": True}, "checkbox", "text"),
        ({"type": "null"}, "const", "text"),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True}, "checks", "text"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, "list", "text"),
        ({"type": "array", "items": {"type": "string"}}, "list", "text"),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, "tuple", "text"),
        ({"type": "array"}, "json", "text"),
        ({"type": "object"}, "json", "text"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "json", "text"),
        ({}, "json", "text"),
        ({"type": ["string", "integer"]}, "choice", "text"),
        ({"type": ["string", "null"]}, "input", "text"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "input", "text"),
        ({"minLength": 3}, "input", "text"),
        ({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}, "choice", "text"),
    ],
)
def test_controls(schema: dict[str, Any], kind: str, input_type: str):
    field = only(schema)
    assert (field.kind, field.input_type) == (kind, input_type)


def test_a_false_schema_is_not_drawn():
    assert [child.name for child in draw(obj(a=False, b=True)).children] == ["_json:/b"]


def test_nothing_is_preselected_and_no_default_is_applied():
    schema = obj(
        ["verdict", "score", "ok", "kind"],
        verdict={"enum": ["approve", "reject"], "default": "approve"},
        score={"type": "integer", "default": 0},
        ok={"type": "boolean", "default": True},
        long={"enum": list("abcdefghi"), "default": "a"},
        many={"type": "array", "uniqueItems": True, "items": {"enum": ["x", "y"]}, "default": ["x"]},
        kind={"oneOf": [obj(a={"type": "string"}), obj(b={"type": "string"})], "default": {"a": "x"}},
        agree={"const": True, "default": True},
    )
    page = draw_page(schema)
    assert page.form == {"/score": [""], "/long": [""]}
    assert read(schema, page.form) == ({}, [])


def test_labels_help_and_order():
    schema = obj(
        refund_reason={"type": "string", "description": "Why?", "maxLength": 20},
        maxAmountUSD={"type": "integer", "minimum": 0, "maximum": 10, "x-hub-help": "In cents."},
        z={"type": "string", "title": " Zed "},
    )
    root = draw(schema | {"x-hub-order": ["z", "unknown"]})
    assert [(field.label, field.help) for field in root.children] == [
        ("Zed", ""),
        ("Refund reason", "Why? At most 20 characters."),
        ("Max amount USD", "In cents. From 0 to 10."),
    ]
    assert root.children[2].attributes == {"autocomplete": "off", "inputmode": "numeric"}
    assert "inputmode" not in only({"type": "integer", "minimum": -5}).attributes


def test_enum_titles_by_list_by_value_and_by_oneof():
    by_list = only({"enum": ["a", "b"], "x-hub-enum-titles": ["Yes please", ""]})
    by_value = only({"enum": [1, 2], "x-hub-enum-titles": {"2": "Two"}})
    by_const = only({"oneOf": [{"const": 1, "title": "One"}, {"const": 2}]})
    assert [option.label for option in by_list.options] == ["Yes please", "b"]
    assert [option.label for option in by_value.options] == ["1", "Two"]
    assert [option.label for option in by_const.options] == ["One", "2"]


def test_a_reference_takes_the_words_beside_it():
    schema = obj(a={"$ref": "#/$defs/x", "title": "Outer"}) | {
        "$defs": {"x": {"type": "string", "title": "Inner", "description": "Help"}}
    }
    (field,) = draw(schema).children
    assert (field.label, field.help) == ("Outer", "Help")
