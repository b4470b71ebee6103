"""Groups, lists and recursion: what is present, rows without script, errors at their row."""

from __future__ import annotations

from typing import Any

import pytest

from core.forms import fields
from core.forms.fields import draw, judge, press, read
from tests.unit.forms.browser import draw_page
from tests.unit.forms.shapes import obj, only


def test_blank_optional_parts_are_missing_and_required_ones_are_told():
    address = obj(["street"], street={"type": "string"}, zip={"type": "string"})
    schema = obj(["home"], home=address, work=address)
    answer, wrong = judge(schema, draw_page(schema).form)
    assert answer == {"home": {}}
    assert [error.pointer for error in wrong] == ["/home/street"]


def test_a_nullable_group_left_blank_is_null_when_required():
    person = {"anyOf": [obj(name={"type": "string"}), {"type": "null"}]}
    schema = obj(["a"], a=person, b=person)
    assert judge(schema, draw_page(schema).form) == ({"a": None}, [])


def test_a_constant_alone_does_not_make_an_optional_group_present():
    schema = obj(home=obj(["kind"], kind={"const": "home"}, street={"type": "string"}))
    assert read(schema, draw_page(schema).form) == ({}, [])
    assert read(schema, {"/home/street": ["Main St"]}) == (
        {"home": {"kind": "home", "street": "Main St"}},
        [],
    )


def test_rows_are_added_and_removed_without_script():
    schema = obj(
        lines={"type": "array", "maxItems": 3, "items": obj(sku={"type": "string"}, qty={"type": "integer"})}
    )
    page = draw_page(schema)
    assert page.form == {"_rows:/lines": ["0"]}
    assert page.buttons == ["_add:/lines"]
    form = page.form
    for sku in ("A", "B", "C"):
        pressed = press(form | {"_add:/lines": ["1"]})
        assert pressed is not None
        page = draw_page(schema, read(schema, pressed)[0], (), pressed)
        number = len(page.form) // 2 - 1
        form = page.form | {f"/lines/{number}/sku": [sku], f"/lines/{number}/qty": [str(number)]}
    assert "_add:/lines" not in page.buttons
    pressed = press(form | {"_remove:/lines/1": ["1"]})
    assert pressed is not None
    assert read(schema, pressed) == ({"lines": [{"sku": "A", "qty": 0}, {"sku": "C", "qty": 2}]}, [])
    assert press(form) is None


def test_removing_a_row_keeps_everything_else():
    form = {
        "_rows:/l": ["3"], "/l/0/a": ["0"], "/l/1/a": ["1"], "/l/2/a": ["2"], "_rows:/l/2/sub": ["1"],
        "/l/2/sub/0": ["x"], "_branch:/l/2/how": ["1"], "/l10/1": ["other"], "/lx": ["y"], "_remove:/l/1": [""],
    }  # fmt: skip
    assert press(form) == {
        "_rows:/l": ["2"], "/l/0/a": ["0"], "/l/1/a": ["2"], "_rows:/l/1/sub": ["1"], "/l/1/sub/0": ["x"],
        "_branch:/l/1/how": ["1"], "/l10/1": ["other"], "/lx": ["y"],
    }  # fmt: skip


@pytest.mark.parametrize(
    "button",
    [
        "_add:",
        "_remove:",
        "_remove:/l/9",
        "_remove:/l/x",
        "_add:/none",
        "_refresh",
        "_remove:/l/" + "9" * 5000,
    ],
)
def test_odd_buttons_do_no_harm(button: str):
    pressed = press({"_rows:/l": ["1"], "/l/0": ["a"], button: [""]})
    assert pressed is not None
    assert pressed["_rows:/l"] == ["1"]
    assert pressed["/l/0"] == ["a"]


def test_blank_rows_are_left_out_and_errors_stay_at_their_row():
    schema = obj(l={"type": "array", "items": obj(["n"], n={"type": "integer"}, t={"type": "string"})})
    form = {"_rows:/l": ["3"], "/l/0/n": [" "], "/l/1/n": ["1"], "/l/2/n": ["x"], "/l/2/t": ["t"]}
    answer, wrong = judge(schema, form)
    assert answer == {"l": [{"n": 1}, {"t": "t"}]}
    assert [error.pointer for error in wrong] == ["/l/1/n"]
    root = draw(schema, answer, wrong, form)
    marked = {child.name for row in root.children[0].children for child in row.children if child.errors}
    assert marked == {"/l/2/n"}
    assert fields.summary(root) == [
        (root.children[0].children[2].children[0].id, "N", "Must be a whole number, in digits only")
    ]


def test_required_lists_start_with_the_rows_they_need():
    assert len(only({"type": "array", "items": {"type": "string"}, "minItems": 3}).children) == 3
    assert len(only({"type": "array", "items": {"type": "string"}}).children) == 1
    assert len(only({"type": "array", "items": {"type": "string"}}, required=False).children) == 0
    schema = obj(["v"], v={"type": "array", "items": {"type": "string"}, "minItems": 2})
    answer, wrong = judge(schema, draw_page(schema).form)
    assert answer == {"v": []}
    assert [error.message for error in wrong] == ["Give at least 2"]


def test_places_of_a_tuple_keep_their_position():
    point = {
        "type": "array",
        "prefixItems": [{"type": "number"}, {"type": "number"}],
        "items": False,
        "minItems": 2,
    }
    answer, wrong = judge(obj(["p"], p=point), {"/p/0": [""], "/p/1": ["2"]})
    assert answer == {"p": [None, 2]}
    assert [(error.pointer, error.message) for error in wrong] == [("/p/0", "Required")]
    assert read(obj(p=point), {"/p/0": [""], "/p/1": [""]}) == ({}, [])


def test_recursion_is_opened_step_by_step():
    schema = obj(name={"type": "string"}, next={"$ref": "#"})
    page = draw_page(schema)
    assert page.buttons == ["_add:/next"]
    pressed = press(page.form | {"/name": ["a"], "_add:/next": [""]})
    assert pressed is not None
    page = draw_page(schema, read(schema, pressed)[0], (), pressed)
    assert page.form == {"/name": ["a"], "_open:/next": ["1"], "/next/name": [""]}
    assert read(schema, page.form | {"/next/name": ["b"]}) == ({"name": "a", "next": {"name": "b"}}, [])
    closed = press(page.form | {"_remove:/next": [""]})
    assert closed == {"/name": ["a"]}
    deep = {"name": "a", "next": {"name": "b", "next": {"name": "c"}}}
    assert read(schema, draw_page(schema, deep).form) == (deep, [])


def test_a_tree_of_lists_is_drawn_as_deep_as_its_data():
    schema = obj(["v"], v={"type": "string"}, kids={"type": "array", "items": {"$ref": "#"}})
    tree: dict[str, Any] = {"v": "a", "kids": [{"v": "b", "kids": [{"v": "c"}, {"v": "d"}]}]}
    assert read(schema, draw_page(schema, tree).form) == (tree, [])


def test_a_schema_too_wide_to_draw_ends_in_json_and_still_reads_back():
    defs: dict[str, Any] = {"d0": {"type": "string"}}
    for level in range(1, 8):
        defs[f"d{level}"] = obj(**{f"p{i}": {"$ref": f"#/$defs/d{level - 1}"} for i in range(6)})
    schema = {"$defs": defs, "$ref": "#/$defs/d7"}
    data = {"p5": {"p5": {"p5": {"p5": {"p5": {"p5": {"p5": "deep"}}}}}}}
    page = draw_page(schema, data)
    assert len(page.form) < 700
    assert read(schema, page.form) == (data, [])


def test_more_than_the_rows_of_a_page_become_json():
    schema = obj(l={"type": "array", "items": {"type": "integer"}})
    data = {"l": list(range(150))}
    page = draw_page(schema, data)
    assert list(page.form) == ["_json:/l"]
    assert read(schema, page.form) == (data, [])
