"""Between `core/forms` and the templates: what `form.html` and `answer.html` need to draw. Called by the worker's
task page, the gold-task editor and QA review."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from core.forms import answer, fields
from core.forms.model import Field, FieldError
from core.forms.posted import Form


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the error summary; `id` is the DOM id of the control it leads to."""

    id: str
    label: str
    message: str


def render(
    schema: dict[str, Any] | None,
    data: object = None,
    errors: Iterable[FieldError] = (),
    form: Form | None = None,
) -> dict[str, Any]:
    """The context for `form.html`: `root` (Field), `problems` (for `summary`), `live` (draw `redraw` as well).

    `data`, `errors` and `form` as in `core.forms.fields.draw`. Raises Invalid as there.
    """
    root = fields.draw(schema, data, errors, form)
    problems = [Problem(id=place, label=label, message=text) for place, label, text in fields.summary(root)]
    return {"root": root, "problems": problems, "live": _live(root)}


def reading(schema: dict[str, Any] | None, value: object) -> answer.Line:
    """What `answer.html` draws."""
    return answer.lines(schema, value)


def _live(field: Field) -> bool:
    return field.live or any(_live(child) for child in field.children)
