"""Conditions, alternatives and the guards of a posted form."""

from __future__ import annotations

import pytest

from core.errors import Invalid
from core.forms import fields
from core.forms.fields import draw, judge, press, read
from core.forms.model import Field, FieldError
from tests.unit.forms.browser import draw_page
from tests.unit.forms.shapes import obj

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
