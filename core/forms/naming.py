"""Words on a form: labels of fields and branches, help lines, DOM ids. Called by `core/forms/plan.py` and
`controls.py`."""

from __future__ import annotations

import hashlib
import re
from typing import cast

from core.forms import facts, pointers
from core.forms import keywords as kw
from core.forms.compiled import CompiledSchema
from core.forms.sentences import shown
from core.forms.spot import Spot
from core.forms.walk import Schema

_TYPES = {
    "string": "Text",
    "integer": "Whole number",
    "number": "Number",
    "boolean": "Yes or no",
    "object": "Fields",
    "array": "List",
}
_FORMAT_HELP = {
    "date-time": "In UTC.",
    "time": "In UTC.",
    "uuid": "Such as 123e4567-e89b-12d3-a456-426614174000.",
    "uri": "Such as https://example.org/page.",
    "iri": "Such as https://example.org/page.",
    "duration": "Such as P1DT2H.",
}


def dom_id(name: str) -> str:
    """An id without spaces or signs, the same for the same name on every drawing."""
    return "f" + hashlib.blake2s(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def of_property(name: str) -> str:
    """`refund_reason` and `refundReason` read "Refund reason"."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ").split()
    if not words:
        return name or "(no name)"
    plain = [word if word.isupper() and len(word) > 1 else word.lower() for word in words]
    text = " ".join(plain)
    return text[0].upper() + text[1:]


def label(spot: Spot, fallback: str, number: int) -> str:
    """The title, numbered in a row of a list, or what the place is called otherwise. A chosen alternative does not
    rename the place it was chosen for."""
    titles = (part.schema.get("title") for part in spot.parts if not part.chosen)
    title = next((title.strip() for title in titles if isinstance(title, str)), "")
    if not title:
        return fallback
    return f"{title} {number}" if number else title


def of_type(name: str) -> str:
    return _TYPES.get(name, name)


def of_branch(doc: CompiledSchema, location: str, spot: Spot, index: int) -> str:
    """Its title, the constant that tells it apart, the name of its definition, its type, or its number."""
    if title := facts.text(spot, "title").strip():
        return title
    for part in spot.parts:
        for schema in cast("dict[str, Schema]", part.schema.get("properties", {})).values():
            if not isinstance(schema, bool) and "const" in schema:
                return of_property(shown(schema["const"]))
    if doc.targets.get(location):
        return of_property(pointers.last(doc.targets[location]))
    if spot.only:
        return of_type(spot.only)
    return f"Option {index + 1}"


def help_text(spot: Spot) -> str:
    """Hint or description, then what the schema says about the range in a few words."""
    given = facts.text(spot, kw.HINT_HELP) or facts.text(spot, "description")
    return " ".join(text for text in (given.strip(), _range(spot), _format(spot)) if text)


def _range(spot: Spot) -> str:
    least, most = facts.first(spot, "minimum"), facts.first(spot, "maximum")
    if spot.only in {"integer", "number"} and least is not None and most is not None:
        return f"From {least} to {most}."
    length = facts.smallest(spot, "maxLength")
    return f"At most {length} characters." if length is not None and spot.only == "string" else ""


def _format(spot: Spot) -> str:
    return _FORMAT_HELP.get(facts.text(spot, "format"), "") if spot.only == "string" else ""
