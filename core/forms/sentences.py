"""One short sentence for each way a value can miss its schema. Called by `core/forms/validate.py`."""

from __future__ import annotations

import json
from collections.abc import Iterable

from jsonschema_rs import ValidationErrorKind as Kind

_LISTED = 10
_SHOWN = 60

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "yes or no",
    "object": "a group of fields",
    "array": "a list",
    "null": "empty",
}
_FORMATS = {
    "date": "Not a valid date, such as 2026-11-23",
    "date-time": "Not a valid date and time, such as 2026-11-23T14:05:00Z",
    "time": "Not a valid time, such as 14:05:00Z",
    "duration": "Not a valid duration, such as P1DT2H",
    "email": "Not a valid e-mail address",
    "idn-email": "Not a valid e-mail address",
    "hostname": "Not a valid host name",
    "idn-hostname": "Not a valid host name",
    "ipv4": "Not a valid IPv4 address",
    "ipv6": "Not a valid IPv6 address",
    "uri": "Not a valid web address; start with https://",
    "iri": "Not a valid web address; start with https://",
    "uri-reference": "Not a valid web address",
    "iri-reference": "Not a valid web address",
    "uuid": "Not a valid UUID, such as 123e4567-e89b-12d3-a456-426614174000",
}


def shown(value: object) -> str:
    """A JSON value as a person reads it, cut to `_SHOWN` characters."""
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif value is None:
        text = "none"
    elif isinstance(value, str):
        text = value or "(empty text)"
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def listing(values: Iterable[object]) -> str:
    """`a, b, c`, cut after `_LISTED` values."""
    texts = [shown(value) for value in values]
    return ", ".join(texts[:_LISTED]) + (f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else "")


def sentence(kind: Kind) -> str:
    """What to tell the person; kinds about a branch of oneOf/anyOf are told better by `validate.py`."""
    return _of_value(kind) or _of_size(kind) or _of_shape(kind) or "Does not fit what was asked for"


def _of_value(kind: Kind) -> str | None:
    match kind:
        case Kind.Type(types=types):
            names = [_TYPES.get(name, name) for name in types]
            return "Choose yes or no" if names == ["yes or no"] else f"Must be {' or '.join(names)}"
        case Kind.Enum(options=options):
            return f"Choose one of: {listing(options)}"
        case Kind.Constant(expected_value=value):
            return f"Must be: {shown(value)}"
        case Kind.Format(format=name):
            return _FORMATS.get(name, f"Not a valid {name}")
        case Kind.Pattern(pattern=pattern):
            return f"Not in the expected form: {shown(pattern)}"
        case Kind.ContentEncoding(content_encoding=name):
            return f"Must be encoded as {shown(name)}"
        case Kind.ContentMediaType(content_media_type=name):
            return f"Must be valid {shown(name)}"
        case _:
            return None


def _of_size(kind: Kind) -> str | None:
    match kind:
        case Kind.Minimum(limit=limit):
            return f"Must be at least {limit}"
        case Kind.Maximum(limit=limit):
            return f"Must be at most {limit}"
        case Kind.ExclusiveMinimum(limit=limit):
            return f"Must be more than {limit}"
        case Kind.ExclusiveMaximum(limit=limit):
            return f"Must be less than {limit}"
        case Kind.MultipleOf(multiple_of=step):
            return (
                f"Must be a multiple of {step:g}"
                if isinstance(step, float)
                else f"Must be a multiple of {step}"
            )
        case Kind.MinLength(limit=limit):
            return f"Write at least {_count(limit, 'character')}"
        case Kind.MaxLength(limit=limit):
            return f"Write at most {_count(limit, 'character')}"
        case Kind.MinItems(limit=limit):
            return f"Give at least {limit}"
        case Kind.MaxItems(limit=limit):
            return f"Give at most {limit}"
        case Kind.MinProperties(limit=limit):
            return f"Fill in at least {_count(limit, 'field')}"
        case Kind.MaxProperties(limit=limit):
            return f"Fill in at most {_count(limit, 'field')}"
        case _:
            return None


def _of_shape(kind: Kind) -> str | None:
    match kind:
        case Kind.Required():
            return "Required"
        case (
            Kind.AdditionalProperties()
            | Kind.UnevaluatedProperties()
            | Kind.AdditionalItems()
            | Kind.UnevaluatedItems()
            | Kind.FalseSchema()
        ):
            return "Not expected here"
        case Kind.UniqueItems():
            return "Must not hold the same thing twice"
        case Kind.Contains():
            return "None of these is what was asked for"
        case Kind.Not():
            return "This is not allowed here"
        case Kind.PropertyNames(error=error):
            return f"A name in here is not allowed. {sentence(error.kind)}"
        case Kind.OneOfMultipleValid():
            return "Fits more than one of the choices; it must fit exactly one"
        case Kind.AnyOf() | Kind.OneOfNotValid():
            return "Does not fit any of the choices"
        case _:
            return None


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
