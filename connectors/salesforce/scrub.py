"""What of a Salesforce body may be kept when nobody verified it: everything but a SessionId, which in old orgs is a live
one and as good as a password. Called by the hub before a delivery goes into quarantine. Pure."""

from __future__ import annotations

import re

from connectors.salesforce.outbound_message import BOM

# Each pattern stops at the next "<" or never goes back (possessive), so that a hostile body costs its length and no more.
_NAME = rb"(?:[^\s<>/:]*+:)?SessionId"
_OPEN = re.compile(rb"<" + _NAME + rb"(?=[\s/>]|\Z)", re.IGNORECASE)
_REST = re.compile(rb"(?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+')*+>")  # of the tag; its attributes may hold ">"
# The end of the element, or what must be stepped over because an end in it is none (XML 1.0, 2.5 and 2.7).
_INSIDE = re.compile(
    rb"(?P<end></" + _NAME + rb"\s*+>)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)",
    re.IGNORECASE | re.DOTALL,
)


def scrub(body: bytes) -> bytes:
    """The body without the text of every SessionId element, in linear time. JSON is left as it is: its signature is over
    these very bytes. Nothing at all of what is neither: compressed, UTF-16 or no text, it is refused whatever secret
    is added later, and nobody could see what it holds."""
    first = body.removeprefix(BOM)[:64].lstrip()[:1]
    if first in (b"{", b"["):
        return body
    if first != b"<" or b"\0" in body:
        return b""
    kept: list[bytes] = []
    done = 0
    while (head := _OPEN.search(body, done)) is not None:
        tag = _REST.match(body, head.end())
        start = tag.end() if tag is not None else head.end()
        kept.append(body[done:start])
        done = start
        if tag is None or not tag.group().endswith(b"/>"):
            done = _end(body, start)
    kept.append(body[done:])
    return b"".join(kept)


def _end(body: bytes, start: int) -> int:
    """Where the element's end tag begins; the end of the body when it has none."""
    for found in _INSIDE.finditer(body, start):
        if found.lastgroup == "end":
            return found.start()
    return len(body)
