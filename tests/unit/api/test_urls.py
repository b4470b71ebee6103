"""The form of callback addresses, and of the numbers and moments of queries."""

from __future__ import annotations

import pytest

from hub.api.decoding import moment, whole
from hub.api.urls import check_url


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example",
        "HTTPS://A.example:8443/x?y=1#z",
        "http://127.0.0.1:9/",
        "https://[2001:db8::1]/x",
        "https://xn--bcher-kva.example/%C3%A9",
    ],
)
def test_addresses(url: str) -> None:
    assert check_url(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example",
        "//a.example",
        "https://",
        "https:a.example",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://user@a.example",
        "https://:pw@a.example",
        "https://a.example\\@b.example",
        "https://a.example/\r\nX: y",
        "https://a.example/ b",
        "https://\u2460.example",
        "https://[::1",
        "https://a.example:port/",
        "https://a.example:0/",
        "https://a.example/" + "x" * 2048,
    ],
)
def test_no_addresses(url: str) -> None:
    assert check_url(url) is not None


def test_whole_numbers() -> None:
    parse = whole(1, 100)
    assert [parse("1"), parse("100"), parse("007")] == [1, 100, 7]
    for text in ("", "0", "101", "-5", "+5", "1.0", "1e1", " 1", "1 ", "\u0663", "9" * 5000):
        with pytest.raises(ValueError):
            parse(text)


def test_moments() -> None:
    assert moment("2026-11-23T21:30:00Z") == moment("2026-11-23t22:30:00+01:00")
    assert moment("2026-11-23T22:30:00 01:00") == moment("2026-11-23T21:30:00.000Z")
    for text in (
        "",
        "2026-11-23",
        "2026-11-23T21:30:00",
        "0001-01-01T00:00:00+01:00",
        "20\u06626-11-23T00:00:00Z",
    ):
        with pytest.raises(ValueError):
            moment(text)
