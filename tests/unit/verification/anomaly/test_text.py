"""What of an answer is compared: its free text, nearly alike or not, and its choices."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.verification.anomaly.text import choice, free_text, near, normalised, simhash

LONG = (
    "The customer wrote twice about the parcel that came late and the refund that was promised by the agent on "
    "Monday, and attached a photograph of the damaged box together with the receipt of the shop."
)
OTHER = (
    "Please reset the router, wait for two minutes until the lamp is green, and try to open the page again; if it "
    "does not help, we will send a technician on Thursday morning between nine and eleven."
)


def test_a_text_is_the_same_however_it_is_written() -> None:
    assert normalised("  Hello,   WORLD! ") == normalised("hello world") == "hello world"
    assert simhash(normalised(LONG)) == simhash(normalised(LONG.upper().replace(",", ";")))


def test_a_changed_word_is_nearly_the_same_and_another_text_is_not() -> None:
    own = simhash(normalised(LONG * 3))
    assert near(own, simhash(normalised(LONG * 3 + " Thanks!")))
    assert not near(own, simhash(normalised(OTHER * 3)))


def test_simhash_is_what_its_definition_says() -> None:
    words = normalised(LONG).split()
    grams = {" ".join(words[n : n + 3]) for n in range(len(words) - 2)}
    hashes = [int.from_bytes(hashlib.blake2b(g.encode(), digest_size=8).digest(), "big") for g in grams]
    votes = [sum(1 if value >> bit & 1 else -1 for value in hashes) for bit in range(64)]
    assert simhash(normalised(LONG)).bit_count() == sum(vote > 0 for vote in votes)


@pytest.mark.parametrize(
    ("answer", "text", "chosen"),
    [
        ({"eligible": True, "code": "approved"}, False, True),
        ({"notes": LONG}, True, False),
        ({"notes": LONG, "ok": False}, True, True),
        ({"n": 7}, False, False),
        ({"notes": "ok"}, False, True),
        ([], False, False),
        (None, False, False),
    ],
)
def test_what_was_written_and_what_was_chosen(answer: Any, text: bool, chosen: bool) -> None:
    assert (free_text(answer) != "", choice(answer) is not None) == (text, chosen)


def test_choices_know_their_place_and_not_their_order() -> None:
    assert choice({"a": "x", "b": "y"}) == choice({"b": " Y", "a": "x"})
    assert choice({"a": "x", "b": "y"}) != choice({"a": "y", "b": "x"})


@given(st.text(max_size=300))
def test_any_text_has_a_hash(text: str) -> None:
    assert 0 <= simhash(normalised(text)) < 2**64
