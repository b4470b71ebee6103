"""What an answer holds that can be compared: its free text, as a 64-bit simhash, and its closed part (what was chosen,
not written), as a short digest. Pure."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from core.receipts.canonical import digest

LEAST_TEXT = 20  # characters: what is shorter is alike by chance
MOST_TEXT = 4_000  # characters that are looked at; enough to tell a copy
MOST_CHOSEN = 400  # choices of one answer that are looked at
LONGEST_CHOICE = 40  # a longer text was written, not chosen
NEAR_BITS = (
    10  # of 64: a word in forty is another in four of five cases; of 20,000 unrelated pairs none is below 14
)
_GRAM = 3  # words of one feature
_SPREAD = [sum((byte >> bit & 1) << 16 * bit for bit in range(8)) for byte in range(256)]


def normalised(text: str) -> str:
    """Case, accents' forms, punctuation and spacing do not make a text another one."""
    folded = unicodedata.normalize("NFKC", text[:MOST_TEXT]).casefold()
    return " ".join("".join(c if c.isalnum() else " " for c in folded).split())


def free_text(answer: Any) -> str:
    """Everything in the answer that somebody wrote, in the order of its names; empty when that is trivial."""
    parts: list[str] = []
    room = MOST_TEXT
    for text in _texts(answer):
        if len(text) > LONGEST_CHOICE or text.count(" ") > 2:
            parts.append(normalised(text))
            room -= len(parts[-1]) + 1
            if room <= 0:
                break
    found = " ".join(parts)[:MOST_TEXT]
    return found if len(found) >= LEAST_TEXT else ""


def choice(answer: Any) -> str | None:
    """A digest of what was chosen: booleans and short texts with their places, the first `MOST_CHOSEN`. None when nothing was."""
    chosen = dict(islice(_chosen(answer, ""), MOST_CHOSEN))
    return digest(chosen)[:12] if chosen else None


def simhash(text: str) -> int:
    """Charikar's 64 bits over the text's groups of three words (of three letters, for a text of fewer words)."""
    words = text.split()
    units = words if len(words) >= _GRAM else list(text)
    grams = {" ".join(units[n : n + _GRAM]) for n in range(max(1, len(units) - _GRAM + 1))}
    votes = [0] * 8  # for each byte of the hash its eight counters, 16 bits wide, in one number
    for gram in grams:
        for place, byte in enumerate(hashlib.blake2b(gram.encode(), digest_size=8).digest()):
            votes[place] += _SPREAD[byte]
    found = 0
    for vote in votes:
        for bit in range(8):
            found = found << 1 | (2 * (vote >> 16 * bit & 0xFFFF) > len(grams))
    return found


def near(first: int, second: int) -> bool:
    """Whether two simhashes are of (nearly) one text."""
    return (first ^ second).bit_count() <= NEAR_BITS


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            held = cast("dict[str, Any]", value)
            for name in sorted(held):
                yield from _texts(held[name])
        case list():
            for item in cast("list[Any]", value):
                yield from _texts(item)
        case _:
            pass


def _chosen(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    match value:
        case bool():
            yield place, value
        case str() if len(value) <= LONGEST_CHOICE and value.count(" ") <= 2:
            yield place, value.strip().casefold()
        case dict():
            held = cast("dict[str, Any]", value)
            for name in sorted(held):
                yield from _chosen(held[name], f"{place}/{name}")
        case list():
            for number, item in enumerate(cast("list[Any]", value)):
                yield from _chosen(item, f"{place}/{number}")
        case _:
            pass
