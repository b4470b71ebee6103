"""Payloads from strangers as something a person can read."""

from __future__ import annotations

import pytest

from hub.pages.readable import is_link, readable, words


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("customer_message", "Customer message"),
        ("customerMessage", "Customer message"),
        ("orderURL", "Order URL"),
        ("a key with spaces", "a key with spaces"),
        ("<b>", "<b>"),
        ("", ""),
    ],
)
def test_keys_become_words(key: str, shown: str) -> None:
    assert words(key) == shown


@pytest.mark.parametrize(
    ("text", "linked"),
    [
        ("https://example.com/a?b=c", True),
        ("http://example.com", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt://example.com/%0aalert(1)", False),
        ("data:text/html,x", False),
        ("https://bank.example@evil.test/", False),
        ("https://exam ple.com", False),
        ("https://[broken", False),
        ("//example.com", False),
    ],
)
def test_only_plain_web_addresses_become_links(text: str, linked: bool) -> None:
    assert is_link(text) is linked


def test_every_json_value_has_a_form() -> None:
    node = readable({"n": 1.5, "yes": True, "none": None, "list": [1, {"a": "b"}], "empty": [], "": ""})
    assert node.kind == "facts"
    texts = [(child.kind, child.text) for child in node.children]
    assert texts == [
        ("text", "1.5"),
        ("text", "Yes"),
        ("text", "(none)"),
        ("list", ""),
        ("text", "(none)"),
        ("text", "(empty)"),
    ]


def test_depth_and_length_are_bounded_and_said() -> None:
    deep: object = "end"
    for _ in range(30):
        deep = {"down": deep}
    node = readable(deep)
    for _ in range(8):
        [node] = node.children
    assert node.kind == "code"
    assert '"end"' in node.text
    long = readable(list(range(500)))
    assert len(long.children) == 201
    assert long.children[-1].text == "… and 300 more"
