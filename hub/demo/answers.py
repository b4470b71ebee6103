"""Answers of simulated people: a value that satisfies an answer schema, what is right of the demo's own questions, and the
ways in which some of them go wrong. Pure; used by `hub/demo/people.py` and `hub/demo/past.py`."""

from __future__ import annotations

import random
from typing import Any, cast

_TEXT = (
    "The graphs show the error rate falling again after the last deploy, so watching it is enough for now."
)
# The demo's incidents, and what somebody who reads them answers.
INCIDENTS: dict[str, tuple[str, str]] = {
    "Checkout API: error rate above 5 %": ("critical", "page_the_team"),
    "Payments: queue depth rising": ("major", "acknowledge"),
    "Login: p99 latency above 2 s": ("major", "roll_back"),
    "Search: one of three replicas down": ("minor", "watch"),
    "Billing: nightly job did not finish": ("false_alarm", "ignore"),
}
REFUNDED = frozenset(
    {"Item arrived damaged", "Wrong size", "Never arrived"}
)  # reasons for which money goes back
CONSISTENT = (
    ("minor", "watch"),
    ("major", "acknowledge"),
    ("critical", "page_the_team"),
    ("false_alarm", "ignore"),
)
_SEEN = (
    "Latency doubled on {n} hosts since {time}",
    "The error budget of this week is gone at {time}",
    "Only zone {n} is affected, the others are green",
    "{n} customers wrote within ten minutes",
    "Deploy {n} went out shortly before {time}",
    "Retries hide most of it, {n} per cent still fail",
    "The graph shows a step at {time} and none after",
    "Dashboards disagree: one says {n}, another nothing",
    "Synthetic checks fail from region {n} alone",
    "Nothing in the logs before {time}",
)
_THEREFORE = (
    "so whoever owns the service should know",
    "which is what last month's incident looked like",
    "and traffic is low at this hour anyway",
    "so revenue is at stake as long as it lasts",
    "and the runbook names exactly this sign",
    "though nobody outside has noticed so far",
    "because a cache was emptied by the migration",
    "and the on-call person can follow it from home",
    "while the standby carries the load without pain",
    "as the vendor's status page confirms",
)
_NEXT = (
    "Look again in {n} minutes.",
    "The last release is the first suspect.",
    "I would start with shard {n}.",
    "Keep the channel open until {time}.",
    "Nobody needs to get up for it alone.",
    "Compare with Tuesday before touching anything.",
    "Scale out by {n} and watch the queue.",
    "Support should have a sentence ready.",
    "Ask database people about lock {n}.",
    "Close it if {time} passes quietly.",
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
            return _text(node, dice)


def _text(node: dict[str, Any], dice: random.Random) -> str:
    if (known := _FORMATS.get(str(node.get("format")))) is not None:
        return known
    text = own_words(dice)
    while len(text) < int(node.get("minLength", 0)):
        text = f"{text} {own_words(dice)}"
    return text[: int(node.get("maxLength", len(text)))]


def own_words(dice: random.Random) -> str:
    """What somebody writes who thinks while writing: hardly ever twice the same."""

    def put(part: str) -> str:
        return part.format(n=dice.randint(2, 97), time=f"{dice.randint(0, 23)}:{dice.randint(10, 59)}")

    parts = [put(dice.choice(some)) for some in (_SEEN, _THEREFORE, _NEXT)]
    return f"{parts[0]}, {parts[1]}. {parts[2]}"


def _resolve(root: dict[str, Any], reference: str) -> Any:
    node: Any = root
    for part in reference.removeprefix("#").strip("/").split("/") if reference != "#" else []:
        node = cast("dict[str, Any]", node).get(part.replace("~1", "/").replace("~0", "~"), {})
    return node


def triage(dice: random.Random, *, care: float) -> dict[str, Any]:
    """A guess at `incident_triage`, without reading it. With probability `care` it is consistent; else it breaks the type's
    rules, which verification has to catch. The text is always the same."""
    if dice.random() < care:
        severity, action = dice.choice(CONSISTENT)
    else:
        severity, action = dice.choice([("false_alarm", "roll_back"), ("critical", "ignore")])
    return {"severity": severity, "action": action, "summary": _TEXT}


def read_triage(title: str, dice: random.Random, *, skill: float) -> dict[str, Any]:
    """An answer by somebody who has read the incident: right with probability `skill`, else another consistent one. Of an
    incident that the demo does not know, any consistent one."""
    right = INCIDENTS.get(title) or dice.choice(CONSISTENT)
    wrong = [one for one in CONSISTENT if one != right]
    severity, action = right if dice.random() < skill else dice.choice(wrong)
    return {"severity": severity, "action": action, "summary": own_words(dice)}
