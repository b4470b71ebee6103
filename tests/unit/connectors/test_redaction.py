"""What is taken out of a text before a person sees it, and what is left."""

from __future__ import annotations

import pytest

from connectors.redaction import Kind, Redactor, restored

KINDS: list[Kind] = ["emails", "phones", "cards"]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Write to ann@example.com.", "Write to [email 1]."),
        ("<ann+tag@mail.example.co.uk>", "<[email 1]>"),
        ("'ann@example.com'", "'[email 1]'"),
        ("o'brien@example.com", "[email 1]"),
        ("jörg@münchen.example", "[email 1]"),
        ("!#@example.com", "!#@example.com".replace("#@example.com", "[email 1]")),
        ("ann@localhost and @ann", "ann@localhost and @ann"),
        ("a@b.co, c@d.co, a@b.co", "[email 1], [email 2], [email 1]"),
        ("Call +1 555 010 9999 or (020) 7946 0958", "Call [phone 1] or [phone 2]"),
        ("2026-11-24 10:00, order 1234, 12.50 EUR", "2026-11-24 10:00, order 1234, 12.50 EUR"),
        ("ServiceNow 9d385017c611228701d22104cc95c371", "ServiceNow 9d385017c611228701d22104cc95c371"),
        ("4111111111111111", "[card 1]"),
        ("4111-1111-1111-1111", "[card 1]"),
        ("4111 1111 1111 1111 123", "[card 1] 123"),
        ("ref 12 4111 1111 1111 1111", "ref 12 [card 1]"),
        ("3782 822463 10005 and 4111 1111 1111 1111", "[card 1] and [card 2]"),
        ("4111 1111 1111 1112", "[phone 1] 1112"),  # no card; too much hidden is mended by turning it back
        ("4111111111111112", "4111111111111112"),
        ("order 215472621202693", "order 215472621202693"),
        ("[email 1] wrote from ann@example.com", "[text 1] wrote from [email 1]"),
        ("[card one] [mail 1]", "[card one] [mail 1]"),
    ],
)
def test_texts(text: str, cleaned: str) -> None:
    redactor = Redactor(KINDS)

    assert redactor.clean(text) == cleaned
    assert restored(cleaned, redactor.found) == text


def test_only_what_was_asked_for() -> None:
    text = "ann@example.com, +1 555 010 9999, 4111 1111 1111 1111, [email 1]"

    assert Redactor([]).clean(text) == text
    assert Redactor(["cards"]).clean(text) == "ann@example.com, +1 555 010 9999, [card 1], [text 1]"


def test_values_of_any_shape_and_keys_as_they_are() -> None:
    redactor = Redactor(["emails"])
    value = {"a@b.co": ["a@b.co", 1, None, True, {"x": "c@d.co"}]}

    assert redactor.clean(value) == {"a@b.co": ["[email 1]", 1, None, True, {"x": "[email 2]"}]}
    assert redactor.clean("c@d.co") == "[email 2]"
    assert redactor.found == {"[email 1]": "a@b.co", "[email 2]": "c@d.co"}


def test_what_is_put_back_is_not_looked_at_again() -> None:
    found = {"[email 1]": "[email 2]", "[email 2]": "x@y.co"}

    assert restored(["[email 1]", {"a": "[email 2] [email 3]"}, 7], found) == [
        "[email 2]",
        {"a": "x@y.co [email 3]"},
        7,
    ]


def test_without_numbers_it_is_for_good() -> None:
    redactor = Redactor(KINDS, numbered=False)

    assert redactor.clean("a@b.co c@d.co [email 1]") == "[email] [email] [email 1]"
    assert redactor.found == {}
