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


# The way to a value: the way to what holds it and its name or place there; None for the answer itself. Written as a
# pointer only where something is wrong.
Way = tuple["Way", str | int] | None


def measure(instance: object, *, max_text: int) -> list[int] | FieldError:
    """How many values lie at each depth (index 0 is the answer itself), or the first thing that rules it out."""
    sizes: list[int] = []
    text = 0
    level: list[tuple[Way, object]] = [(None, instance)]
    while level:
        sizes.append(len(level))
        if len(sizes) >= cost.LEVELS:
            return _no(level[0][0], f"Nested too deep: at most {cost.LEVELS} levels", "depth")
        if sum(sizes) > MAX_VALUES:
            return _too_many()
        below: list[tuple[Way, object]] = []
        for way, value in level:
            if problem := _problem(value):
                return _no(way, *problem)
            if isinstance(value, str):
                text += len(value)
            elif isinstance(value, dict):
                members = cast("dict[object, object]", value)
                if len(below) + len(members) > MAX_VALUES:
                    return _too_many()  # before one of them is looked at
                for key, child in members.items():
                    if not isinstance(key, str) or not keepable(key):
                        return _no(way, "A name holds a character that cannot be kept", "characters")
                    text += len(key)
                    below.append(((way, key), child))
            elif isinstance(value, list):
                items = cast("list[object]", value)
                if len(below) + len(items) > MAX_VALUES:
                    return _too_many()
                below.extend(((way, index), child) for index, child in enumerate(items))
            if text > max_text:
                return _no(way, f"Too long: at most {max_text} characters in all", "size")
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


def _too_many() -> FieldError:
    return _no(None, f"Too large: at most {MAX_VALUES} values", "size")


def _no(way: Way, message: str, keyword: str) -> FieldError:
    tokens: list[str | int] = []
    while way is not None:
        way, token = way
        tokens.append(token)
    return FieldError(pointer=pointers.from_path(tokens[::-1]), message=message, keyword=keyword)
