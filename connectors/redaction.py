"""Takes e-mail addresses, telephone and card numbers out of what a route maps, before a person sees it. Called by
`connectors/routes.py`. Each value becomes a placeholder that stays the same within one task, so that "write to
[email 1]" still means something and can be turned back where the answer goes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

Kind = Literal["emails", "phones", "cards"]

# Linear time each: every repetition is bounded, or followed by nothing that could make it step back.
# What stands before the @ is words as people write them in any script (RFC 6532); the rarer characters of RFC 5322 count
# inside, or alone, so that no address is left whole and quotes around one stay outside.
_EMAIL = re.compile(
    r"(?:[\w.%+\-](?:[\w.%+\-'&]{0,62}[\w.%+\-])?|[!#$&'*/=?^`{|}~\"])@[\w\-]{1,63}(?:\.[\w\-]{1,63}){1,8}"
)
_DIGITS = re.compile(
    r"(?<!\d)\d(?:[ \-]?\d){12,}"
)  # a run in which card numbers may stand beside other numbers
_GROUP = re.compile(r"\d+")
# A number with a plus, or one of three groups as people write them; not dates, ids or amounts.
_PHONE = re.compile(
    r"(?<![\w+])(?:\+\d(?:[ ().\-]{0,2}\d){6,14}|\(?0?\d{2,4}\)?[ .\-]\d{3,4}[ .\-]\d{3,4})(?!\w)"
)
_PLACEHOLDER = re.compile(r"\[(?:email|phone|card|text) \d{1,9}\]")
CARD_DIGITS = range(13, 20)  # ISO/IEC 7812-1


class Redactor:
    """One per task: equal values get equal placeholders. `found` maps each placeholder to what stood there.

    With `numbered=False` the placeholders are `[email]` and are for good: a later message must not use the numbers of
    the question, which stand for other values there."""

    def __init__(self, kinds: Sequence[Kind], *, numbered: bool = True):
        self._kinds = frozenset(kinds)
        self._numbered = numbered
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
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
        if not self._kinds:
            return text
        if "[" in text and self._numbered:
            # What only looks like a placeholder of ours is hidden behind one: else a stranger who writes `[email 1]`
            # would get the first address put there.
            text = _PLACEHOLDER.sub(self._each("text"), text)
        if "emails" in self._kinds and "@" in text:
            text = _EMAIL.sub(self._each("email"), text)
        if "cards" in self._kinds:  # before telephones: a card number would pass for one
            text = _DIGITS.sub(self._cards, text)
        if "phones" in self._kinds:
            text = _PHONE.sub(self._each("phone"), text)
        return text

    def _each(self, word: str) -> Callable[[re.Match[str]], str]:
        return lambda match: self._placeholder(word, match.group())

    def _placeholder(self, word: str, value: str) -> str:
        if not self._numbered:
            return f"[{word}]"
        known = self._names.get((word, value))
        if known is None:
            number = self._counts[word] = self._counts.get(word, 0) + 1
            known = self._names[word, value] = f"[{word} {number}]"
            self.found[known] = value
        return known

    def _cards(self, run: re.Match[str]) -> str:
        """Card numbers in a run of groups: `4111 1111 1111 1111 123` is a card and its check number."""
        text = run.group()
        groups = list(_GROUP.finditer(text))
        out: list[str] = []
        done = index = 0
        while index < len(groups):
            last = _card_from(groups, index)
            if last is None:
                index += 1
                continue
            out.append(text[done : groups[index].start()])
            out.append(self._placeholder("card", text[groups[index].start() : groups[last].end()]))
            done, index = groups[last].end(), last + 1
        return "".join([*out, text[done:]])


def restored(value: Any, found: Mapping[str, str]) -> Any:
    """The JSON-shaped value with every placeholder in its texts turned back, each once: what is put there is not looked
    at again."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: found.get(match.group(), match.group()), value)
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {key: restored(member, found) for key, member in members.items()}
    if isinstance(value, list):
        return [restored(member, found) for member in cast("list[Any]", value)]
    return value


def _card_from(groups: Sequence[re.Match[str]], first: int) -> int | None:
    """The last group of the longest card number that begins with group `first`."""
    digits, best = "", None
    for index in range(first, len(groups)):
        digits += groups[index].group()
        if len(digits) >= CARD_DIGITS.stop:
            break
        if len(digits) in CARD_DIGITS and _luhn(digits):
            best = index
    return best


def _luhn(text: str) -> bool:
    """ISO/IEC 7812-1: what tells a card number from an order number."""
    digits = [int(one) for one in text]
    doubled = [d if i % 2 == 0 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0
