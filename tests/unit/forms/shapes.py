"""Short ways to write schemas and to send values through a page. Used by the tests of fields."""

from __future__ import annotations

from typing import Any

from core.forms.fields import draw, read
from core.forms.model import Field
from tests.unit.forms.browser import draw_page


def obj(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required or []}


def only(schema: dict[str, Any], *, required: bool = True, data: Any = None) -> Field:
    """The one field of an object with the property `v`."""
    root = draw(obj(["v"] if required else [], v=schema), data)
    (field,) = root.children
    return field


def through(schema: dict[str, Any], value: Any, *, required: bool = True) -> Any:
    """The value after it was drawn on a page and posted back untouched."""
    whole = obj(["v"] if required else [], v=schema)
    answer, wrong = read(whole, draw_page(whole, {"v": value}).form)
    assert wrong == []
    assert isinstance(answer, dict)
    return answer["v"]


def posted(schema: dict[str, Any], text: str) -> Any:
    """What one posted text becomes, or the message when it could not be read."""
    answer, wrong = read(obj(["v"], v=schema), {"/v": [text]})
    assert isinstance(answer, dict)
    return wrong[0].message if wrong else answer.get("v", "(missing)")
