"""Which leaves an answer schema has and how each is judged. `plan` reads the schema once (cached by its text); called by
`judge`, `close` and `gold`. What a schema leaves open is decided by the values themselves in `leaves.py`."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from enum import StrEnum
from json.encoder import encode_basestring
from typing import Any, cast

import msgspec
from msgspec.structs import replace

CRITICAL = "x-critical"  # true: the field holds the money; with none of these, every field does
TOLERANCE = "x-tolerance"  # of a number: how far two values may be apart and still be the same
KEY = "x-key"  # of an array of objects: the property that says which members are the same thing
ORDERED = "x-ordered"  # of an array of options: true keeps their order; without it they are a set
MAX_DEPTH = 16
_EXACT_FORMATS = frozenset(
    {"date", "date-time", "time", "duration", "email", "idn-email", "uri", "uri-reference", "iri", "uuid"}
    | {"hostname", "ipv4", "ipv6", "regex", "json-pointer"}
)
_KEYS = ("id", "key", "sku", "code", "name")  # looked for, in this order, where a schema names no key


class FieldKind(StrEnum):
    OBJECT = "object"  # its properties are judged, not itself
    CLOSED = "closed"  # boolean, enum, const: one of `options`
    NUMBER = "number"
    EXACT = "exact"  # a string that is right to the letter: date, e-mail, pattern
    TEXT = "text"  # words: the likest of all
    SET = "set"  # an array of options without order: each option is in or out
    LIST = "list"  # any other array: the same, or the likest
    WHOLE = "whole"  # too much to look into: the same to the letter, or not
    KEYED = "keyed"  # an array of objects with a key: member by member
    ANY = "any"  # the schema does not say: see the values


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One place of the schema. `options` are canonical JSON texts in the schema's order; `children` the properties
    of an object or, under "*", the members of an array."""

    kind: FieldKind
    options: tuple[str, ...] = ()
    critical: bool = False
    required: bool = False
    tolerance: float = 0.0
    key: str = ""
    children: dict[str, Field] = {}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole schema. `marked` tells whether any field is `x-critical`."""

    root: Field
    marked: bool


def canonical(value: Any) -> str:
    """A JSON value as one text: equal values, equal texts. Keys sorted; a float that is whole is an integer."""
    if isinstance(value, str):  # the most common by far
        return encode_basestring(value)
    if isinstance(value, bool) or value is None:
        return "null" if value is None else "true" if value else "false"
    return json.dumps(_whole(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def plan(schema: Mapping[str, Any] | None) -> Plan:
    """None or {} means any object. The schema has passed the profile of `core.forms`; keywords that are not read
    here are ignored."""
    return _plan(msgspec.json.encode(schema or {}))


def widest_choice(schema: Mapping[str, Any] | None) -> int:
    """How many options the widest choice of the schema has; 0 where there is none. A set is a yes or no for each member."""
    return _widest(plan(schema).root)


def _widest(field: Field) -> int:
    if field.kind is FieldKind.SET:
        return 2
    own = len(field.options) if field.kind is FieldKind.CLOSED else 0
    return max([own, *(_widest(child) for child in field.children.values())])


@functools.lru_cache(maxsize=256)
def _plan(text: bytes) -> Plan:
    schema = msgspec.json.decode(text)
    root = _field(schema, schema, required=True, depth=0)
    return Plan(root=root, marked=_marked(root))


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in cast("list[Any]", value)]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _marked(field: Field) -> bool:
    return field.critical or any(_marked(child) for child in field.children.values())


def _field(schema: Any, root: Mapping[str, Any], *, required: bool, depth: int) -> Field:
    node = _resolved(schema, root, depth)
    critical = node.get(CRITICAL) is True
    tolerance = node.get(TOLERANCE)
    base = Field(kind=FieldKind.ANY, critical=critical, required=required)
    kinds = _types(node)
    if "const" in node or "enum" in node:
        values = [node["const"]] if "const" in node else node["enum"]
        return replace(base, kind=FieldKind.CLOSED, options=tuple(dict.fromkeys(map(canonical, values))))
    if depth >= MAX_DEPTH or len(kinds) != 1:
        return base
    match kinds[0]:
        case "boolean":
            return replace(base, kind=FieldKind.CLOSED, options=("false", "true"))
        case "number" | "integer":
            near = float(tolerance) if isinstance(tolerance, int | float) and tolerance >= 0 else 0.0
            return replace(base, kind=FieldKind.NUMBER, tolerance=near)
        case "string":
            exact = node.get("format") in _EXACT_FORMATS or "pattern" in node
            return replace(base, kind=FieldKind.EXACT if exact else FieldKind.TEXT)
        case "object":
            return replace(base, kind=FieldKind.OBJECT, children=_properties(node, root, depth))
        case "array":
            return _array(node, root, base, depth)
        case _:
            return base


def _array(node: Mapping[str, Any], root: Mapping[str, Any], base: Field, depth: int) -> Field:
    items = node.get("items")
    if not isinstance(items, dict):
        return replace(base, kind=FieldKind.LIST)
    member = _field(items, root, required=True, depth=depth + 1)
    if member.kind is FieldKind.CLOSED and node.get(ORDERED) is not True:
        return replace(base, kind=FieldKind.SET, options=member.options, children={"*": member})
    if member.kind is FieldKind.OBJECT:
        named = node.get(KEY)
        keys = [named] if isinstance(named, str) else list(_KEYS)
        key = next((one for one in keys if one in member.children and member.children[one].required), "")
        if key:
            return replace(base, kind=FieldKind.KEYED, key=key, children={"*": member})
    return replace(base, kind=FieldKind.LIST, children={"*": member})


def _properties(node: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> dict[str, Field]:
    properties = cast("dict[str, Any]", node.get("properties") or {})
    required = cast("list[str]", node.get("required") or [])
    return {
        name: _field(inner, root, required=name in required, depth=depth + 1)
        for name, inner in properties.items()
    }


def _types(node: Mapping[str, Any]) -> list[str]:
    """The JSON types without null, which is judged as an absence."""
    named = node.get("type")
    if named is None:
        return ["object"] if "properties" in node else []
    names = cast("list[str]", named) if isinstance(named, list) else [str(named)]
    return [name for name in names if name != "null"]


def _resolved(schema: Any, root: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
    """Local references followed; `anyOf`/`oneOf`/`allOf` with one alternative that is not null read as that one."""
    node: Any = schema
    for _ in range(MAX_DEPTH):
        if not isinstance(node, dict):
            return {}
        node = cast("dict[str, Any]", node)
        reference = node.get("$ref")
        if isinstance(reference, str):
            rest = {name: value for name, value in node.items() if name != "$ref"}
            node = {**_target(reference, root), **rest}
            continue
        alone = _only_alternative(node)
        if alone is None:
            return node
        rest = {name: value for name, value in node.items() if name not in ("anyOf", "oneOf", "allOf")}
        node = {**alone, **rest}
    return {}


def _only_alternative(node: Mapping[str, Any]) -> dict[str, Any] | None:
    for keyword in ("anyOf", "oneOf", "allOf"):
        found = node.get(keyword)
        if isinstance(found, list):
            real = [one for one in cast("list[Any]", found) if one != {"type": "null"}]
            if len(real) == 1 and isinstance(real[0], dict):
                return cast("dict[str, Any]", real[0])
    return None


def _target(reference: str, root: Mapping[str, Any]) -> dict[str, Any]:
    node: Any = root
    if not reference.startswith("#"):
        return {}
    for part in reference[1:].split("/")[1:]:
        if not isinstance(node, dict):
            return {}
        node = cast("dict[str, Any]", node).get(part.replace("~1", "/").replace("~0", "~"))
    return cast("dict[str, Any]", node) if isinstance(node, dict) else {}
