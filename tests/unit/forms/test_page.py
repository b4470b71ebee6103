"""The drawn page: hostile words stay words, every control has a name, no script and no inline style."""

from __future__ import annotations

import html
from typing import Any

import pytest

from core.errors import Invalid
from core.forms.fields import draw, judge
from core.forms.model import FieldError
from tests.unit.forms.browser import Page, answer_html, draw_html, draw_page

EVIL = "<img src=x onerror=alert(1)>\"'></textarea></script><script>alert(2)</script>{{ 111*111 }}"
LINK = "javascript:alert(3)"

# Every text a stranger can put on the page.
HOSTILE: dict[str, Any] = {
    "type": "object",
    "title": EVIL,
    "description": EVIL,
    "required": [EVIL, "choice"],
    "properties": {
        EVIL: {"type": "string", "title": EVIL, "description": EVIL, "x-hub-help": EVIL, "default": EVIL},
        "no title " + EVIL: {"type": "string", "examples": [EVIL], "pattern": "^(a+)+$"},
        "enum": {"enum": [EVIL, LINK, "b"], "x-hub-enum-titles": [EVIL, "", EVIL]},
        "select": {"enum": [f"{EVIL}{i}" for i in range(9)]},
        "const": {"const": EVIL},
        "tags": {"type": "array", "uniqueItems": True, "items": {"enum": [EVIL, LINK]}, "title": EVIL},
        "rows": {"type": "array", "title": EVIL, "items": {"type": "object", "title": EVIL, "properties": {EVIL: {}}}},
        "pair": {"type": "array", "prefixItems": [{"title": EVIL}, {"type": "string"}]},
        "choice": {"oneOf": [{"title": EVIL, "properties": {"k": {"const": EVIL}}}, {"type": "string"}]},
        "again": {"$ref": "#", "title": EVIL},
        "url": {"type": "string", "format": "uri", "default": LINK},
        "free": {},
    },
}  # fmt: skip
DATA: dict[str, Any] = {
    EVIL: EVIL, "enum": EVIL, "select": f"{EVIL}3", "tags": [EVIL], "rows": [{EVIL: EVIL}], "pair": [EVIL, EVIL],
    "choice": EVIL, "again": {EVIL: EVIL}, "url": LINK, "free": {EVIL: [EVIL]}, "const": EVIL, "odd" + EVIL: EVIL,
}  # fmt: skip


def assert_harmless(text: str) -> Page:
    page = Page(text)
    allowed = {
        "div",
        "p",
        "span",
        "h2",
        "ul",
        "ol",
        "li",
        "a",
        "button",
        "fieldset",
        "legend",
        "label",
        "input",
    }
    allowed |= {"select", "option", "textarea", "dl", "dt", "dd"}
    assert {tag for tag, _ in page.tags} <= allowed
    names = {name for _, given in page.tags for name in given}
    assert not any(name.startswith("on") for name in names)
    assert "style" not in names
    assert all(link.startswith("#") for link in page.attribute("href"))
    assert not page.attribute("src")
    assert "12321" not in text
    return page


@pytest.mark.parametrize("data", [None, DATA])
def test_hostile_words_come_out_escaped(data: dict[str, Any] | None):
    wrong = [
        FieldError(pointer=pointer, message=EVIL, keyword="x")
        for pointer in ("", "/free", "/rows", "/nowhere" + EVIL)
    ]
    text = draw_html(HOSTILE, data, wrong)
    assert_harmless(text)
    assert "<script" not in text
    assert "<img" not in text
    assert html.escape(EVIL, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in text


def test_hostile_posted_texts_come_out_escaped():
    form = {name: [EVIL] for name in draw_page(HOSTILE, DATA).form} | {EVIL: [EVIL], "_rows:/rows": ["2"]}
    answer, wrong = judge(HOSTILE, form)
    assert_harmless(draw_html(HOSTILE, answer, wrong, form))


def test_a_hostile_answer_is_read_as_text():
    text = answer_html(HOSTILE, DATA)
    page = assert_harmless(text)
    assert page.attribute("href") == []
    assert page.text.count(LINK) == 1


def test_an_answer_is_shown_whole_and_in_words():
    schema = {
        "type": "object",
        "properties": {
            "verdict": {
                "enum": ["ok", "no"],
                "x-hub-enum-titles": ["Fine", "Not fine"],
                "title": "Your verdict",
            },
            "tags": {
                "type": "array",
                "uniqueItems": True,
                "items": {"enum": [1, 2], "x-hub-enum-titles": ["One", "Two"]},
            },
            "sure": {"type": "boolean"},
        },
    }
    page = Page(
        answer_html(schema, {"verdict": "no", "tags": [2, 1], "sure": False, "extra_key": {"deep": None}})
    )
    words = [line for line in page.text.splitlines() if line.strip()]
    assert [word.strip() for word in words] == [
        "Your verdictNot fine", "Tags", "Two", "One", "SureNo", "Extra key", "Deep(none)",
    ]  # fmt: skip


@pytest.mark.parametrize("schema", [{"properties": {"a": {"patern": 1}}}, {"type": "string"}])
def test_an_answer_outlives_its_schema(schema: dict[str, Any]):
    with pytest.raises(Invalid):
        draw(schema)
    assert "still here" in answer_html(schema, {"a": "still here"})


def test_every_control_has_a_label_and_every_id_is_used_once():
    page = draw_page(HOSTILE, DATA, [FieldError(pointer="/free", message="Wrong", keyword="x")])
    ids = page.ids()
    assert len(ids) == len(set(ids))
    assert all(place and not set(place) & set(" \t\n") for place in ids)
    labelled = set(page.attribute("for"))
    wrapped = {
        given["id"] for tag, given in page.tags if tag == "input" and given["type"] in {"radio", "checkbox"}
    }
    shown = {
        given["id"]
        for tag, given in page.tags
        if tag in {"select", "textarea"} or (tag == "input" and given["type"] != "hidden")
    }
    assert shown - wrapped == labelled
    for attribute in ("aria-describedby", "aria-labelledby"):
        for value in page.attribute(attribute):
            assert set(value.split()) <= set(ids)
    assert {link[1:] for link in page.attribute("href")} <= set(ids)


def test_errors_are_announced_and_tied_to_their_control():
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "c": {"enum": ["a", "b"]}},
        "required": ["c"],
    }
    answer, wrong = judge(schema, {"/n": ["x"]})
    page = draw_page(schema, answer, wrong, {"/n": ["x"]})
    (summary,) = [given for _, given in page.tags if given.get("role") == "alert"]
    assert summary["tabindex"] == "-1"
    assert "2 answers need another look" in page.text
    (number,) = [given for tag, given in page.tags if given.get("name") == "/n"]
    assert number["aria-invalid"] == "true"
    assert number["aria-describedby"] == f"{number['id']}-error"
    (group,) = [given for _, given in page.tags if given.get("role") == "radiogroup"]
    assert group["aria-invalid"] == "true"
    first = next(given for _, given in page.tags if given.get("name") == "/c")
    assert page.attribute("href") == [f"#{number['id']}", f"#{first['id']}"]


def test_enter_never_presses_a_button_that_changes_the_form():
    page = draw_page(
        {"type": "object", "properties": {"l": {"type": "array", "items": {"type": "string"}}}}, {"l": ["a"]}
    )
    buttons = [given for tag, given in page.tags if tag == "button"]
    assert "name" not in buttons[0]
    assert all("formnovalidate" in given for given in buttons[1:])


def test_big_enough_for_a_thumb():
    page = draw_page(HOSTILE, DATA)
    for tag, given in page.tags:
        if tag in {"select", "textarea"} or (tag == "button" and "name" in given):
            assert "target" in (given["class"] or "").split()
