"""A task's payload as something a person can read: keys as words, nesting kept, nothing cut in silence. Pure; the
templates draw what this returns, and Jinja escapes every text of it."""

from __future__ import annotations

import json
import re
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

_DEPTH = 8  # deeper than this is shown as JSON: nobody reads nine levels of indentation
_ROWS = 200
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """`text` for a word or a sentence, `link` for an http(s) address, `code` for JSON; `facts` has labelled
    `children`, `list` numbered ones."""

    kind: Literal["text", "link", "code", "facts", "list"]
    label: str = ""
    text: str = ""
    children: tuple[Node, ...] = ()


def readable(value: Any, label: str = "", depth: int = 0) -> Node:
    """Any JSON value, ready to draw."""
    if isinstance(value, str):
        return Node(kind="link" if is_link(value) else "text", label=label, text=value or "(empty)")
    if isinstance(value, bool):
        return Node(kind="text", label=label, text="Yes" if value else "No")
    if value is None:
        return Node(kind="text", label=label, text="(none)")
    if isinstance(value, dict | list) and depth >= _DEPTH:
        return Node(kind="code", label=label, text=json.dumps(value, ensure_ascii=False, indent=1))
    if isinstance(value, dict):
        pairs: list[tuple[str, Any]] = list(value.items())  # pyright: ignore[reportUnknownArgumentType] - JSON
        children = [readable(item, words(key), depth + 1) for key, item in pairs[:_ROWS]]
        return _many("facts", label, children, len(pairs))
    if isinstance(value, list):
        items: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType] - JSON
        children = [readable(item, "", depth + 1) for item in items[:_ROWS]]
        return _many("list", label, children, len(items))
    return Node(kind="text", label=label, text=json.dumps(value))


def _many(kind: Literal["facts", "list"], label: str, children: list[Node], total: int) -> Node:
    if not children:
        return Node(kind="text", label=label, text="(none)")
    if total > len(children):
        children.append(Node(kind="text", text=f"… and {total - len(children)} more"))
    return Node(kind=kind, label=label, children=tuple(children))


def words(key: str) -> str:
    """`customer_message` and `customerMessage` as `Customer message`; what is no identifier stays as it is."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_\-]*", key):
        return key
    parts = _CAMEL.sub(" ", key).replace("_", " ").replace("-", " ").split()
    lowered = [part if part.isupper() and len(part) > 1 else part.lower() for part in parts]
    text = " ".join(lowered)
    return text[:1].upper() + text[1:]


def is_link(text: str) -> bool:
    """True for a plain http or https address and nothing else: `javascript:` never becomes a link."""
    if len(text) > 2000 or any(char.isspace() for char in text):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
