"""In which line of a YAML file a setting stands, so that an error leads to it. Used by `connectors/config.py`, for files
that could be read."""

from __future__ import annotations

import re
from typing import Any, cast

import yaml

_STEP = re.compile(r"[^.\[\]]+")


def line_of(text: str, path: str) -> int | None:
    """The line (from 1) of `inbound.routes[2].when`, or of the nearest thing around it that is in the file; None when
    not even the first step is there."""
    node: Any = yaml.compose(text, yaml.SafeLoader)  # the nodes alone: nothing is constructed
    found: int | None = None
    for step in _STEP.findall(path):
        inner = _inside(node, step)
        if inner is None:
            if step == "routes" and found is not None:
                continue  # `outbound.routes.NAME` may stand as `outbound.NAME`
            break
        found, node = inner
    return found


def _inside(node: object, step: str) -> tuple[int, Any] | None:
    """(line, node) of a mapping's member or a list's item."""
    if isinstance(node, yaml.MappingNode):
        for key, value in cast("list[tuple[Any, Any]]", node.value):
            if key.value == step:
                return key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and step.isdigit():
        items = cast("list[Any]", node.value)
        if int(step) < len(items):
            item = items[int(step)]
            return item.start_mark.line + 1, item
    return None
