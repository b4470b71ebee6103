"""The handful of pure functions that a connector file's JMESPath may call besides the built-in ones.
Registered by `connectors/expressions.py`. Text functions take anything: null counts as empty text."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from html.parser import HTMLParser
from typing import Any, cast

import msgspec
from jmespath import functions as _functions

from core import clock
from core.money import decimal_of

_signature: Any = cast("Any", _functions).signature
_Base: Any = cast("Any", _functions).Functions

# A message longer than this is nobody's question, and HTMLParser's time must stay bounded.
MAX_HTML = 200_000
_BLOCKS = frozenset(
    [
        "p",
        "div",
        "br",
        "li",
        "ul",
        "ol",
        "tr",
        "table",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "blockquote",
        "pre",
        "section",
        "article",
        "header",
        "footer",
    ]
)
_HIDDEN = frozenset({"script", "style", "head", "template"})
_DECIMALS = {"SATS": 0, "JPY": 0, "KRW": 0, "BTC": 8}


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self.hidden += 1
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self.hidden = max(0, self.hidden - 1)
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)


def text_of(value: object) -> str:
    """A text as it is, null as nothing, anything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def html_to_text(value: object) -> str:
    """What a reader would see of a piece of HTML, one line per block, no blank lines."""
    text = text_of(value)[:MAX_HTML]
    if "<" in text or "&" in text:  # else it is plain text already, and the parser costs 30 µs
        parser = _Text()
        parser.feed(text)
        parser.close()
        text = "".join(parser.parts)
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def truncate(value: object, length: int | float) -> str:
    """At most `length` characters, the last one an ellipsis when something was cut."""
    text, limit = text_of(value), max(1, int(length))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def moment_of(value: object) -> datetime | None:
    """An aware UTC moment from an ISO 8601 text (no offset means UTC) or unix seconds; None when it is neither."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def iso(value: object) -> str | None:
    """`2026-11-23T21:30:00.000Z`, or null when the value is no time."""
    moment = moment_of(value)
    return clock.iso(moment) if moment else None


def epoch(value: object) -> int | None:
    """Whole unix seconds, or null when the value is no time."""
    moment = moment_of(value)
    return clock.to_ms(moment) // 1000 if moment else None


def seconds_between(start: object, end: object, margin: int | float = 0) -> int | None:
    """Whole seconds from the one moment to the other, less a margin; null when either is no time. Negative when the
    end has passed."""
    first, last = moment_of(start), moment_of(end)
    if first is None or last is None:
        return None
    return (clock.to_ms(last) - clock.to_ms(first)) // 1000 - int(margin)


# What a value of each `data_type` of Fin's attributes is (developers.intercom.com, Procedure HITL notification object).
_HITL_TYPES: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "string": {"type": "string", "minLength": 1, "maxLength": 10_000},
    "integer": {"type": "integer"},
    "decimal": {"type": "number"},
    "number": {"type": "number"},
    "float": {"type": "number"},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
}
MAX_HITL_ATTRIBUTES = 100


def hitl_schema(attributes: object) -> dict[str, Any] | None:
    """The answer's JSON Schema for a Fin procedure's `attributes_to_collect`: one required property for each, named by
    its identifier and titled by its label; a list becomes the ids of its options under their labels. An unknown type is
    text. Null when there is nothing to collect."""
    listed = cast("list[object]", attributes) if isinstance(attributes, list) else []
    properties: dict[str, dict[str, Any]] = {}
    for one in listed[:MAX_HITL_ATTRIBUTES]:
        attribute = cast("dict[str, Any]", one) if isinstance(one, dict) else {}
        identifier = attribute.get("identifier")
        if isinstance(identifier, str) and identifier:
            title = text_of(attribute.get("label") or attribute.get("name"))
            properties[identifier] = {
                **({"title": truncate(title, 200)} if title else {}),
                **(
                    _options(attribute.get("options"))
                    or _HITL_TYPES.get(text_of(attribute.get("data_type")), _HITL_TYPES["string"])
                ),
            }
    if not properties:
        return None
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _options(options: object) -> dict[str, Any]:
    listed = cast("list[object]", options) if isinstance(options, list) else []
    found = [cast("dict[str, Any]", one) for one in listed if isinstance(one, dict)]
    titles = {
        text_of(one["id"]): truncate(one.get("label") or one["id"], 200) for one in found if one.get("id")
    }
    if not titles:
        return {}
    return {"type": "string", "enum": list(titles), "x-hub-enum-titles": list(titles.values())}


def money(value: object, currency: str) -> str | None:
    """`12.50 USD` with the places of the currency, half to even; null when the value is no number."""
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        return None
    try:
        amount = decimal_of(str(value)).quantize(
            Decimal(1).scaleb(-_DECIMALS.get(currency, 2)), ROUND_HALF_EVEN
        )
    except (ValueError, ArithmeticError):
        return None
    return f"{amount} {currency}"


class HubFunctions(_Base):
    """JMESPath finds a function by the method name `_func_<name>`; its signature lists the argument types."""

    @_signature({"types": []})
    def _func_html_to_text(self, value: object) -> str:
        return html_to_text(value)

    @_signature({"types": []}, {"types": ["number"]})
    def _func_truncate(self, value: object, length: int | float) -> str:
        return truncate(value, length)

    @_signature({"types": []}, {"types": ["string"]}, {"types": ["string"]})
    def _func_replace(self, value: object, old: str, new: str) -> str:
        return text_of(value).replace(old, new)

    @_signature({"types": []})
    def _func_iso(self, value: object) -> str | None:
        return iso(value)

    @_signature({"types": []})
    def _func_epoch(self, value: object) -> int | None:
        return epoch(value)

    @_signature({"types": []}, {"types": ["string"]})
    def _func_money(self, value: object, currency: str) -> str | None:
        return money(value, currency)

    @_signature({"types": []}, {"types": [], "variadic": True})
    def _func_seconds_between(self, start: object, end: object, margin: object = 0) -> int | None:
        return seconds_between(start, end, margin if isinstance(margin, (int, float)) else 0)

    @_signature({"types": []})
    def _func_hitl_schema(self, attributes: object) -> dict[str, Any] | None:
        return hitl_schema(attributes)
