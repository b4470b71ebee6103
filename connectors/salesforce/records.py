"""A record as the REST API gives it, put into the form in which an Outbound Message brings one, so that routes see the
same whichever way it came. Pure; used by `normalize.py`, `enrich.py` and `reconcile.py`."""

from __future__ import annotations

import re
from typing import Any, cast

_REST_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})\+0000\Z")


def from_rest(value: Any) -> Any:
    """Without `attributes`, and with times that end in Z instead of +0000."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: from_rest(member) for name, member in members.items() if name != "attributes"}
    if isinstance(value, list):
        return [from_rest(member) for member in cast("list[Any]", value)]
    if isinstance(value, str):
        return _REST_TIME.sub(r"\1Z", value)
    return value


def from_soap(fields: dict[str, Any]) -> dict[str, Any]:
    """XML knows only text: a checkbox becomes a boolean again. Numbers stay text (a text field may hold digits)."""
    words = {"true": True, "false": False}
    return {
        name: words.get(value, value) if isinstance(value, str) else value for name, value in fields.items()
    }


def members(value: object) -> dict[str, Any]:
    """The value where it is an object, else an empty one: an answer's body can be anything."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
