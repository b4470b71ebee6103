"""Forms from answer schemas: draw one as a tree of fields, read what was posted back into an answer. Called by the
worker's task page, the gold-task editor and QA review through `hub/pages/forms.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from core.forms import validate
from core.forms.collect import collect
from core.forms.model import Field, FieldError
from core.forms.plan import plan
from core.forms.posted import Form, guard, press
from core.forms.profile import check

__all__ = ["Field", "FieldError", "Form", "draw", "judge", "press", "read", "summary"]

# A value may show or hide fields whose values show or hide others: read again until nothing changes.
MAX_PASSES = 6


def draw(
    schema: dict[str, Any] | None,
    data: object = None,
    errors: Iterable[FieldError] = (),
    form: Form | None = None,
) -> Field:
    """The field tree of an answer form.

    `data` is the answer so far (None for none). With `form` (what was just posted) the texts come from there, so
    that nothing typed is lost, and `data` should be what `read` made of it. Nothing is preselected; `default` is
    never applied. Raises Invalid when the schema is out of profile or the form too large.
    """
    doc = check(schema)
    if form is not None:
        guard(form)
    root = plan(doc, {} if data is None else data, form)
    return _with_errors(root, list(errors))


def read(schema: dict[str, Any] | None, form: Form) -> tuple[object, list[FieldError]]:
    """(the answer, what could not be read). Not validated: see `judge`. Unknown names are ignored.

    Raises Invalid("form_too_large") beyond 2,000 posted fields.
    """
    doc = check(schema)
    guard(form)
    data: object = {}
    for _ in range(MAX_PASSES):
        answer, errors = collect(plan(doc, data, form))
        if answer == data:
            return answer, errors
        data = answer
    return collect(plan(doc, data, form))


def judge(schema: dict[str, Any] | None, form: Form) -> tuple[object, list[FieldError]]:
    """(the answer, all that is wrong with it): `read`, then `validate.errors` for what could be read."""
    answer, unreadable = read(schema, form)
    told = {error.pointer for error in unreadable}
    wrong = [error for error in validate.errors(schema, answer) if error.pointer not in told]
    return answer, [*unreadable, *wrong]


def summary(root: Field) -> list[tuple[str, str, str]]:
    """(DOM id, label, message) of every error in the tree, in page order."""
    found = [(root.id, root.label, message) for message in root.errors]
    for child in root.children:
        found += summary(child)
    return found


def _with_errors(root: Field, errors: list[FieldError]) -> Field:
    """Each error at the field of its pointer, or at the nearest group around it."""
    homes = {field.pointer: field.id for field in _homes(root)}
    by_id: dict[str, list[str]] = {}
    for error in errors:
        pointer, exact = error.pointer, True
        while pointer not in homes and pointer:
            pointer, exact = pointer.rpartition("/")[0], False
        message = error.message if exact else f"{error.pointer[len(pointer) + 1 :]}: {error.message}"
        told = by_id.setdefault(homes.get(pointer, root.id), [])
        if message not in told:
            told.append(message)
    return _attach(root, by_id)


def _homes(field: Field) -> Iterator[Field]:
    """Fields that take errors of their pointer; a later one takes over from an earlier."""
    if field.merges:
        return
    yield field
    if field.kind == "choice" and not field.picked:
        choosers = [child for child in field.children if child.name.startswith("_branch")]
        yield from (child for child in field.children if child not in choosers for child in _homes(child))
        yield choosers[0]
        return
    for child in field.children:
        yield from _homes(child)


def _attach(field: Field, by_id: Mapping[str, list[str]]) -> Field:
    children = tuple(_attach(child, by_id) for child in field.children)
    return msgspec.structs.replace(field, children=children, errors=tuple(by_id.get(field.id, ())))
