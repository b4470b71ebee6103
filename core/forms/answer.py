"""An answer in a person's words: labels and titles from its schema, nothing left out. Called by
`hub/pages/forms.py` for result pages and QA review."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from core.errors import Invalid
from core.forms import facts, fields, naming, pointers, texts
from core.forms.model import Field

MAX_LINES = 2000


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One value with its label: a text, or the lines of the object or list it is."""

    kind: Literal["text", "group", "list"]
    label: str = ""
    text: str = ""
    children: tuple[Line, ...] = ()


def lines(schema: dict[str, Any] | None, answer: object) -> Line:
    """The whole answer. A schema that has fallen out of profile only costs the labels."""
    try:
        known = {field.pointer: field for field in _walk(fields.draw(schema, answer))}
    except Invalid:
        known = {}
    return _Reader(known).line(answer, "", "")


def _walk(field: Field) -> list[Field]:
    """Inner fields last, so that a control outranks the group of the same pointer; choosers do not count."""
    inner = [found for child in field.children for found in _walk(child)]
    skipped = field.merges or field.name.startswith("_branch")
    return inner if skipped else [field, *inner]


class _Reader:
    def __init__(self, known: dict[str, Field]):
        self.known = known
        self.left = MAX_LINES

    def line(self, value: object, pointer: str, label: str) -> Line:
        field = self.known.get(pointer)
        label = field.label if field and field.label else label
        self.left -= 1
        children: list[Line] = []
        ticked = field is not None and field.kind == "checks"
        for name, child in facts.as_object(value).items():
            if self.left > 0:
                children.append(self.line(child, pointers.join(pointer, name), naming.of_property(name)))
        for index, child in enumerate(facts.as_array(value)):
            if self.left > 0:
                below = self.line(child, pointers.join(pointer, index), str(index + 1))
                children.append(Line(kind="text", text=_text(child, field)) if ticked else below)
        if self.left <= 0 and children:
            children.append(Line(kind="text", label="…", text="The rest is in the JSON of the answer."))
        if children:
            return Line(
                kind="group" if isinstance(value, dict) else "list", label=label, children=tuple(children)
            )
        return Line(kind="text", label=label, text=_text(value, field))


def _text(value: object, field: Field | None) -> str:
    for option in field.options if field else ():
        if facts.canonical(option.meaning) == facts.canonical(value):
            return option.label
    match facts.type_of(value):
        case "boolean":
            return "Yes" if value else "No"
        case "null":
            return "(none)"
        case "object" | "array":
            return "(nothing)"
        case _:
            return texts.of_value(value, "string") or "(empty text)"
