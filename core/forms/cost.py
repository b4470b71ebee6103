"""How much work a validator can be made to do: an upper bound of schema evaluations, by depth of the data.
Called by `core/forms/profile.py` at creation and by `core/forms/validate.py` before a validator runs.

Why: two `$ref`s in an `allOf`, nested n times, are 2^n evaluations of one value; a recursive schema with two ways
down doubles with every level of the *answer*; nested `unevaluatedProperties` cost jsonschema-rs 7 s at 20 levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from core.forms import keywords as kw
from core.forms.walk import Node, children

LEVELS = 32  # of data; deeper answers are refused
CEILING = 10**9
UNEVALUATED_FACTOR = 4  # jsonschema-rs evaluates what lies beside an unevaluated* keyword again


class LoopError(Exception):
    """The schema at `location` leads back to itself without going into a property or an item."""

    def __init__(self, location: str):
        super().__init__(location)
        self.location = location


def visits(nodes: Mapping[str, Node], targets: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """For each location the most evaluations that one value can get, 0, 1, 2... levels below it.

    `targets` maps the location of a schema with `$ref` to the location it names.
    Raises LoopError on a reference that never reaches into the data.
    """
    inside: dict[str, list[str]] = {}
    below: dict[str, list[tuple[str, str]]] = {}
    for location, node in nodes.items():
        held = list(children(node))
        inside[location] = [child.location for keyword, child in held if keyword in kw.IN_PLACE]
        below[location] = [
            (keyword, child.location)
            for keyword, child in held
            if keyword not in kw.IN_PLACE | kw.DEFINITIONS
        ]
        if location in targets:
            inside[location].append(targets[location])
    order = _innermost_first(inside)
    levels: list[dict[str, int]] = []
    for _ in range(LEVELS):
        level: dict[str, int] = {}
        above = levels[-1] if levels else None
        for location in order:
            schema = nodes[location].schema
            own = _weight(schema) if above is None else _of_one_child(below[location], above)
            factor = UNEVALUATED_FACTOR if _unevaluated(schema) else 1
            level[location] = min(CEILING, own + factor * sum(level[other] for other in inside[location]))
        levels.append(level)
        if not any(level.values()):
            break
    return {location: tuple(level[location] for level in levels) for location in order}


def bound(by_depth: tuple[int, ...], sizes: Iterable[int]) -> int:
    """Most evaluations of an answer with `sizes[d]` values at depth d. Beyond `by_depth` nothing is judged."""
    return sum(each * size for each, size in zip(by_depth, sizes, strict=False))


def _weight(schema: object) -> int:
    if not isinstance(schema, dict):
        return 1
    keywords = cast("dict[str, Any]", schema)
    looked_up = sum(len(keywords[name]) for name in ("properties", "required") if name in keywords)
    # jsonschema-rs hashes plain enum values; objects and lists are compared one by one.
    compared = sum(isinstance(value, dict | list) for value in cast("list[object]", keywords.get("enum", [])))
    return 1 + looked_up // 4 + compared


def _unevaluated(schema: object) -> bool:
    return isinstance(schema, dict) and ("unevaluatedProperties" in schema or "unevaluatedItems" in schema)


def _of_one_child(below: list[tuple[str, str]], above: Mapping[str, int]) -> int:
    """One child is judged by its own property schema or by the additional one, and by every pattern."""
    most: dict[str, int] = {}
    every = 0
    for keyword, location in below:
        if keyword in {"patternProperties", "propertyNames", "contains"} or keyword.startswith("unevaluated"):
            every += above[location]
        else:
            most[keyword] = max(most.get(keyword, 0), above[location])
    return every + max(most.values(), default=0)


def _innermost_first(inside: Mapping[str, list[str]]) -> list[str]:
    """Every location after all those it evaluates on the same value (Kahn's order; no recursion to overflow)."""
    waiting_for = {location: len(others) for location, others in inside.items()}
    used_by: dict[str, list[str]] = {location: [] for location in inside}
    for location, others in inside.items():
        for other in others:
            used_by[other].append(location)
    ready = [location for location, count in waiting_for.items() if count == 0]
    order: list[str] = []
    while ready:
        location = ready.pop()
        order.append(location)
        for user in used_by[location]:
            waiting_for[user] -= 1
            if waiting_for[user] == 0:
                ready.append(user)
    if len(order) < len(inside):
        raise LoopError(min(location for location, count in waiting_for.items() if count))
    return order
