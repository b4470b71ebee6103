"""The answer-schema profile: which JSON Schemas from strangers the hub takes. `check` is called when a task is
created (its refusals become a 422 with pointers) and, from its cache, by everything that judges or draws answers."""

from __future__ import annotations

import functools
import hashlib
import json
from typing import Any, cast

import jsonschema_rs

from core.errors import Invalid
from core.forms import cost, pointers, walk
from core.forms import keywords as kw
from core.forms.compiled import CompiledSchema
from core.forms.walk import Node

MAX_BYTES = 64 * 1024
# Evaluations of one value, at the top and in the first levels below it: 1 ms of jsonschema-rs at most.
MAX_EXPANSION = 20_000
EXPANSION_LEVELS = 5
CACHED = 256
ANY_OBJECT: dict[str, Any] = {"type": "object"}


def check(schema: object) -> CompiledSchema:
    """The compiled schema; None means any object. Equal schemas are compiled once (the last `CACHED` are kept).

    Raises Invalid("output_schema_invalid") with `field_errors` {"outputSchema/<pointer>": what is wrong and the fix}.
    """
    if schema is None:
        schema = ANY_OBJECT
    if not isinstance(schema, dict):
        raise _invalid({"": "must be a JSON object; leave it out to accept any object"})
    try:
        # The order of properties is the order on the page, so it is part of what is cached.
        text = json.dumps(schema, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
    except RecursionError as error:
        raise _invalid(
            {"": f"nested more than {walk.MAX_NESTING} levels deep; move parts into $defs"}
        ) from error
    except (TypeError, ValueError) as error:  # UnicodeEncodeError (lone surrogate) is a ValueError
        raise _invalid({"": f"is not JSON ({error}); remove that value"}) from error
    if size > MAX_BYTES:
        raise _invalid({"": f"{size} bytes; at most {MAX_BYTES} are allowed"})
    return _compile(text)


@functools.lru_cache(maxsize=CACHED)
def _compile(text: str) -> CompiledSchema:
    root = cast("dict[str, Any]", json.loads(text))
    if problem := walk.json_problem(root):
        raise _invalid(dict([problem]))
    draft = _draft(root)
    nodes, problems = walk.survey(root, draft)
    if problems:
        raise _invalid(problems)
    root = {keyword: value for keyword, value in root.items() if keyword not in {"$schema", "$id"}}
    nodes[""] = Node(location="", schema=root, depth=0)
    targets = _targets(nodes)
    try:
        compiled = CompiledSchema(
            digest=hashlib.sha256(text.encode()).hexdigest(),
            draft=draft,
            root=root,
            schemas={location: node.schema for location, node in nodes.items()},
            targets=targets,
            visits=_visits(nodes, targets),
        )
    except jsonschema_rs.ValidationError as error:
        raise _invalid({pointers.from_path(error.instance_path): _of_metaschema(error)}) from error
    if not _admits_object(compiled, "", 0):
        raise _invalid(
            {"": 'must admit an object; answers are objects, so write "type": "object" at the root'}
        )
    return compiled


def _draft(root: dict[str, Any]) -> str:
    url = root.get("$schema")
    if url is None:
        return kw.DEFAULT_DRAFT
    draft = kw.DRAFT_OF_URL.get(url.removesuffix("#")) if isinstance(url, str) else None
    if draft is None:
        known = ", ".join(sorted(kw.KEYWORDS_OF))
        raise _invalid({"/$schema": f"is none of the drafts known here ({known}); leave it out for 2020-12"})
    return draft


def _targets(nodes: dict[str, Node]) -> dict[str, str]:
    targets: dict[str, str] = {}
    lost: dict[str, str] = {}
    for location, node in nodes.items():
        if not isinstance(node.schema, dict) or "$ref" not in node.schema:
            continue
        target = pointers.from_reference(node.schema["$ref"])
        if target in nodes:
            targets[location] = target
        else:
            lost[pointers.join(location, "$ref")] = "leads to no subschema here; define it under $defs"
    if lost:
        raise _invalid(dict(list(lost.items())[: walk.MAX_PROBLEMS]))
    return targets


def _visits(nodes: dict[str, Node], targets: dict[str, str]) -> dict[str, tuple[int, ...]]:
    # cost.py trusts the shapes of these keywords; the metaschema says so with a pointer, but only afterwards.
    for location, node in nodes.items():
        if not isinstance(node.schema, dict):
            continue
        for keyword, kind in (("properties", dict), ("required", list), ("enum", list)):
            if not isinstance(node.schema.get(keyword, kind()), kind):
                wanted = "an object" if kind is dict else "a list"
                raise _invalid({pointers.join(location, keyword): f"must be {wanted}"})
    try:
        visits = cost.visits(nodes, targets)
    except cost.LoopError as error:
        where = pointers.join(error.location, "$ref") if error.location in targets else error.location
        raise _invalid(
            {where: "leads back to itself; a reference must pass a property or an item"}
        ) from error
    for location, by_depth in visits.items():
        if max(by_depth[:EXPANSION_LEVELS], default=0) > MAX_EXPANSION:
            raise _invalid(
                {location: f"its references expand to more than {MAX_EXPANSION} checks; use fewer of them"}
            )
    return visits


def _of_metaschema(error: jsonschema_rs.ValidationError) -> str:
    keyword = str(error.instance_path[-1]) if error.instance_path else ""
    if keyword == "pattern" or error.instance_path[-2:-1] == ["patternProperties"]:
        return (
            "not a pattern that is judged in linear time: no look-around, no back-reference, no large {n,m}"
            " (minLength and maxLength limit a length)"
        )
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Referencing):
        return "holds a reference that leads nowhere; define it under $defs"
    if keyword == "type":
        return "must be one of string, number, integer, boolean, object, array, null, or a list of these"
    said = error.message.removeprefix("... ").replace("...", "it")[:200]
    return f"is not a valid {keyword or 'schema'}: {said}"


def _admits_object(compiled: CompiledSchema, location: str, depth: int) -> bool:
    """False when the schema surely refuses every object; a sound schema never gets a wrong refusal."""
    schema = compiled.schemas[location]
    if isinstance(schema, bool):
        return schema
    if depth > walk.MAX_NESTING:
        return True
    types = schema.get("type", "object")
    if "object" not in (types if isinstance(types, list) else [types]):
        return False
    listed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if listed is not None and not any(isinstance(value, dict) for value in listed):
        return False
    if location in compiled.targets and not _admits_object(compiled, compiled.targets[location], depth + 1):
        return False
    for keyword, judge in (("allOf", all), ("anyOf", any), ("oneOf", any)):
        places = [pointers.join(location, keyword, index) for index in range(len(schema.get(keyword, [])))]
        if places and not judge(_admits_object(compiled, place, depth + 1) for place in places):
            return False
    return True


def _invalid(problems: dict[str, str]) -> Invalid:
    named = {f"outputSchema{pointer}": sentence for pointer, sentence in problems.items()}
    first = next(iter(named))
    return Invalid("output_schema_invalid", f"{first}: {named[first]}", field_errors=named)
