"""What the parts of one spot say together: title, enum, bounds, required names, schemas of the children.
Pure look-ups for `core/forms/plan.py` and `validate.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from core.forms import keywords as kw
from core.forms import pointers
from core.forms.compiled import CompiledSchema
from core.forms.spot import Spot


def as_object(value: object) -> dict[str, object]:
    """The value when it is a JSON object, else an empty one."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def as_array(value: object) -> list[object]:
    """The value when it is a JSON array, else an empty one."""
    return cast("list[object]", value) if isinstance(value, list) else []


def first(spot: Spot, keyword: str) -> Any:
    """The value of a keyword in the outermost part that has it, or None."""
    return next((part.schema[keyword] for part in spot.parts if keyword in part.schema), None)


def text(spot: Spot, keyword: str) -> str:
    found = first(spot, keyword)
    return found if isinstance(found, str) else ""


def largest(spot: Spot, keyword: str, default: int = 0) -> int:
    """The strictest lower bound (`minItems`...)."""
    return max((int(part.schema[keyword]) for part in spot.parts if keyword in part.schema), default=default)


def smallest(spot: Spot, keyword: str) -> int | None:
    """The strictest upper bound (`maxItems`...), None without one."""
    return min((int(part.schema[keyword]) for part in spot.parts if keyword in part.schema), default=None)


def canonical(value: object) -> str:
    """The same text for equal JSON values (1 and 1.0 are equal, 1 and true are not)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)


def listed_size(spot: Spot) -> int:
    """How many values `listed` would look at."""
    return sum(len(part.schema.get("enum", ())) for part in spot.parts)


def listed(spot: Spot) -> list[object] | None:
    """The values that every enum and const here allows, in the order of the first; None without enum."""
    found: list[object] | None = None
    for part in spot.parts:
        for own in _listed_by(part.schema):
            if found is None:
                found = list({canonical(value): value for value in own}.values())
            else:
                allowed = {canonical(value) for value in own}
                found = [value for value in found if canonical(value) in allowed]
    if found is not None and spot.types:
        found = [
            value for value in found if value is None or type_of(value) in spot.types or _whole(value, spot)
        ]
    return found


def _listed_by(schema: Mapping[str, Any]) -> list[list[object]]:
    lists: list[list[object]] = []
    if "const" in schema:
        lists.append([schema["const"]])
    if "enum" in schema:
        lists.append(cast("list[object]", schema["enum"]))
    return lists


def _whole(value: object, spot: Spot) -> bool:
    """3 is a `number`, 3.0 an `integer`."""
    types = spot.types or frozenset()
    return (type_of(value) == "integer" and "number" in types) or (
        isinstance(value, float) and value.is_integer() and "integer" in types
    )


def type_of(value: object) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case dict():
            return "object"
        case list():
            return "array"
        case _:
            return "null"


def enum_titles(spot: Spot) -> dict[str, str]:
    """Titles by canonical value, from `x-hub-enum-titles` (list beside enum, or object by value) and oneOf titles."""
    titles: dict[str, str] = {}
    for part in reversed(spot.parts):
        given = part.schema.get(kw.HINT_ENUM_TITLES)
        values = cast("list[object]", part.schema.get("enum", []))
        if isinstance(given, list):
            for value, title in zip(values, cast("list[str]", given), strict=False):
                if title:
                    titles[canonical(value)] = title
        elif isinstance(given, dict):
            by_value = cast("dict[str, str]", given)
            for value in values:
                key = value if isinstance(value, str) else canonical(value)
                if by_value.get(key):
                    titles[canonical(value)] = by_value[key]
    return titles


def required(spot: Spot, value: object) -> frozenset[str]:
    """The names that must be present, dependents of the names present in `value` included."""
    names: set[str] = set()
    present = as_object(value)
    for part in spot.parts:
        names.update(part.schema.get("required", ()))
        for keyword in ("dependentRequired", "dependencies"):
            for name, dependents in part.schema.get(keyword, {}).items():
                if name in present and isinstance(dependents, list):
                    names.update(cast("list[str]", dependents))
    return frozenset(names)


def property_names(spot: Spot, required_names: frozenset[str]) -> list[str]:
    """Declared names in page order: `x-hub-order` first, then as written, then required but undeclared ones."""
    declared: dict[str, None] = {}
    for part in spot.parts:
        declared |= dict.fromkeys(part.schema.get("properties", {}))
    ordered = [name for name in first(spot, kw.HINT_ORDER) or () if name in declared]
    return list(dict.fromkeys([*ordered, *declared, *sorted(required_names - declared.keys())]))


def of_property(doc: CompiledSchema, spot: Spot, name: str) -> tuple[str, ...]:
    """Locations of the schemas of one property; `additionalProperties` where a part does not declare it."""
    found: list[str] = []
    for part in spot.parts:
        if name in part.schema.get("properties", {}):
            found.append(pointers.join(part.location, "properties", name))
        elif "additionalProperties" in part.schema and "patternProperties" not in part.schema:
            found.append(pointers.join(part.location, "additionalProperties"))
    return tuple(location for location in found if location in doc.schemas)


def of_item(spot: Spot, index: int) -> tuple[str, ...]:
    """Locations of the schemas of one item: `prefixItems` (or `items` as a list) first, then the rest."""
    found: list[str] = []
    for part in spot.parts:
        places, rest = _item_keywords(part.schema)
        if places and index < len(part.schema[places]):
            found.append(pointers.join(part.location, places, index))
        elif rest in part.schema:
            found.append(pointers.join(part.location, rest))
    return tuple(found)


def fixed_places(spot: Spot) -> int:
    """How many places of an array have a schema of their own."""
    sizes = [len(part.schema[places]) for part in spot.parts if (places := _item_keywords(part.schema)[0])]
    return max(sizes, default=0)


def _item_keywords(schema: Mapping[str, Any]) -> tuple[str, str]:
    """(keyword of the fixed places or "", keyword of all other items); drafts before 2020-12 wrote it differently."""
    if isinstance(schema.get("items"), list):
        return "items", "additionalItems"
    return ("prefixItems" if "prefixItems" in schema else ""), "items"
