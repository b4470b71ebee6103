"""The size of an answer and what no answer may hold, before any validator sees it. Called by
`core/forms/validate.py`."""

from __future__ import annotations

import math
from typing import cast

from core.forms import cost, pointers
from core.forms.model import FieldError
from core.forms.walk import MAX_DIGITS

MAX_VALUES = 10_000
MAX_TEXT = 256 * 1024  # characters, keys included
# A schema with patterns runs each of them over each text it meets.
MAX_TEXT_WITH_PATTERNS = 64 * 1024


def keepable(text: str) -> bool:
    """False for NUL and lone surrogates: PostgreSQL keeps neither, and jsonschema-rs raises on the latter."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def measure(instance: object, *, max_text: int) -> list[int] | FieldError:
    """How many values lie at each depth (index 0 is the answer itself), or the first thing that rules it out."""
    sizes: list[int] = []
    text = 0
    level: list[tuple[str, object]] = [("", instance)]
    while level:
        sizes.append(len(level))
        if len(sizes) >= cost.LEVELS:
            return _no(level[0][0], f"Nested too deep: at most {cost.LEVELS} levels", "depth")
        if sum(sizes) > MAX_VALUES:
            return _no("", f"Too large: at most {MAX_VALUES} values", "size")
        below: list[tuple[str, object]] = []
        for pointer, value in level:
            if problem := _problem(value):
                return _no(pointer, *problem)
            if isinstance(value, str):
                text += len(value)
            elif isinstance(value, dict):
                for key, child in cast("dict[object, object]", value).items():
                    if not isinstance(key, str) or not keepable(key):
                        return _no(pointer, "A name holds a character that cannot be kept", "characters")
                    text += len(key)
                    below.append((pointers.join(pointer, key), child))
            elif isinstance(value, list):
                items = cast("list[object]", value)
                below.extend((pointers.join(pointer, index), child) for index, child in enumerate(items))
            if text > max_text:
                return _no(pointer, f"Too long: at most {max_text} characters in all", "size")
        level = below
    return sizes


def _problem(value: object) -> tuple[str, str] | None:
    match value:
        case str() if not keepable(value):
            return "Holds a character that cannot be kept", "characters"
        case float() if not math.isfinite(value):
            return "Must be a number", "type"
        case int() if abs(value) >= 10**MAX_DIGITS:
            return f"Must have at most {MAX_DIGITS} digits", "size"
        case str() | float() | int() | dict() | list() | None:
            return None
        case _:
            return "Must be JSON", "type"


def _no(pointer: str, message: str, keyword: str) -> FieldError:
    return FieldError(pointer=pointer, message=message, keyword=keyword)
