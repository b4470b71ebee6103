"""Which answer schemas are taken, and that a refusal names the place and the fix."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import Invalid
from core.forms import profile
from core.forms.profile import check


def refusal(schema: object) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        check(schema)
    assert caught.value.code == "output_schema_invalid"
    return caught.value.field_errors


def doubling(levels: int) -> dict[str, Any]:
    """`allOf` of two references, nested: 2^levels evaluations of one value."""
    defs: dict[str, Any] = {"d0": {"type": "object"}}
    for level in range(1, levels + 1):
        defs[f"d{level}"] = {"allOf": [{"$ref": f"#/$defs/d{level - 1}"}, {"$ref": f"#/$defs/d{level - 1}"}]}
    return {"$defs": defs, "$ref": f"#/$defs/d{levels}"}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {"properties": {"a": schema}}
    return schema


def test_no_schema_means_any_object():
    assert check(None).root == {"type": "object"}


def test_schema_and_id_are_taken_off_and_order_is_kept():
    compiled = check(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$id": "https://example.org/a",
            "type": "object",
        }
        | {"properties": {"b": True, "a": True}}
    )
    assert compiled.draft == "draft-07"
    assert list(compiled.root) == ["type", "properties"]
    assert list(compiled.root["properties"]) == ["b", "a"]


def test_equal_schemas_are_compiled_once():
    schema = {"type": "object", "title": "compiled once"}
    assert check(schema) is check(dict(schema))
    assert check(schema).digest != check(schema | {"title": "another"}).digest


def test_a_pydantic_schema_is_taken():
    """The shape pydantic 2 writes for a tagged union (docs.pydantic.dev, "Discriminated unions")."""
    check(
        {
            "$defs": {
                "Cat": {
                    "properties": {
                        "pet": {"const": "cat", "default": "cat", "title": "Pet", "type": "string"}
                    },
                    "title": "Cat",
                    "type": "object",
                },
                "Dog": {
                    "properties": {"pet": {"const": "dog", "title": "Pet"}},
                    "title": "Dog",
                    "type": "object",
                },
            },
            "properties": {
                "pet": {
                    "discriminator": {"mapping": {"cat": "#/$defs/Cat"}, "propertyName": "pet"},
                    "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
                },
                "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            },
            "required": ["pet"],
            "type": "object",
        }
    )


@pytest.mark.parametrize(
    ("schema", "pointer", "says"),
    [
        (True, "", "must be a JSON object"),
        ([], "", "must be a JSON object"),
        ({"type": "string"}, "", "must admit an object"),
        ({"enum": ["a"]}, "", "must admit an object"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "array"}}}, "", "must admit an object"),
        ({"allOf": [{"type": "object"}, {"type": "array"}]}, "", "must admit an object"),
        ({"anyOf": [{"type": "string"}, False]}, "", "must admit an object"),
        ({"properties": {"a": {"patern": "x"}}}, "/properties/a/patern", "did you mean pattern?"),
        ({"properties": {"a": {"nullable": True}}}, "/properties/a/nullable", '["string", "null"]'),
        ({"properties": {"a": {"$anchor": "x"}}}, "/properties/a/$anchor", "#/$defs/name"),
        ({"$dynamicRef": "#x"}, "/$dynamicRef", "write $ref"),
        ({"dependencies": {}}, "/dependencies", "dependentRequired"),
        ({"x-hub-wodget": "radio"}, "/x-hub-wodget", "did you mean x-hub-widget?"),
        (
            {"properties": {"a/b": {"x-hub-widget": "map"}}},
            "/properties/a~1b/x-hub-widget",
            "radio, select, textarea",
        ),
        ({"x-hub-widget": {}}, "/x-hub-widget", "radio, select, textarea"),
        ({"x-hub-order": ["a", 1]}, "/x-hub-order", "list of property names"),
        ({"x-hub-help": 1}, "/x-hub-help", "must be a text"),
        ({"x-hub-enum-titles": {"a": 1}}, "/x-hub-enum-titles", "list of titles"),
        ({"properties": {"a": {"type": "nope"}}}, "/properties/a/type", "one of string, number"),
        ({"properties": {"a": 3}}, "/properties/a", "must be a schema"),
        ({"properties": [1]}, "/properties", "must be an object"),
        ({"required": "a"}, "/required", "must be a list"),
        ({"enum": 1}, "/enum", "must be a list"),
        ({"allOf": {}}, "/allOf", 'not of type "array"'),
        ({"minLength": -1}, "/minLength", "less than the minimum of 0"),
        ({"title": "a\x00b"}, "/title", "NUL"),
        ({"properties": {"a\nb": {}}}, "/properties", "control character"),
        ({"maximum": 10**400}, "/maximum", "more than 40 digits"),
        ({"maximum": 10**5000}, "", "is not JSON"),
        ({"const": float("nan")}, "", "is not JSON"),
        ({"title": "\ud800"}, "", "is not JSON"),
        ({"title": {1, 2}}, "", "is not JSON"),
        ({"title": "x" * 70_000}, "", "at most 65536"),
        ({"properties": {f"p{i}": {} for i in range(201)}}, "", "at most 200"),
        ({"allOf": [{"pattern": f"a{i}"} for i in range(41)]}, "", "at most 40"),
        ({"allOf": [{} for _ in range(2500)]}, "/allOf/1999", "more than 2000 subschemas"),
        (nested(9), "/properties/a" * 9, "more than 8 levels"),
        (nested(5000), "", "levels deep"),
    ],
)
def test_refusals(schema: object, pointer: str, says: str):
    errors = refusal(schema)
    assert list(errors) == [f"outputSchema{pointer}"]
    assert says in errors[f"outputSchema{pointer}"]


def test_all_problems_are_told_at_once():
    schema = {"properties": {f"p{i}": {"oops": 1} for i in range(5)}}
    assert list(refusal(schema)) == [f"outputSchema/properties/p{i}/oops" for i in range(5)]


@pytest.mark.parametrize(
    "reference",
    [
        "http://169.254.169.254/latest",
        "https://example.org/s",
        "file:///etc/hostname",
        "other.json",
        "#anchor",
        5,
    ],
)
def test_only_local_references(reference: object):
    errors = refusal({"type": "object", "properties": {"a": {"$ref": reference}}})
    assert list(errors) == ["outputSchema/properties/a/$ref"]


def test_unknown_draft_and_nested_ids_are_refused_before_anything_is_fetched():
    assert list(refusal({"$schema": "http://169.254.169.254/meta"})) == ["outputSchema/$schema"]
    assert list(refusal({"$schema": ["x"]})) == ["outputSchema/$schema"]
    assert list(refusal({"$defs": {"a": {"$id": "http://x/"}}})) == ["outputSchema/$defs/a/$id"]


def test_a_reference_must_lead_to_a_subschema():
    schema = {"properties": {"a": {"$ref": "#/examples/0"}}, "examples": [{"pattern": "(?=x)"}]}
    assert list(refusal(schema)) == ["outputSchema/properties/a/$ref"]
    check({"properties": {"a": {"$ref": "#/$defs/a%20b~1c"}}, "$defs": {"a b/c": {"type": "string"}}})


def test_a_reference_must_not_lead_back_to_itself():
    assert "leads back to itself" in refusal({"$ref": "#"})["outputSchema/$ref"]
    mutual = {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}}
    assert "leads back to itself" in next(iter(refusal(mutual).values()))
    check({"type": "object", "properties": {"next": {"$ref": "#"}}})


@pytest.mark.parametrize(
    "pattern", ["(?=a)", "(?<!a)b", r"(a)\1", "a{1000}{1000}", "(", r"(\w{0,100}){0,20}x"]
)
@pytest.mark.parametrize("keyword", ["pattern", "patternProperties"])
def test_patterns_that_are_not_linear_are_refused(pattern: str, keyword: str):
    schema = {"pattern": pattern} if keyword == "pattern" else {"patternProperties": {pattern: {}}}
    assert "linear time" in next(iter(refusal({"properties": {"a": schema}}).values()))


@pytest.mark.parametrize("pattern", ["^(a+)+$", r"^[\w .-]{1,200}$", r"^[A-Z]{2}\d{6}$", "[ab]*a[ab]{60}$"])
def test_linear_patterns_are_taken(pattern: str):
    check({"properties": {"a": {"pattern": pattern}}})


def test_references_that_double_are_refused():
    assert "expand to more than" in next(iter(refusal(doubling(20)).values()))
    check(doubling(10))


def test_nested_unevaluated_properties_are_refused():
    """jsonschema-rs 0.60 took 7 s for 20 levels of these."""
    schema: dict[str, Any] = {"type": "object"}
    for level in range(20):
        schema = {"allOf": [schema], "properties": {f"p{level}": True}, "unevaluatedProperties": False}
    assert "expand to more than" in next(iter(refusal(schema).values()))


def test_recursion_is_measured_by_depth():
    tree = check({"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}})
    assert set(tree.visits[""]) == {1, 2}
    either = {"$ref": "#/$defs/n"}
    wild = check(
        {
            "$defs": {"n": {"type": "object", "additionalProperties": {"anyOf": [either, either]}}},
            "$ref": "#/$defs/n",
        }
    )
    assert wild.visits[""][:5] == (2, 5, 10, 20, 40)


def test_keywords_of_another_draft_are_refused_not_ignored():
    schema = {"$schema": "http://json-schema.org/draft-07/schema", "type": "object", "dependentRequired": {}}
    assert "not part of JSON Schema draft-07" in refusal(schema)["outputSchema/dependentRequired"]
    beside = {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {}}}
    beside |= {"properties": {"a": {"$ref": "#/definitions/a", "minLength": 3, "title": "kept"}}}
    assert "draft-07 ignores minLength beside $ref" in refusal(beside)["outputSchema/properties/a/$ref"]


def test_annotations_are_tolerated():
    check(
        {
            "title": "t",
            "description": "d",
            "default": {},
            "examples": [1],
            "$comment": "c",
            "deprecated": True,
        }
        | {
            "readOnly": True,
            "writeOnly": False,
            "x-anything": {"a": [1]},
            "x-hub-help": "h",
            "x-hub-order": ["b"],
        }
    )


def test_a_refused_schema_is_never_cached():
    before = profile._compile.cache_info().currsize
    refusal({"type": "string", "title": "not cached"})
    assert profile._compile.cache_info().currsize == before


def test_the_public_examples_pass():
    """The schemas of the published API description's examples."""
    schema = {"type": "object", "required": ["eligible", "reason_code"]}
    schema |= {"properties": {"eligible": {"type": "boolean"}, "reason_code": {"type": "string"}}}
    assert json.loads(json.dumps(check(schema).root)) == schema
