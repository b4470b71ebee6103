"""Schema to fields, fields to page, page back to answer: one place for each way a schema can ask."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import Invalid
from core.forms import fields
from core.forms.fields import draw, judge, press, read
from core.forms.model import Field, FieldError
from tests.unit.forms.browser import draw_page


def obj(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required or []}


def only(schema: dict[str, Any], *, required: bool = True, data: Any = None) -> Field:
    """The one field of an object with the property `v`."""
    root = draw(obj(["v"] if required else [], v=schema), data)
    (field,) = root.children
    return field


def through(schema: dict[str, Any], value: Any, *, required: bool = True) -> Any:
    """The value after it was drawn on a page and posted back untouched."""
    whole = obj(["v"] if required else [], v=schema)
    answer, wrong = read(whole, draw_page(whole, {"v": value}).form)
    assert wrong == []
    assert isinstance(answer, dict)
    return answer["v"]


def posted(schema: dict[str, Any], text: str) -> Any:
    """What one posted text becomes, or the message when it could not be read."""
    answer, wrong = read(obj(["v"], v=schema), {"/v": [text]})
    assert isinstance(answer, dict)
    return wrong[0].message if wrong else answer.get("v", "(missing)")


# --- which control


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


# --- texts and back


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


# --- groups, lists, presence


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


# --- conditions and alternatives

REFUND = {
    **obj(
        ["verdict"],
        verdict={"enum": ["approve", "reject"]},
        amount={"type": "integer"},
        note={"type": "string"},
    ),
    "allOf": [
        {
            "if": {"properties": {"verdict": {"const": "reject"}}, "required": ["verdict"]},
            "then": {"properties": {"reason": {"type": "string"}}, "required": ["reason"]},
            "else": {"properties": {"sure": {"type": "boolean"}}},
        }
    ],
    "dependentRequired": {"amount": ["currency"]},
    "dependentSchemas": {"amount": {"properties": {"currency": {"enum": ["USD", "EUR"]}}}},
}


def names(root: Field) -> list[str]:
    return [child.name for child in root.children]


def test_conditions_follow_the_answer_so_far():
    assert names(draw(REFUND)) == ["/verdict", "/amount", "/note", "/sure"]
    assert names(draw(REFUND, {"verdict": "reject"})) == ["/verdict", "/amount", "/note", "/reason"]
    assert "/currency" in names(draw(REFUND, {"amount": 5}))
    assert [child.live for child in draw(REFUND).children] == [True, True, False, False]


def test_reading_follows_conditions_and_ignores_what_they_hide():
    form = {
        "/verdict": ["reject"],
        "/reason": ["broken"],
        "/sure": ["true"],
        "/amount": ["5"],
        "/currency": ["EUR"],
    }
    assert judge(REFUND, form) == (
        {"verdict": "reject", "amount": 5, "reason": "broken", "currency": "EUR"},
        [],
    )
    answer, wrong = judge(REFUND, {"/verdict": ["reject"], "/amount": ["5"]})
    assert answer == {"verdict": "reject", "amount": 5}
    assert sorted(error.pointer for error in wrong) == ["/currency", "/reason"]


PAY = {
    "oneOf": [
        {**obj(["how", "iban"], how={"const": "bank"}, iban={"type": "string"}), "title": "Bank"},
        {"$ref": "#/$defs/Lightning"},
    ]
}
WITH_PAY = obj(["pay"], pay=PAY) | {
    "$defs": {"Lightning": obj(["how", "address"], how={"const": "ln"}, address={"type": "string"})}
}


def test_alternatives_are_chosen_first():
    (choice,) = draw(WITH_PAY).children
    assert choice.kind == "choice"
    assert [(option.value, option.label) for option in choice.children[0].options] == [
        ("0", "Bank"),
        ("1", "Ln"),
    ]
    assert judge(WITH_PAY, {}) == ({}, [FieldError(pointer="/pay", message="Required", keyword="required")])
    assert read(WITH_PAY, {"_branch:/pay": ["1"], "/pay/address": ["a@b"], "/pay/iban": ["stale"]}) == (
        {"pay": {"how": "ln", "address": "a@b"}},
        [],
    )
    assert draw(WITH_PAY, None, (), {"_branch:/pay": ["0"]}).children[0].label == "Pay"
    answer, wrong = judge(WITH_PAY, {"_branch:/pay": ["0"]})
    assert answer == {"pay": {"how": "bank"}}
    assert [error.pointer for error in wrong] == ["/pay/iban"]


def test_the_alternative_of_an_answer_is_found_again():
    for pay in ({"how": "ln", "address": "a@b"}, {"how": "bank", "iban": "DE00"}, {"how": "ln"}):
        assert read(WITH_PAY, draw_page(WITH_PAY, {"pay": pay}).form)[0] == {"pay": pay}


def test_an_error_of_an_unmade_choice_leads_to_its_first_control():
    answer, wrong = judge(WITH_PAY, {})
    root = draw(WITH_PAY, answer, wrong)
    assert fields.summary(root) == [(root.children[0].children[0].id, "Kind", "Required")]


def test_either_mail_or_phone_is_not_a_choice():
    schema = obj(mail={"type": "string"}, phone={"type": "string"}) | {
        "anyOf": [{"required": ["mail"]}, {"required": ["phone"]}]
    }
    assert names(draw(schema)) == ["/mail", "/phone"]
    _, wrong = judge(schema, {})
    assert [error.message for error in wrong] == ["Fill in at least one of: mail, phone"]


def test_allof_is_merged():
    schema = {
        "allOf": [
            obj(["a"], a={"type": "string"}),
            {"properties": {"a": {"maxLength": 3}, "b": {"type": "integer"}}, "required": ["b"]},
        ]
    }
    root = draw(schema)
    assert [(field.name, field.required, field.help) for field in root.children] == [
        ("/a", True, "At most 3 characters."),
        ("/b", True, ""),
    ]


def test_a_choice_at_the_root_and_two_at_one_place():
    schema = {
        "type": "object",
        "oneOf": [
            obj(["a"], a={"const": 1}, x={"type": "string"}),
            obj(["a"], a={"const": 2}, y={"type": "string"}),
        ],
        "anyOf": [obj(p={"type": "integer"}), obj(q={"type": "integer"})],
    }
    form = {"_branch:": ["1"], "/y": ["why"], "_branch1:": ["0"], "/p": ["4"]}
    assert read(schema, form) == ({"a": 2, "y": "why", "p": 4}, [])
    page = draw_page(schema, {"a": 2, "y": "why", "p": 4})
    assert page.form == form


# --- guards


def test_unknown_names_are_ignored_and_too_many_refused():
    assert read(obj(a={"type": "string"}), {"/a": ["x"], "/b": ["y"], "_csrf": ["z"], "/a/0": ["w"]}) == (
        {"a": "x"},
        [],
    )
    for form in ({f"/{i}": ["x"] for i in range(2001)}, {"/a": ["x"] * 2001}, {"/a": ["x" * 300_000]}):
        for read_it in (lambda form=form: read(None, form), lambda form=form: press(form)):
            with pytest.raises(Invalid) as caught:
                read_it()
            assert caught.value.code == "form_too_large"


def test_what_was_typed_is_drawn_again():
    schema = obj(["n"], n={"type": "integer"}, d={"type": "string", "format": "date"})
    form = {"/n": ["twelve"], "/d": ["tomorrow"]}
    answer, wrong = judge(schema, form)
    page = draw_page(schema, answer, wrong, form)
    assert page.form == form
    assert "Must be a whole number, in digits only" in page.text


def test_an_error_without_a_field_is_told_at_the_group_around_it():
    schema = obj(g=obj(a={"type": "string"}))
    wrong = [FieldError(pointer="/g/odd/0", message="Not expected here", keyword="additionalProperties")]
    root = draw(schema, {}, wrong)
    assert root.children[0].errors == ("odd/0: Not expected here",)
