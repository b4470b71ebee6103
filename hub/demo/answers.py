"""Answers of simulated people: a value that satisfies an answer schema, and the ways in which each of the five goes
wrong. Pure; used by `hub/demo/people.py`."""

from __future__ import annotations

import random
from typing import Any, cast

_TEXT = (
    "The graphs show the error rate falling again after the last deploy, so watching it is enough for now."
)
_FORMATS = {
    "date": "2026-11-23",
    "date-time": "2026-11-23T12:00:00Z",
    "time": "12:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "0191f3e4-0000-7000-8000-000000000001",
}
_DEPTH = 8


def answer(schema: dict[str, Any], dice: random.Random) -> Any:
    """A value that most schemas of the answer profile accept; what it cannot know (a pattern, a rule across fields)
    may still be refused, as with people."""
    return _value(schema, schema, dice, 0)


def _value(schema: Any, root: dict[str, Any], dice: random.Random, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _DEPTH:
        return {}
    node = cast("dict[str, Any]", schema)
    if "$ref" in node:
        return _value(_resolve(root, str(node["$ref"])), root, dice, depth + 1)
    if "const" in node:
        return node["const"]
    if "enum" in node:
        return dice.choice(cast("list[Any]", node["enum"]))
    for key in ("oneOf", "anyOf"):
        if key in node:
            return _value(dice.choice(cast("list[Any]", node[key])), root, dice, depth + 1)
    kind = node.get("type", "object")
    if isinstance(kind, list):
        kind = next((one for one in cast("list[str]", kind) if one != "null"), "null")
    match kind:
        case "object":
            wanted = cast("list[str]", node.get("required", []))
            properties = cast("dict[str, Any]", node.get("properties", {}))
            return {
                name: _value(inner, root, dice, depth + 1)
                for name, inner in properties.items()
                if name in wanted or depth < 3
            }
        case "array":
            count = max(1, int(node.get("minItems", 1)))
            return [
                _value(node.get("items", {"type": "string"}), root, dice, depth + 1) for _ in range(count)
            ]
        case "boolean":
            return dice.random() < 0.5
        case "integer":
            low = int(node.get("minimum", 0))
            return dice.randint(low, int(node.get("maximum", low + 10)))
        case "number":
            low = float(node.get("minimum", 0))
            return round(dice.uniform(low, float(node.get("maximum", low + 10))), 2)
        case "null":
            return None
        case _:
            return _text(node)


def _text(node: dict[str, Any]) -> str:
    if (known := _FORMATS.get(str(node.get("format")))) is not None:
        return known
    text = _TEXT
    while len(text) < int(node.get("minLength", 0)):
        text = f"{text} {_TEXT}"
    return text[: int(node.get("maxLength", len(text)))]


def _resolve(root: dict[str, Any], reference: str) -> Any:
    node: Any = root
    for part in reference.removeprefix("#").strip("/").split("/") if reference != "#" else []:
        node = cast("dict[str, Any]", node).get(part.replace("~1", "/").replace("~0", "~"), {})
    return node


def triage(dice: random.Random, *, care: float) -> dict[str, Any]:
    """An answer to `incident_triage`. With probability `care` it is consistent; else it breaks the type's rules,
    which verification has to catch."""
    if dice.random() < care:
        severity, action = dice.choice(
            [
                ("minor", "watch"),
                ("major", "acknowledge"),
                ("critical", "page_the_team"),
                ("false_alarm", "ignore"),
            ]
        )
    else:
        severity, action = dice.choice([("false_alarm", "roll_back"), ("critical", "ignore")])
    return {"severity": severity, "action": action, "summary": _TEXT}
