"""Redaction: turned back it is what it was, no address is left, and no text makes it slow."""

from __future__ import annotations

import gc
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.redaction import Kind, Redactor, restored

KINDS: list[Kind] = ["emails", "phones", "cards"]
# Texts that are made of what the patterns look for, so that they meet and overlap.
PIECES = st.sampled_from(
    [
        "a@b.co",
        "@",
        ".",
        " ",
        "-",
        "+",
        "1",
        "41",
        "4111 1111 1111 1111",
        "+1 555 010 9999",
        "[email 1]",
        "[",
        "]",
        "[text 1]",
        "[card 2]",
        "é",
        "'",
        "(0",
        ")",
        "\n",
        "x",
    ]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES).map("".join))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), TEXTS),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=8,
)


@given(VALUES, st.lists(st.sampled_from(KINDS)))
def test_what_is_turned_back_is_what_it_was(value: Any, kinds: list[Kind]) -> None:
    redactor = Redactor(kinds)

    assert restored(redactor.clean(value), redactor.found) == value


@given(st.lists(VALUES, max_size=4))
def test_also_over_several_values_of_one_task(values: list[Any]) -> None:
    redactor = Redactor(KINDS)
    cleaned = [redactor.clean(value) for value in values]

    assert restored(cleaned, redactor.found) == values


@given(st.emails(), TEXTS, TEXTS)
def test_no_address_survives(address: str, before: str, after: str) -> None:
    cleaned = Redactor(["emails"]).clean(f"{before} {address} {after}")

    assert address not in cleaned


@given(TEXTS)
def test_what_was_redacted_is_redacted_already(text: str) -> None:
    once = Redactor(KINDS, numbered=False).clean(text)

    assert Redactor(KINDS, numbered=False).clean(once) == once


HOSTILE = {
    "a": "a",
    "local parts": "a" * 64 + "@",
    "domains": "a@" + "b" * 63,
    "dots": "a@b." * 2 + ".",
    "apostrophes": "a'&a'",
    "digits": "4",
    "digit groups": "4 1-",
    "cards that are none": "4111 1111 1111 1112 ",
    "pluses": "+1(",
    "telephones": "020 7946 095",
    "placeholders": "[email 1",
    "brackets": "[",
}


def _seconds(text: str) -> float:
    """Of this process alone, the better of two, without the collector's walks through all that other tests left."""
    gc.collect()
    gc.disable()
    try:
        return min(_once(text) for _ in range(2))
    finally:
        gc.enable()


def _once(text: str) -> float:
    started = time.process_time()
    Redactor(KINDS).clean(text)
    return time.process_time() - started


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
def test_time_grows_with_the_length_alone(unit: str) -> None:
    small, large = (unit * (size // len(unit)) for size in (62_500, 500_000))

    once = max(_seconds(small), 0.01)
    # six times the proportion, for a busy machine; a square would be eight times
    assert _seconds(large) < 8 * once * 6
