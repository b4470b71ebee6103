"""Schemas, answers and bodies that a stranger might send to hang, confuse or get past the hub. Used by the tests (what
comes of each) and by the benchmark `hostile` (how long each takes)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

OPEN: dict[str, Any] = {"type": "object"}
TEXT: dict[str, Any] = {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}
STRICT: dict[str, Any] = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}, "n": {"type": "integer", "maximum": 10}},
    "required": ["ok"],
    "additionalProperties": False,
}


def deep(levels: int, *, member: str = "a") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {member: found}
    return found


def deep_list(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


def deep_schema(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        found = {"type": "object", "properties": {"a": found}}
    return found


def doubling(levels: int, keyword: str = "allOf") -> dict[str, Any]:
    """Each level refers twice to the one below: 2^levels evaluations."""
    defs = {f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    return OPEN | {"$defs": defs | {f"d{levels}": {"minProperties": 1}}, "$ref": "#/$defs/d0"}


def with_pattern(pattern: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": {"type": "string", "pattern": pattern}}}


def with_x(**keywords: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": keywords}}


# Each of these is refused when the task is created.
REFUSED_SCHEMAS: dict[str, Any] = {
    "nested 30,000 deep": deep_schema(30_000),
    "nested 200 deep": deep_schema(200),
    "a reference to a web server": OPEN | {"$ref": "http://127.0.0.1:9/schema.json"},
    "a reference to a file": OPEN | {"$ref": "file:///etc/passwd"},
    "a relative reference": OPEN | {"$ref": "other.json"},
    "an unknown draft at a URL": OPEN | {"$schema": "http://127.0.0.1:9/meta.json"},
    "an id that moves the base": OPEN | {"properties": {"x": {"$id": "http://127.0.0.1:9/", "$ref": "y"}}},
    "a reference to itself": OPEN | {"$ref": "#"},
    "a ring of references": OPEN
    | {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "a reference into nothing": OPEN | {"$ref": "#/$defs/none"},
    "a dynamic reference": OPEN | {"$dynamicRef": "#x"},
    "doubling references, 26 levels": doubling(26),
    "doubling oneOf, 26 levels": doubling(26, "oneOf"),
    "doubling anyOf, 26 levels": doubling(26, "anyOf"),
    "a pattern with look-ahead": with_pattern("^(?=(a+)+$)"),
    "a pattern with look-behind": with_pattern("(?<=a)b"),
    "a pattern with a back-reference": with_pattern("^(a+)\\1+$"),
    "a pattern that counts to a billion": with_pattern("^a{1000000000}$"),
    "a pattern of nested counts": with_pattern("((a{0,1000}){0,1000}){0,1000}"),
    "a pattern that is none": with_pattern("("),
    "an enum of 50,000": with_x(enum=[f"value {n}" for n in range(50_000)]),
    "a megabyte of description": with_x(description="x" * 1_000_000),
    "10,000 properties": {"type": "object", "properties": {f"p{n}": {} for n in range(10_000)}},
    "a lone surrogate": with_x(const="\ud800"),
    "a NUL": with_x(const="\0"),
    "a NUL in a name": {"type": "object", "properties": {"a\0b": {"type": "string"}}},
    "not a number": with_x(maximum=float("nan")),
    "no object": {"type": "array"},
    "true": True,
    "a list": [],
    "a keyword of another draft": OPEN | {"definitions": {}, "id": "x"},
}

HUGE = 10**400
ZALGO = "e" + "\u0301" * 20_000
LOOKALIKE = "аpproved"  # the first letter is Cyrillic
CHOICE = {
    "type": "object",
    "properties": {"x": {"enum": ["approved", "denied"]}},
    "required": ["x"],
    "additionalProperties": False,
}

# (schema, answer): none of these fits.
REFUSED_ANSWERS: dict[str, tuple[dict[str, Any], Any]] = {
    "nested 100,000 deep": (OPEN, deep(100_000)),
    "lists 100,000 deep": (OPEN, {"x": deep_list(100_000)}),
    "a million values": (OPEN, {"x": [0] * 1_000_000}),
    "100,000 names": (OPEN, {f"n{n}": n for n in range(100_000)}),
    "10 MB of text": (TEXT, {"x": "x" * 10_000_000}),
    "a NUL": (TEXT, {"x": "a\0b"}),
    "a NUL in a name": (OPEN, {"a\0": 1}),
    "a lone surrogate": (TEXT, {"x": "\ud800"}),
    "a reversed pair of surrogates": (TEXT, {"x": "\udc00\ud800"}),
    "a lone surrogate in a name": (OPEN, {"\udfff": 1}),
    "a number of 400 digits": (OPEN, {"x": HUGE}),
    "not a number": (OPEN, {"x": float("nan")}),
    "infinity": (OPEN, {"x": float("-inf")}),
    "bytes": (OPEN, {"x": b"x"}),
    "a name that is no text": (OPEN, {1: 2}),
    "a letter that looks like another": (CHOICE, {"x": LOOKALIKE}),
    "a space that cannot be seen": (CHOICE, {"x": "approved\u200b"}),
    "text turned round": (CHOICE, {"x": "\u202eapproved"}),
    "another form of the same letters": (CHOICE, {"x": "ａｐｐｒｏｖｅｄ"}),
    "another case": (CHOICE, {"x": "Approved"}),
    "a list in place of the text": (CHOICE, {"x": ["approved"]}),
    "__proto__": (STRICT, {"ok": True, "__proto__": {"n": 99}}),
    "constructor": (STRICT, {"ok": True, "constructor": {"prototype": {}}}),
    "a number for yes": (STRICT, {"ok": 1}),
    "a text for yes": (STRICT, {"ok": "true"}),
    "a fraction for a whole": (STRICT, {"ok": True, "n": 1.5}),
    "one beyond the greatest": (STRICT, {"ok": True, "n": 11}),
    "a whole number beyond every float": (STRICT, {"ok": True, "n": 10**19}),
    "no object": (OPEN, []),
    "null": (OPEN, None),
    "a text": (OPEN, '{"ok": true}'),
    "regex bomb (a+)+$": (with_pattern("^(a+)+$"), {"x": "a" * 60_000 + "!"}),
    "regex bomb (a|aa)+$": (with_pattern("^(a|aa)+$"), {"x": "a" * 60_000 + "!"}),
    "regex bomb (.*a){20}": (with_pattern("^(.*a){20}$"), {"x": "a" * 60_000 + "!"}),
    "regex bomb of words": (with_pattern(r"^([a-z]+\s?)+$"), {"x": "ab " * 20_000 + "!"}),
    "marks piled up": (with_x(type="string", maxLength=100), {"x": ZALGO}),
    "equal things, 10,000 of them": (
        with_x(type="array", uniqueItems=True),
        {"x": [{"a": n % 4_000} for n in range(4_900)]},
    ),
}

# (schema, answer): odd, and right all the same.
TAKEN_ANSWERS: dict[str, tuple[dict[str, Any], Any]] = {
    "__proto__ where every name is welcome": (OPEN, {"__proto__": {"admin": True}}),
    "marks piled up": (TEXT, {"x": ZALGO}),
    "text turned round": (TEXT, {"x": "\u202eevil"}),
    "markup": (TEXT, {"x": "<script>alert(1)</script>{{7*7}}${7*7}"}),
    "a formula": (TEXT, {"x": '=cmd|"/c calc"!A1'}),
    "an integer of 19 digits": (OPEN, {"x": 9223372036854775807}),
    "-0.0": (OPEN, {"x": -0.0}),
    "the greatest float": (OPEN, {"x": 1.7976931348623157e308}),
    "a whole number with a point": (STRICT, {"ok": True, "n": 3.0}),
    "beyond the first plane": (TEXT, {"x": "😀" * 1_000}),
}

# Bodies of requests: none of these is read.
REFUSED_BODIES: dict[str, bytes] = {
    "nested 1,000,000 deep": b'{"a":' * 1_000_000 + b"1" + b"}" * 1_000_000,
    "lists 1,000,000 deep": b'{"a":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
    "nested 65 deep": b'{"a":' * 66 + b"1" + b"}" * 66,
    "not closed": b'{"a":' * 1_000_000,
    "a NUL": b'{"x":"\\u0000"}',
    "a NUL in a name": b'{"\\u0000":1}',
    "a NUL byte": b'{"x":"\0"}',
    "a lone surrogate": b'{"x":"\\ud800"}',
    "not UTF-8": b'{"x":"\xff"}',
    "an overlong form": b'{"x":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"x":"\xed\xa0\x80"}',
    "UTF-16": '{"x":1}'.encode("utf-16"),
    "a number of a million digits": b'{"x":' + b"9" * 1_000_000 + b"}",
    "a number of 400 digits": b'{"x":' + b"9" * 400 + b"}",
    "NaN": b'{"x":NaN}',
    "Infinity": b'{"x":-Infinity}',
    "a comment": b'{"x":1/*y*/}',
    "a comma too many": b'{"x":1,}',
    "two values": b'{"x":1}{"y":2}',
    "a list": b"[1]",
    "nothing": b"",
    "spaces alone": b" " * 100_000,
}


def size(value: Any) -> int:
    """Of the JSON text, in bytes; -1 where there is none."""
    try:
        return len(msgspec.json.encode(value))
    except (TypeError, ValueError, RecursionError, OverflowError):
        return -1


def as_json(value: Any) -> str | None:
    """The text for the peer, None where there is none."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return None


def _nine(give: Callable[[int], Any]) -> list[Any]:
    return [give(worker) for worker in range(9)]


def _words(count: int, worker: int) -> str:
    return " ".join(f"w{number * 7 % 997}{worker}" for number in range(count))


# What nine people who got in with it (each fits an open schema) might give to one task, so that nobody gets to the end of
# comparing them.
CROWDS: dict[str, list[Any]] = {
    "9,000 names of each one's own": _nine(lambda w: {f"n{w}_{n}": n for n in range(9_000)}),
    "200 names of each one's own": _nine(lambda w: {f"n{w}_{n}": n for n in range(200)}),
    "3,000 equal names": _nine(lambda w: {f"n{n}": n + (w == 8) for n in range(3_000)}),
    "lists of 9,000 numbers": _nine(lambda w: {"x": [n + w for n in range(9_000)]}),
    "3,000 lines each": _nine(lambda w: {"x": [{"id": n + w * 3_000, "q": w} for n in range(3_000)]}),
    "texts of 200,000 characters": _nine(lambda w: {"x": _words(30_000, w)}),
    "3,000 texts": _nine(
        lambda w: {f"n{n}": f"some words {n} of {w} and others again" for n in range(3_000)}
    ),
    "100 lists of 90": _nine(lambda w: {f"n{n}": [f"a{w * i % 77}" for i in range(90)] for n in range(100)}),
    "lists in lists": _nine(lambda w: {"x": [[w, n] for n in range(3_000)]}),
}
