"""Takes e-mail addresses, telephone and card numbers out of what a route maps, before a person sees it. Called by
`connectors/routes.py`. Each value becomes a placeholder that stays the same within one task, so that "write to
[email 1]" still means something and can be turned back where the answer goes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

Kind = Literal["emails", "phones", "cards"]

# Linear time each: no nested quantifier over the same characters.
_EMAIL = re.compile(r"[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){1,8}")
_CARD = re.compile(r"(?<![\d])\d(?:[ \-]?\d){12,18}(?![\d])")
# A number with a plus, or one of three groups as people write them; not dates, ids or amounts.
_PHONE = re.compile(
    r"(?<![\w+])(?:\+\d(?:[ ().\-]{0,2}\d){6,14}|\(?0?\d{2,4}\)?[ .\-]\d{3,4}[ .\-]\d{3,4})(?!\w)"
)
_ORDER: tuple[Kind, ...] = ("emails", "cards", "phones")  # a card number would pass for a telephone
_PATTERNS: dict[Kind, re.Pattern[str]] = {"emails": _EMAIL, "cards": _CARD, "phones": _PHONE}


class Redactor:
    """One per task: equal values get equal placeholders. `found` maps each placeholder to what stood there."""

    def __init__(self, kinds: Sequence[Kind]):
        self._kinds: list[Kind] = [kind for kind in _ORDER if kind in kinds]
        self._names: dict[tuple[Kind, str], str] = {}
        self._placeholders: dict[Kind, Callable[[re.Match[str]], str]] = {
            kind: self._placeholder_of(kind) for kind in self._kinds
        }
        self.found: dict[str, str] = {}

    def clean(self, value: Any) -> Any:
        """The JSON-shaped value with every text in it redacted; keys stay as they are."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            return {key: self.clean(member) for key, member in members.items()}
        if isinstance(value, list):
            return [self.clean(member) for member in cast("list[Any]", value)]
        return value

    def _text(self, text: str) -> str:
        for kind in self._kinds:
            text = _PATTERNS[kind].sub(self._placeholders[kind], text)
        return text

    def _placeholder_of(self, kind: Kind) -> Callable[[re.Match[str]], str]:
        def placeholder(match: re.Match[str]) -> str:
            value = match.group()
            if kind == "cards" and not _luhn(value):
                return value
            known = self._names.get((kind, value))
            if known is None:
                number = 1 + sum(1 for other, _ in self._names if other == kind)
                known = self._names[kind, value] = f"[{kind[:-1]} {number}]"
                self.found[known] = value
            return known

        return placeholder


def restored(value: Any, found: Mapping[str, str]) -> Any:
    """The JSON-shaped value with every placeholder in its texts turned back."""
    if isinstance(value, str):
        for placeholder, text in found.items():
            value = value.replace(placeholder, text)
        return value
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {key: restored(member, found) for key, member in members.items()}
    if isinstance(value, list):
        return [restored(member, found) for member in cast("list[Any]", value)]
    return value


def _luhn(text: str) -> bool:
    """ISO/IEC 7812-1: what tells a card number from an order number."""
    digits = [int(one) for one in text if one.isdigit()]
    doubled = [d if i % 2 == 0 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0
