"""JSON pointers (RFC 6901) as plain strings: "" is the whole document. Used all over `core/forms`."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, unquote


def escape(token: str | int) -> str:
    return str(token).replace("~", "~0").replace("/", "~1")


def join(pointer: str, *tokens: str | int) -> str:
    """`join("/a", "b/c", 0)` is `/a/b~1c/0`."""
    return pointer + "".join(f"/{escape(token)}" for token in tokens)


def split(pointer: str) -> list[str]:
    """The unescaped tokens; "" has none."""
    if not pointer:
        return []
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/")]


def from_path(path: Sequence[str | int]) -> str:
    return join("", *path)


def from_reference(reference: str) -> str | None:
    """The pointer a local `$ref` names, or None when it is not `#` or `#/...` (remote, anchor, relative)."""
    if not reference.startswith("#"):
        return None
    pointer = unquote(reference[1:])
    return pointer if pointer == "" or pointer.startswith("/") else None


def to_fragment(pointer: str) -> str:
    """The pointer as a URI fragment, for use behind `#`."""
    return quote(pointer, safe="/~")


def last(pointer: str) -> str:
    """The last token, unescaped; "" for the whole document."""
    return split(pointer)[-1] if pointer else ""
