"""Whatever schema within the profile and whatever answer: what is drawn reads back, the validator agrees with a second
one, and nothing that strangers send raises anything but Invalid."""

from __future__ import annotations

import json
import math
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Invalid
from core.forms.fields import draw, judge, press, read
from core.forms.keywords import ANNOTATIONS, HINTS, KEYWORDS_OF
from core.forms.profile import check
from core.forms.validate import errors
from tests.unit.forms.browser import answer_html, draw_html, draw_page

Schema = dict[str, Any]
Shape = tuple[Schema, st.SearchStrategy[Any]]

LETTERS = st.characters(exclude_categories=("Cs", "Cc"))
KEYS = st.text(LETTERS, min_size=1, max_size=6)
# HTML cannot tell a blank text from none, and posts every line end as CRLF.
WORDS = st.text(LETTERS | st.just("\n"), min_size=1, max_size=12).filter(lambda text: text.strip() != "")
NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def scalars(draw: st.DrawFn) -> Shape:
    choice = draw(
        st.sampled_from(["string", "integer", "number", "boolean", "enum", "const", "date-time", "titled"])
    )
    match choice:
        case "string":
            return {"type": "string"} | draw(
                st.sampled_from([{}, {"maxLength": 500}, {"x-hub-widget": "textarea"}])
            ), WORDS
        case "integer":
            return {"type": "integer"}, st.integers(-(10**30), 10**30)
        case "number":
            return {"type": "number"}, NUMBERS
        case "boolean":
            return {"type": "boolean"}, st.booleans()
        case "date-time":
            return {"type": "string", "format": "date-time"}, st.datetimes().map(
                lambda moment: f"{moment.isoformat()}Z"
            )
        case _:
            plain = st.lists(WORDS | st.just(""), min_size=2, max_size=9, unique=True)
            mixed = st.lists(
                WORDS | st.integers() | st.booleans() | st.none(),
                min_size=2,
                max_size=9,
                unique_by=json.dumps,
            )
            values = draw(plain | mixed)
            if choice == "titled":
                return {
                    "oneOf": [{"const": value, "title": draw(KEYS)} for value in values]
                }, st.sampled_from(values)
            return {"enum": values}, st.sampled_from(values)


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[Shape], tag: Any = None) -> Shape:
    names = draw(st.lists(KEYS, min_size=1, max_size=4, unique=True))
    shapes = {name: draw(inner) for name in names}
    required = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    schema: Schema = {"type": "object", "properties": {name: shape[0] for name, shape in shapes.items()}}
    values = {name: shape[1] for name, shape in shapes.items()}
    if tag is not None:
        schema["properties"] = {"\u200btag": {"const": tag}} | schema["properties"]
        values["\u200btag"] = st.just(tag)
        required = [*required, "\u200btag"]
    schema["required"] = required
    optional = {name: value for name, value in values.items() if name not in required}
    return schema, st.fixed_dictionaries({name: values[name] for name in required}, optional=optional)


@st.composite
def composites(draw: st.DrawFn, inner: st.SearchStrategy[Shape]) -> Shape:
    match draw(st.sampled_from(["object", "array", "checks", "tuple", "tagged", "allOf", "nullable"])):
        case "array":
            schema, value = draw(inner)
            return {"type": "array", "items": schema}, st.lists(value, min_size=1, max_size=4)
        case "checks":
            values = draw(st.lists(WORDS | st.integers(), min_size=2, max_size=6, unique_by=json.dumps))
            picks = st.sets(st.sampled_from(range(len(values))), min_size=1)
            chosen = picks.map(lambda places: [values[place] for place in sorted(places)])
            return {"type": "array", "uniqueItems": True, "items": {"enum": values}}, chosen
        case "tuple":
            shapes = draw(st.lists(inner, min_size=1, max_size=3))
            schema = {"type": "array", "prefixItems": [shape[0] for shape in shapes], "items": False}
            return schema, st.tuples(*(shape[1] for shape in shapes)).map(list)
        case "tagged":
            branches = [draw(objects(inner, tag=tag)) for tag in ("left", "right")]
            return {"oneOf": [branch[0] for branch in branches]}, st.one_of(
                *(branch[1] for branch in branches)
            )
        case "allOf":
            schema, value = draw(objects(inner))
            names = list(schema["properties"])
            half = {
                "type": "object",
                "properties": {name: schema["properties"].pop(name) for name in names[1:]},
            }
            return {"allOf": [schema, half]}, value
        case "nullable":
            schema, value = draw(objects(inner))
            return {"anyOf": [schema, {"type": "null"}]}, value
        case _:
            return draw(objects(inner))


SHAPES = st.recursive(scalars(), composites, max_leaves=6)


@st.composite
def schemas_with_answers(draw: st.DrawFn) -> tuple[Schema, Any]:
    schema, values = draw(objects(SHAPES))
    return schema, draw(values)


@settings(max_examples=50, deadline=None)
@given(schemas_with_answers())
def test_what_is_drawn_reads_back(pair: tuple[Schema, Any]):
    schema, answer = pair
    if errors(schema, answer):  # oneOf may fit twice, titles may repeat: only right answers are drawn
        return
    page = draw_page(schema, answer)
    back, unreadable = read(schema, page.form)
    assert unreadable == []
    assert back == answer
    assert judge(schema, page.form) == (answer, [])
    # Drawn again from what was posted, the page is the same: nothing typed is lost when an error is shown.
    assert draw_page(schema, back, [], page.form).form == page.form


@settings(max_examples=50, deadline=None)
@given(schemas_with_answers())
def test_nothing_is_answered_on_an_untouched_page(pair: tuple[Schema, Any]):
    schema, _ = pair
    page = draw_page(schema)
    answer, unreadable = read(schema, page.form)
    checked = [given for tag, given in page.tags if tag == "input" and "checked" in given]
    assert checked == []
    assert all(error.message == "Required" for error in unreadable)
    assert answer == {} or not _said(answer)


def _said(value: Any) -> bool:
    """Whether an answer states anything but constants that must be there and empty groups."""
    if isinstance(value, dict):
        return any(_said(child) for child in value.values())
    if isinstance(value, list):
        return any(_said(child) for child in value)
    return value is not None and value not in ("left", "right")


def _refusal(schema: Any) -> Invalid | None:
    try:
        check(schema)
    except Invalid as refused:
        return refused
    return None


# --- the second opinion

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, -1.5, 1e10]) | st.sampled_from(["", "a", "ab", "abc", "é日"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
ASSERTIONS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["string", "integer", "number", "boolean", "object", "array", "null"])
    | st.lists(st.sampled_from(["string", "integer", "object", "null"]), min_size=1, unique=True),
    "enum": st.lists(JSON, min_size=1, max_size=3, unique_by=lambda value: json.dumps(value, sort_keys=True)),
    "const": JSON,
    "minimum": st.integers(-5, 5),
    "exclusiveMaximum": st.integers(-5, 5),
    "multipleOf": st.integers(1, 3),
    "minLength": st.integers(0, 3),
    "maxLength": st.integers(0, 3),
    "pattern": st.sampled_from(["^a", "b$", "[a-b]{2}"]),
    "minItems": st.integers(0, 2),
    "maxItems": st.integers(0, 2),
    "uniqueItems": st.booleans(),
    "minProperties": st.integers(0, 2),
    "required": st.lists(st.sampled_from(["a", "b", "c"]), unique=True),
    "dependentRequired": st.just({"a": ["b"]}),
}


def _compounds(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    sub = inner | st.booleans()
    several = st.lists(sub, min_size=1, max_size=3)
    compound = {
        "properties": st.dictionaries(st.sampled_from(["a", "b", "c"]), sub, max_size=3),
        "additionalProperties": sub, "propertyNames": sub, "items": sub, "contains": sub, "prefixItems": several,
        "allOf": several, "anyOf": several, "oneOf": several, "not": sub, "if": sub, "then": sub, "else": sub,
        "dependentSchemas": st.dictionaries(st.sampled_from(["a", "b"]), sub, max_size=2),
        "unevaluatedProperties": sub, "patternProperties": st.dictionaries(st.just("^a"), sub, max_size=1),
    }  # fmt: skip
    return st.fixed_dictionaries({}, optional={**ASSERTIONS, **compound})


SAFE = st.recursive(st.fixed_dictionaries({}, optional=ASSERTIONS), _compounds, max_leaves=5)


@settings(max_examples=120, deadline=None)
@given(SAFE, st.dictionaries(st.sampled_from(["a", "b", "c"]), JSON, max_size=3))
def test_two_validators_agree(schema: Schema, instance: Any):
    if _refusal(schema) is not None:
        return
    oracle = jsonschema.Draft202012Validator(schema)
    assert (errors(schema, instance) == []) == oracle.is_valid(instance)


@settings(max_examples=50, deadline=None)
@given(SAFE, st.dictionaries(st.sampled_from(["a", "b", "c"]), JSON, max_size=3))
def test_any_schema_of_the_profile_is_drawn_with_any_answer(schema: Schema, instance: Any):
    if _refusal(schema) is not None:
        return
    wrong = errors(schema, instance)
    page = draw_page(schema, instance, wrong)
    assert page.text.count("Error: ") <= len(wrong)
    assert not wrong or "another look" in page.text
    read(schema, page.form)
    answer_html(schema, instance)


# --- strangers

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("\ud800") | st.just("#/$defs/a"),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(sorted(KEYWORDS_OF["2020-12"] | ANNOTATIONS | HINTS | {"a", "x-y"})), inner, max_size=4
    ),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(ANYTHING)
def test_no_schema_raises_anything_but_invalid(schema: Any):
    refused = _refusal(schema)
    if refused is None:
        draw_html(schema, {})
        return
    assert refused.code == "output_schema_invalid"
    assert refused.field_errors
    assert all(place.startswith("outputSchema") and fix for place, fix in refused.field_errors.items())


@settings(max_examples=50, deadline=None)
@given(schemas_with_answers(), st.data())
def test_no_posted_form_raises(pair: tuple[Schema, Any], data: st.DataObject):
    schema, answer = pair
    form = dict(draw_page(schema, answer).form)
    names = (
        st.sampled_from(sorted(form))
        | st.text(max_size=6)
        | st.sampled_from(["_json:", "_more:", "_rows:", "_branch:"])
    )
    texts = st.text(max_size=10) | st.sampled_from(
        ["\ud800", "\x00", "NaN", "9" * 5000, "[" * 5000, "-1", "1e999", "99"]
    )
    form |= data.draw(st.dictionaries(names, st.lists(texts, max_size=3), max_size=6))
    back, wrong = judge(schema, form)
    _assert_json(back)
    page = draw_page(schema, back, wrong, form)
    for button in page.buttons[:3]:
        pressed = press(form | {button: ["1"]})
        assert pressed is not None
        draw(schema, read(schema, pressed)[0], (), pressed)


def _assert_json(value: Any) -> None:
    match value:
        case dict():
            for key, child in value.items():
                assert isinstance(key, str)
                _assert_json(child)
        case list():
            for child in value:
                _assert_json(child)
        case float():
            assert math.isfinite(value)
        case _:
            assert value is None or isinstance(value, str | int)
