"""JSON scalars as the text in a control, and back. Called by `core/forms/plan.py` (to draw) and `collect.py`
(to read what was posted)."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from typing import Any

import msgspec

from core.forms.measure import keepable
from core.forms.walk import MAX_DIGITS

INTEGER = re.compile(r"[+-]?[0-9]+(\.0*)?")
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
MAX_JSON = 64 * 1024

_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]"
# What each of the browser's own controls can show; any other text is drawn in a plain one, so that nothing is lost.
_CONTROL_TEXT = {
    "date": re.compile(_DATE),
    "datetime-local": re.compile(rf"{_DATE}T{_TIME}(:[0-5][0-9](\.[0-9]{{1,3}})?)?"),
    "time": re.compile(rf"{_TIME}(:[0-5][0-9](\.[0-9]{{1,3}})?)?"),
}
INPUT_TYPES = {
    "date": "date",
    "date-time": "datetime-local",
    "time": "time",
    "email": "email",
    "idn-email": "email",
    "uri": "url",
    "iri": "url",
}
_CONTROL_OF_ZONED = {"date-time": "datetime-local", "time": "time"}


class UnreadableError(Exception):
    """The text is not a value of that kind; the message is for the person who typed it."""


def of_value(value: object, kind: str) -> str:
    """The text that stands for a value in a control of this kind ("json", "string", "integer", "number")."""
    if kind == "json":
        return json.dumps(value, ensure_ascii=False, indent=2)
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def for_control(text: str, form: str) -> tuple[str, str]:
    """(input type, text) for a string of `format` `form`. Times are drawn in UTC, without the trailing Z."""
    control = INPUT_TYPES.get(form, "text")
    shown = text.removesuffix("Z") if form in _CONTROL_OF_ZONED else text
    pattern = _CONTROL_TEXT.get(control)
    if pattern is None or not shown or pattern.fullmatch(shown):
        return control, shown
    return "text", text


def to_string(text: str, form: str) -> str:
    """The posted text as a string value: browser line ends undone, a bare date-time or time completed as UTC."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not keepable(text):
        raise UnreadableError("Holds a character that cannot be kept")
    if form in INPUT_TYPES or form == "uuid":
        text = text.strip()
    control = _CONTROL_OF_ZONED.get(form)
    if control and _CONTROL_TEXT[control].fullmatch(text):
        minutes_only = len(text.rpartition("T")[2]) == len("14:05")
        text += ":00Z" if minutes_only else "Z"
    return text


def to_integer(text: str) -> int:
    plain = _plain_number(text)
    if not INTEGER.fullmatch(plain):
        raise UnreadableError("Must be a whole number, in digits only")
    digits = plain.partition(".")[0]
    if len(digits.lstrip("+-0")) > MAX_DIGITS:
        raise UnreadableError(f"Must have at most {MAX_DIGITS} digits")
    return int(digits)


def to_number(text: str) -> int | float:
    """An int where no point or exponent was typed, else the nearest float (JSON has no other decimal)."""
    plain = _plain_number(text)
    if not NUMBER.fullmatch(plain):
        raise UnreadableError("Must be a number; use a point for decimals and nothing between thousands")
    if not set(plain) & set(".eE"):
        return to_integer(plain)
    number = float(plain)
    if not math.isfinite(number):
        raise UnreadableError("Too large a number")
    return number


def _plain_number(text: str) -> str:
    """Full-width and other digits as ASCII, the typographic minus as a hyphen."""
    return unicodedata.normalize("NFKC", text.strip()).replace("−", "-")


def to_json(text: str) -> Any:
    if len(text) > MAX_JSON:
        raise UnreadableError(f"At most {MAX_JSON} characters")
    try:
        return msgspec.json.decode(text)
    except RecursionError as error:
        raise UnreadableError("Nested too deep") from error
    except UnicodeEncodeError as error:
        raise UnreadableError("Holds a character that cannot be kept") from error
    except msgspec.DecodeError as error:
        raise UnreadableError(
            'Must be JSON, such as {"name": "value"}; text stands in double quotes'
        ) from error


def to_json_or_words(text: str) -> Any:
    """JSON where the text is JSON; words that do not look like an attempt at it are a string."""
    try:
        return to_json(text)
    except UnreadableError:
        if text.lstrip().startswith(("{", "[", '"')):
            raise
        return to_string(text, "")
