"""`hitl_schema` and `seconds_between`: the answer form and the deadline of a Fin procedure."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.expression_functions import MAX_HITL_ATTRIBUTES, hitl_schema, seconds_between
from connectors.expressions import Expression
from core.errors import Misconfigured
from core.forms.profile import check

OPTIONS = [{"id": "o1", "label": "Defective Product"}, {"id": "o2", "label": "Changed Mind"}, {"id": "o3"}]


def attribute(kind: object, **members: object) -> dict[str, object]:
    return {
        "type": "data_attribute",
        "identifier": f"v.{kind}",
        "label": f"The {kind}",
        "data_type": kind,
        **members,
    }


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        (attribute("boolean"), {"title": "The boolean", "type": "boolean"}),
        (attribute("string"), {"title": "The string", "type": "string", "minLength": 1, "maxLength": 10_000}),
        (attribute("integer"), {"title": "The integer", "type": "integer"}),
        (attribute("decimal"), {"title": "The decimal", "type": "number"}),
        (attribute("datetime"), {"title": "The datetime", "type": "string", "format": "date-time"}),
        (attribute("new"), {"title": "The new", "type": "string", "minLength": 1, "maxLength": 10_000}),
        (
            attribute("list", options=OPTIONS),
            {
                "title": "The list",
                "type": "string",
                "enum": ["o1", "o2", "o3"],
                "x-hub-enum-titles": ["Defective Product", "Changed Mind", "o3"],
            },
        ),
        ({"identifier": "a", "data_type": "boolean"}, {"type": "boolean"}),
    ],
)
def test_each_data_type(given: dict[str, object], schema: dict[str, Any]) -> None:
    found = hitl_schema([given])
    assert found == {
        "type": "object",
        "properties": {given["identifier"]: schema},
        "required": [given["identifier"]],
        "additionalProperties": False,
    }
    check(found)  # the profile of the hub's answer schemas takes it


@pytest.mark.parametrize("nothing", [None, [], {}, "x", [None, 3, {"identifier": ""}, {"identifier": 3}]])
def test_nothing_to_collect(nothing: object) -> None:
    assert hitl_schema(nothing) is None


def test_hostile_attributes_stay_within_the_profile() -> None:
    hostile = [
        attribute(
            "list", options=[{"id": "x" * 50, "label": "<b>" + "y" * 10_000}, "no", {"label": "no id"}]
        ),
        attribute({"deep": [1]}, identifier="$ref"),
        attribute("boolean", identifier="__proto__", label=["a", "list"]),
        attribute("list", identifier="v.empty", options=[]),
    ]
    found = hitl_schema(hostile)
    assert found is not None
    assert len(found["properties"]["v.list"]["x-hub-enum-titles"][0]) == 200
    check(found)
    many = hitl_schema([attribute("boolean", identifier=f"v{n}") for n in range(1_000)])
    assert many is not None
    assert len(many["properties"]) == MAX_HITL_ATTRIBUTES
    check(many)


@pytest.mark.parametrize(
    ("start", "end", "margin", "seconds"),
    [
        (1_700_000_000, 1_700_086_400, 0, 86_400),
        (1_700_000_000, 1_700_086_400, 300, 86_100),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00+00:00", 0, 60),
        (1_700_000_000, "2023-11-14T22:13:30Z", 0, 10),
        (100, 40, 0, -60),
        (None, 40, 0, None),
        (40, None, 0, None),
        (40, "soon", 0, None),
        (True, 40, 0, None),
    ],
)
def test_seconds_between(start: object, end: object, margin: int, seconds: int | None) -> None:
    assert seconds_between(start, end, margin) == seconds


def test_both_in_expressions() -> None:
    document = {"item": {"at": 100, "end": 4_000, "never": None, "attributes": [attribute("boolean")]}}

    def search(source: str) -> Any:
        return Expression(source).search(document, "here")

    assert search("seconds_between(item.at, item.end)") == 3_900
    assert search("seconds_between(item.at, item.end, `900`)") == 3_000
    assert search("seconds_between(item.at, item.never) || `60`") == 60
    assert search("max([`60`, min([seconds_between(item.at, item.end, `300`), `1800`])])") == 1_800
    assert search("hitl_schema(item.attributes).required") == ["v.boolean"]
    with pytest.raises(Misconfigured):
        search("seconds_between(item.at)")
