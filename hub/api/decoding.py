"""Reads what strangers send: JSON bodies field by field, query parameters, the Idempotency-Key. Every fault of form is a
Malformed (400) that names each field, never a 500. Used by every handler under `/v1`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import msgspec
from litestar import Request

from core.errors import HubError, Malformed

T = TypeVar("T")

MAX_DEPTH = 64  # of a JSON body; far below where the C decoder and every later reader give up
KEY_LIMIT = 256
REQUIRED = "Field is required"
_BIGGEST = 2**64 - 1  # numbers beyond do not survive other readers, nor Python's own limit on digits
_LONG_NUMBER = re.compile(rb"\d{19}")
_JSON_MEDIA = re.compile(r"application/(?:json|[\w.+-]+\+json)\s*(?:;|\Z)", re.IGNORECASE)

RawObject = dict[str, msgspec.Raw]
_object = msgspec.json.Decoder(RawObject)
_anything = msgspec.json.Decoder()


class UnsupportedMedia(HubError):
    """The body is not sent as JSON: 415."""


async def read_object(request: Request[Any, Any, Any]) -> RawObject:
    """The body as a JSON object whose values are not decoded yet. Raises Malformed, UnsupportedMedia; the framework
    raises 413 over the route's limit."""
    media = request.headers.get("content-type")
    if media and not _JSON_MEDIA.match(media.strip()):
        raise UnsupportedMedia("unsupported_media_type", "Send the body as application/json")
    return object_of(await request.body())


def object_of(body: bytes) -> RawObject:
    """Raises Malformed for broken, too deep, poisoned or oversized JSON and for anything but an object."""
    if not body.strip():
        raise Malformed("body_missing", "A JSON object is expected as the request body")
    try:
        body.decode()
        found = _object.decode(body)
        _refuse_poison(body)
    except RecursionError:
        raise Malformed("json_too_deep", f"The JSON is nested deeper than {MAX_DEPTH} levels") from None
    except UnicodeDecodeError:
        raise Malformed("json_malformed", "The body is not UTF-8") from None
    except msgspec.ValidationError:
        raise Malformed("not_an_object", "A JSON object is expected as the request body") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise Malformed("json_malformed", f"The body is not valid JSON: {error}") from None
    return found


def _refuse_poison(body: bytes) -> None:
    """NUL characters (no database text column takes them), numbers beyond 64 bits, deep nesting. Looking at the bytes
    first tells almost always that there is nothing to look for."""
    suspicious = (
        b"\\u0000" in body
        or _LONG_NUMBER.search(body) is not None
        or body.count(b"[") + body.count(b"{") > MAX_DEPTH
    )
    if not suspicious:
        return
    try:
        tree = _anything.decode(body)
    except msgspec.ValidationError as error:
        raise Malformed("number_out_of_range", f"The body holds a number out of range: {error}") from None
    level: list[tuple[str, Any]] = [("", tree)]
    for _ in range(MAX_DEPTH + 1):
        level = [child for path, value in level for child in _children(path, value)]
        if not level:
            return
    raise RecursionError


def _children(path: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, str):
        if "\0" in value:
            raise _poisoned("nul_character", path, "Must not hold the character U+0000")
    elif isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        if any("\0" in name for name in members):
            raise _poisoned("nul_character", path, "Must not have a name that holds the character U+0000")
        return [(f"{path}.{name}" if path else name, member) for name, member in members.items()]
    elif isinstance(value, list):
        return [(f"{path}[{index}]", item) for index, item in enumerate(cast("list[Any]", value))]
    elif isinstance(value, int) and not -_BIGGEST <= value <= _BIGGEST:
        raise _poisoned("number_out_of_range", path, "Must be a number of at most 64 bits")
    return []


def _poisoned(code: str, path: str, what: str) -> Malformed:
    return Malformed(code, "Invalid request body", field_errors={path[:200] or "(body)": what})


class Fields:
    """Takes fields out of an object one by one and gathers what is wrong with each, so that a caller learns it all at
    once. `null` counts as absent. `prefix` stands before the names in messages."""

    def __init__(
        self, raw: Mapping[str, msgspec.Raw], prefix: str = "", errors: dict[str, str] | None = None
    ):
        self.raw = raw
        self.prefix = prefix
        self.errors: dict[str, str] = {} if errors is None else errors

    def has(self, *names: str) -> bool:
        return self._find(names) is not None

    def take(self, decoder: msgspec.json.Decoder[T], *names: str, required: bool = False) -> T | None:
        """The first of `names` that is present, decoded; None when absent or wrong (then it is in `errors`)."""
        found = self._find(names)
        if found is None:
            if required:
                self.fail(names[0], REQUIRED)
            return None
        name, raw = found
        try:
            return decoder.decode(raw)
        except msgspec.ValidationError as error:
            self.fail(name, _sentence(error))
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            self.fail(name, f"Invalid value: {error}")
        return None

    def raw_value(self, *names: str) -> msgspec.Raw | None:
        found = self._find(names)
        return None if found is None else found[1]

    def inside(self, *names: str, required: bool = False) -> Fields | None:
        """The fields of an object inside this one; its errors are gathered here."""
        members = self.take(_object, *names, required=required)
        return None if members is None else Fields(members, f"{self.prefix}{names[0]}.", self.errors)

    def fail(self, name: str, what: str) -> None:
        self.errors.setdefault(f"{self.prefix}{name}", what)

    def check(self) -> None:
        """Raises Malformed when something was wrong."""
        if self.errors:
            raise Malformed("invalid_body", "Invalid request body", field_errors=self.errors)

    def _find(self, names: tuple[str, ...]) -> tuple[str, msgspec.Raw] | None:
        for name in names:
            raw = self.raw.get(name)
            if raw is not None and bytes(raw).strip() != b"null":
                return name, raw
        return None


def _sentence(error: msgspec.ValidationError) -> str:
    """``Expected `int` >= 30`` without msgspec's own path when there is none inside the field."""
    message, _, path = str(error).rpartition(" - at `$")
    return f"{message} at `{path}" if message else str(error)


# --- headers and query parameters


def idempotency_key(request: Request[Any, Any, Any]) -> str | None:
    """The header's value, quoted (draft-ietf-httpapi-idempotency-key-header) or bare. Raises Malformed."""
    value = request.headers.get("idempotency-key")
    if value is None:
        return None
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = re.sub(r'\\(["\\])', r"\1", value[1:-1])
    if not 0 < len(value) <= KEY_LIMIT or not value.isprintable():
        what = f"Must be 1 to {KEY_LIMIT} printable characters"
        raise Malformed("idempotency_key", "Invalid Idempotency-Key", field_errors={"Idempotency-Key": what})
    return value


class Query:
    """Query parameters, with every fault gathered as `Fields` does. Of a repeated parameter the last counts."""

    def __init__(self, request: Request[Any, Any, Any]):
        self._values: dict[str, str] = dict(request.query_params.items())
        self.errors: dict[str, str] = {}

    def take(self, name: str, parse: Callable[[str], T], what: str) -> T | None:
        """`parse` raises ValueError for a value that is not `what` (told to the caller)."""
        text = self._values.get(name)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError:
            self.errors[name] = what
            return None

    def fail(self, name: str, what: str) -> None:
        self.errors.setdefault(name, what)

    def check(self) -> None:
        if self.errors:
            raise Malformed("invalid_query", "Invalid query parameters", field_errors=self.errors)


def whole(least: int, most: int) -> Callable[[str], int]:
    """Parses plain ASCII digits within bounds."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most):
            raise ValueError
        return int(text)

    return parse


def moment(text: str) -> datetime:
    """An ISO 8601 moment with its offset, as aware UTC. A `+` that a client left unescaped arrives as a space."""
    if not text.isascii() or len(text) > 40 or "T" not in text.upper():
        raise ValueError
    found = datetime.fromisoformat(text.upper().replace(" ", "+"))
    if found.tzinfo is None:
        raise ValueError
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise ValueError from None


PAGE_LIMIT = 100


def paged(request: Request[Any, Any, Any], default: int = 20) -> tuple[int, str | None]:
    """`limit` and `cursor` of a list in pages. Raises Malformed for a limit out of range."""
    query = Query(request)
    limit = query.take("limit", whole(1, PAGE_LIMIT), f"Must be 1 to {PAGE_LIMIT}") or default
    cursor = query.take("cursor", str, "Must be a cursor")
    query.check()
    return limit, cursor
