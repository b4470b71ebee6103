"""Every subschema of an answer schema with its place and depth, and what is wrong with each of them.
Called by `core/forms/profile.py` when a task is created."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterator
from typing import Any, cast

import msgspec

from core.forms import keywords as kw
from core.forms import pointers

Schema = dict[str, Any] | bool

MAX_DEPTH = 8
MAX_NESTING = 48
MAX_SUBSCHEMAS = 2000
MAX_PROPERTIES = 200
MAX_PATTERNS = 40
MAX_PROBLEMS = 20
MAX_DIGITS = 40


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One subschema: its JSON pointer in the document, and how many levels of data lie above it."""

    location: str
    schema: Schema
    depth: int


def children(node: Node) -> Iterator[tuple[str, Node]]:
    """(keyword, subschema) for everything the keywords of this schema hold, in the order written."""
    if isinstance(node.schema, bool):
        return
    for keyword, held in node.schema.items():
        depth = 0 if keyword in kw.DEFINITIONS else node.depth + (keyword not in kw.IN_PLACE)
        place = pointers.join(node.location, keyword)
        if keyword in kw.HOLDS_MAP and isinstance(held, dict):
            for key, sub in cast("dict[str, Any]", held).items():
                if not isinstance(sub, list):  # draft-07 `dependencies` may list property names
                    yield keyword, Node(location=pointers.join(place, key), schema=sub, depth=depth)
        elif keyword in kw.HOLDS_LIST | {"items"} and isinstance(held, list):
            for index, sub in enumerate(cast("list[Any]", held)):
                yield keyword, Node(location=pointers.join(place, index), schema=sub, depth=depth)
        elif keyword in kw.HOLDS_ONE:
            yield keyword, Node(location=place, schema=held, depth=depth)


def json_problem(document: object) -> tuple[str, str] | None:
    """(pointer, sentence) of the first value that no schema may hold: nested too deep, endless numbers, NUL."""
    waiting: list[tuple[str, object, int]] = [("", document, 0)]
    while waiting:
        place, value, nesting = waiting.pop()
        if nesting > MAX_NESTING:
            return place, f"nested more than {MAX_NESTING} levels deep; move parts into $defs"
        if isinstance(value, str) and "\x00" in value:
            return place, "holds a NUL character; remove it"
        if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
            return place, f"a number of more than {MAX_DIGITS} digits; use a smaller one"
        if isinstance(value, dict):
            for key, sub in cast("dict[str, object]", value).items():
                if any(unicodedata.category(sign) == "Cc" for sign in key):
                    return place, "a name holds a control character; remove it"
                waiting.append((pointers.join(place, key), sub, nesting + 1))
        elif isinstance(value, list):
            items = cast("list[object]", value)
            waiting.extend((pointers.join(place, index), sub, nesting + 1) for index, sub in enumerate(items))
    return None


def survey(root: dict[str, Any], draft: str) -> tuple[dict[str, Node], dict[str, str]]:
    """All subschemas by location, and the problems by pointer (at most `MAX_PROBLEMS`)."""
    nodes: dict[str, Node] = {}
    problems: dict[str, str] = {}
    properties = patterns = 0
    waiting = [Node(location="", schema=root, depth=0)]
    while waiting and len(problems) < MAX_PROBLEMS:
        node = waiting.pop()
        nodes[node.location] = node
        if len(nodes) > MAX_SUBSCHEMAS:
            problems[node.location] = f"more than {MAX_SUBSCHEMAS} subschemas; ask fewer things in one task"
            break
        if not isinstance(cast("object", node.schema), dict | bool):
            problems[node.location] = "must be a schema: an object, true or false"
            continue
        if node.depth > MAX_DEPTH:
            problems[node.location] = (
                f"more than {MAX_DEPTH} levels of data; flatten it or move parts into $defs"
            )
            continue
        if isinstance(node.schema, dict):
            problems.update(_own_problems(node.location, node.schema, draft))
            properties += _size(node.schema.get("properties"))
            patterns += ("pattern" in node.schema) + _size(node.schema.get("patternProperties"))
        waiting.extend(reversed([child for _, child in children(node)]))
    if properties > MAX_PROPERTIES:
        problems[""] = f"{properties} properties; at most {MAX_PROPERTIES} are allowed"
    if patterns > MAX_PATTERNS:
        problems[""] = f"{patterns} patterns; at most {MAX_PATTERNS} are allowed"
    return nodes, problems


def _size(value: object) -> int:
    return len(cast("dict[str, object]", value)) if isinstance(value, dict) else 0


def _own_problems(location: str, schema: dict[str, Any], draft: str) -> Iterator[tuple[str, str]]:
    allowed = kw.KEYWORDS_OF[draft]
    for keyword, value in schema.items():
        place = pointers.join(location, keyword)
        if keyword in kw.HINTS:
            if problem := _hint_problem(keyword, value):
                yield place, problem
        elif keyword.startswith("x-") and not keyword.startswith("x-hub-"):
            continue
        elif keyword in {"$id", "$schema"}:
            if location:
                yield place, f"only the root may have {keyword}; remove it here"
        elif keyword not in allowed and keyword not in kw.ANNOTATIONS:
            yield place, _unknown(keyword, draft)
    if "$ref" in schema:
        yield from _ref_problems(location, schema, draft)


def _unknown(keyword: str, draft: str) -> str:
    known = any(keyword in keywords for keywords in kw.KEYWORDS_OF.values())
    what = f"not part of JSON Schema {draft}" if known else "unknown keyword"
    if fix := kw.INSTEAD.get(keyword):
        return f"{what}; {fix}"
    near = difflib.get_close_matches(
        keyword[:64], sorted(kw.KEYWORDS_OF[draft] | kw.ANNOTATIONS | kw.HINTS), n=1
    )
    return f"{what}; did you mean {near[0]}?" if near else f"{what}; remove it or name it x-..."


def _ref_problems(location: str, schema: dict[str, Any], draft: str) -> Iterator[tuple[str, str]]:
    reference = schema["$ref"]
    place = pointers.join(location, "$ref")
    if not isinstance(reference, str) or pointers.from_reference(reference) is None:
        yield place, "only references inside this schema are followed; write #/$defs/name"
    if draft in kw.REF_HIDES_SIBLINGS:
        hidden = set(schema) & kw.KEYWORDS_OF[draft] - {"$ref", "definitions", "$defs"}
        if hidden:
            yield place, f"{draft} ignores {', '.join(sorted(hidden))} beside $ref; put the $ref into allOf"


def _hint_problem(keyword: str, value: object) -> str | None:
    if keyword == kw.HINT_WIDGET and not (isinstance(value, str) and value in kw.WIDGETS):
        return f"must be one of {', '.join(sorted(kw.WIDGETS))}"
    if keyword == kw.HINT_HELP and not isinstance(value, str):
        return "must be a text"
    if keyword == kw.HINT_ORDER and not _texts(value):
        return "must be a list of property names"
    if keyword == kw.HINT_ENUM_TITLES:
        titles = list(cast("dict[str, object]", value).values()) if isinstance(value, dict) else value
        if not _texts(titles):
            return "must be a list of titles in the order of enum, or an object from value to title"
    return None


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in cast("list[object]", value))
