"""Strict reading of an operator's YAML: no duplicate keys, no keys that are not text, decimals without floats, and
every unknown key named with its path and the nearest known one. Used by `connectors/config.py`."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, cast

import msgspec
import yaml
from msgspec import inspect as shapes

from connectors.expressions import nearest
from core.errors import Misconfigured

MAX_CHARACTERS = 262_144


class _Loader(yaml.SafeLoader):
    """PyYAML lets the last of two equal keys win and reads `off` and `on` as booleans (YAML 1.1); both have cost
    people an evening, so equal keys are refused and booleans are `true` and `false` as in YAML 1.2."""

    yaml_implicit_resolvers = {  # noqa: RUF012 -- PyYAML's own attribute, copied so that other loaders keep theirs
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in cast("Any", yaml.SafeLoader).yaml_implicit_resolvers.items()
    }


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, object]:
    result: dict[str, object] = {}
    for key_node, value_node in node.value:
        key = cast("object", loader.construct_object(key_node, deep=True))  # pyright: ignore[reportUnknownMemberType] -- types-pyyaml leaves it open
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(
                None,
                None,
                f"the key `{key_node.value}` is read as {type(key).__name__}; quote it",
                key_node.start_mark,
            )
        if key in result:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key `{key}` stands twice", key_node.start_mark
            )
        result[key] = cast("object", loader.construct_object(value_node, deep=True))  # pyright: ignore[reportUnknownMemberType] -- as above
    return result


def _decimal(loader: _Loader, node: yaml.ScalarNode) -> Decimal:
    text = str(loader.construct_scalar(node))
    try:
        return Decimal(text.replace("_", ""))
    except ArithmeticError as error:
        raise yaml.constructor.ConstructorError(
            None, None, f"`{text}` is not a plain decimal number", node.start_mark
        ) from error


cast("Any", _Loader).add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|false)\Z"), list("tf")
)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:float", _decimal)


def read(text: str, file_name: str) -> dict[str, Any]:
    """The document as plain values; decimals are `Decimal`, dates `date`. Raises Misconfigured with line and column."""
    if len(text) > MAX_CHARACTERS:
        raise Misconfigured(
            "connector_file", f"{file_name}: longer than {MAX_CHARACTERS} characters", file=file_name
        )
    try:
        document: object = yaml.load(text, _Loader)  # noqa: S506 -- _Loader is SafeLoader with stricter constructors
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise Misconfigured("connector_file", f"{file_name}{place}: {problem}", file=file_name) from error
    if not isinstance(document, dict):
        raise Misconfigured("connector_file", f"{file_name}: not a mapping of settings", file=file_name)
    return cast("dict[str, Any]", document)


def unknown_keys(document: object, form: type[msgspec.Struct]) -> dict[str, str]:
    """Path -> what to do, for every key of the document that the Struct and those inside it do not have."""
    found: dict[str, str] = {}
    _compare(document, shapes.type_info(form), "", found)
    return found


def allowed_at(form: type[msgspec.Struct], path: str) -> list[str]:
    """The words a setting may have, when it is one of a few; `path` as msgspec writes it (`inbound.routes[0].action`)."""
    shape: shapes.Type | None = shapes.type_info(form)
    for step in re.findall(r"[^.\[\]]+|\[", path.replace("[...]", "[0]")):
        if step.isdigit():
            continue
        shape = _inside(shape, step)
    if isinstance(shape, shapes.UnionType):
        shape = next((member for member in shape.types if isinstance(member, shapes.LiteralType)), None)
    return [str(value) for value in shape.values] if isinstance(shape, shapes.LiteralType) else []


def _inside(shape: shapes.Type | None, step: str) -> shapes.Type | None:
    for member in shape.types if isinstance(shape, shapes.UnionType) else (shape,):
        if isinstance(member, shapes.StructType):
            return next((field.type for field in member.fields if field.encode_name == step), None)
        if isinstance(member, shapes.ListType) and step == "[":
            return member.item_type
        if isinstance(member, shapes.DictType):
            return member.value_type
    return None


def _compare(value: object, shape: shapes.Type, path: str, found: dict[str, str]) -> None:
    if isinstance(shape, shapes.UnionType):
        for member in shape.types:
            if isinstance(member, (shapes.StructType, shapes.ListType, shapes.DictType)):
                _compare(value, member, path, found)
    elif isinstance(shape, shapes.StructType) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in shape.fields}
        for key, member in cast("dict[str, object]", value).items():
            inner = f"{path}.{key}" if path else key
            if key in fields:
                _compare(member, fields[key], inner, found)
            else:
                found[inner] = f"unknown key{nearest(key, set(fields))}; known here: {', '.join(fields)}"
    elif isinstance(shape, shapes.DictType) and isinstance(value, dict):
        for key, member in cast("dict[str, object]", value).items():
            _compare(member, shape.value_type, f"{path}.{key}" if path else key, found)
    elif isinstance(shape, shapes.ListType) and isinstance(value, list):
        for index, member in enumerate(cast("list[object]", value)):
            _compare(member, shape.item_type, f"{path}[{index}]", found)
