"""What a browser does with the form page, without a browser: reads the controls out of the HTML and posts them."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from core.forms.model import FieldError
from core.forms.posted import Form
from hub.pages.forms import reading, render

_JINJA = Environment(
    autoescape=True,
    loader=FileSystemLoader(Path(__file__).parents[3] / "hub" / "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
)
_FORM = _JINJA.from_string(
    '{% import "form.html" as form %}{{ form.summary(problems) }}{{ form.fields(root) }}'
    "{{ form.redraw() if live }}"
)
_ANSWER = _JINJA.from_string('{% import "answer.html" as page %}{{ page.answer(line) }}')
_VOID = {"input"}


class Page(HTMLParser):
    """The controls of a form (`form`, as posted when nobody touches it), its elements, ids and visible text."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.form: dict[str, list[str]] = {}
        self.buttons: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self._select = ""
        self._selected = False
        self._area: str | None = None
        self.feed(html)
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert len(given) == len(attrs), "no attribute twice"
        self.tags.append((tag, given))
        if tag not in _VOID:
            self._open.append(tag)
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "input" and (given["type"] not in {"radio", "checkbox"} or "checked" in given):
            self.form.setdefault(name, []).append(value)
        elif tag == "select":
            self._select = name
            self._selected = False
        elif tag == "option":
            if "selected" in given:
                self.form[self._select] = [value]
                self._selected = True
            elif not self._selected:
                self.form.setdefault(self._select, [value])
        elif tag == "textarea":
            self._area = ""
            self.form[name] = [""]
            self._select = name
        elif tag == "button" and name:
            self.buttons.append(name)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes what was opened"
        if tag == "textarea":
            # https://html.spec.whatwg.org/#the-textarea-element: one leading line end is dropped; posted with CRLF.
            text = (self._area or "").replace("\r\n", "\n").removeprefix("\n")
            self.form[self._select] = [text.replace("\n", "\r\n")]
            self._area = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._area is not None:
            self._area += data

    def ids(self) -> list[str]:
        return [given["id"] or "" for _, given in self.tags if "id" in given]

    def attribute(self, name: str) -> list[str]:
        return [given[name] or "" for _, given in self.tags if name in given]


def draw_html(
    schema: dict[str, Any] | None,
    data: object = None,
    errors: tuple[FieldError, ...] | list[FieldError] = (),
    form: Form | None = None,
) -> str:
    return _FORM.render(render(schema, data, errors, form))


def draw_page(
    schema: dict[str, Any] | None,
    data: object = None,
    errors: tuple[FieldError, ...] | list[FieldError] = (),
    form: Form | None = None,
) -> Page:
    return Page(draw_html(schema, data, errors, form))


def answer_html(schema: dict[str, Any] | None, value: object) -> str:
    return _ANSWER.render(line=reading(schema, value))
