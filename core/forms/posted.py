"""What a browser posted, and the buttons that work without JavaScript. Read by `core/forms/plan.py`; `press` is
called by the form page before anything else.

Names: a value has its JSON pointer ("/lines/0/price"; the root's is "_root"). Beside it stand `_json:/extra` (a value
written as JSON; at the root `_json:`), `_more:/labels` (further properties, as JSON), `_rows:/lines` (how many rows are
drawn), `_open:/next` (a part that may be left out was opened) and `_branch:/method` (which alternative, `_branch1:` the
second one at that place). Buttons: `_add:/lines`, `_remove:/lines/2`, `_refresh`.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.errors import Invalid
from core.forms import pointers

MAX_POSTED = 2000
MAX_TEXT = 256 * 1024
MAX_ROWS = 100
REFRESH = "_refresh"

Form = Mapping[str, list[str]]


def value_name(pointer: str) -> str:
    return pointer or "_root"


def json_name(pointer: str) -> str:
    return f"_json:{pointer}"


def rows_name(pointer: str) -> str:
    return f"_rows:{pointer}"


def open_name(pointer: str) -> str:
    return f"_open:{pointer}"


def more_name(pointer: str) -> str:
    return f"_more:{pointer}"


def branch_name(pointer: str, number: int) -> str:
    return f"_branch{number or ''}:{pointer}"


def guard(form: Form) -> None:
    """Raises Invalid("form_too_large") beyond `MAX_POSTED` fields or `MAX_TEXT` characters."""
    fields = text = 0
    for name, values in form.items():
        fields += len(values)
        text += len(name) + sum(len(value) for value in values)
    if fields > MAX_POSTED or text > MAX_TEXT:
        raise Invalid(
            "form_too_large", f"At most {MAX_POSTED} fields and {MAX_TEXT} characters are read from one form"
        )


def first(form: Form, name: str) -> str:
    values = form.get(name)
    return values[0] if values else ""


def rows(form: Form, name: str) -> int | None:
    """How many rows the page drew for a list; None when the list was not on the page."""
    count = _row(first(form, rows_name(name)))
    return None if count is None else min(count, MAX_ROWS)


def filled_names(form: Form) -> frozenset[str]:
    """The pointers at or below which something was typed or chosen."""
    found: set[str] = set()
    for name, values in form.items():
        pointer = name.removeprefix("_more:").removeprefix("_json:")
        if not pointer.startswith("/") or not any(value.strip() for value in values):
            continue
        while pointer and pointer not in found:
            found.add(pointer)
            pointer = pointer.rpartition("/")[0]
    return frozenset(found)


def press(form: Form) -> dict[str, list[str]] | None:
    """The form after the pressed button, to be drawn again without errors; None when it was sent to be judged.

    Raises Invalid("form_too_large").
    """
    guard(form)
    kept = {name: list(values) for name, values in form.items() if not _is_button(name)}
    button = next((name for name in form if _is_button(name)), None)
    if button is None:
        return None
    verb, _, pointer = button.partition(":")
    if verb == "_add":
        count = rows(kept, pointer)
        if count is None:
            kept[open_name(pointer)] = ["1"]
        else:
            kept[rows_name(pointer)] = [str(min(count + 1, MAX_ROWS))]
    elif verb == "_remove" and pointer:
        parent, _, token = pointer.rpartition("/")
        count = rows(kept, parent)
        row = _row(token)
        if count and row is not None and row < count:
            return _without_row(kept, parent, row, count)
        return {name: values for name, values in kept.items() if not _below(name, pointer)}
    return kept


def _row(token: str) -> int | None:
    return int(token) if token.isascii() and token.isdigit() and len(token) <= 4 else None


def _is_button(name: str) -> bool:
    return name == REFRESH or name.startswith(("_add:", "_remove:"))


def _below(name: str, pointer: str) -> bool:
    place = name.partition(":")[2] if name.startswith("_") else name
    return place == pointer or place.startswith(f"{pointer}/")


def _without_row(form: Form, parent: str, gone: int, count: int) -> dict[str, list[str]]:
    """Names below row `gone` are dropped, those of later rows move up by one."""
    moved: dict[str, list[str]] = {}
    for name, values in form.items():
        control, colon, place = name.partition(":") if name.startswith("_") else ("", "", name)
        token, slash, rest = place.removeprefix(f"{parent}/").partition("/")
        row = _row(token) if place.startswith(f"{parent}/") else None
        if row is None or row < gone:
            moved[name] = list(values)
        elif row > gone:
            moved[f"{control}{colon}{pointers.join(parent, row - 1)}{slash}{rest}"] = list(values)
    moved[rows_name(parent)] = [str(count - 1)]
    return moved
