"""The options of the wallet rails: each mistake names the key and the fix, and no secret is ever repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.rails import RAILS, RailConfig
from connectors.rails.wallet_http import server_url
from core.errors import Misconfigured
from core.payouts.rail import Rail

KEYS = {"phoenixd": "password", "lnbits": "admin_key"}


def build(name: str, **options: object) -> Rail:
    return RAILS[name](RailConfig(name=name, data_dir=Path("unused"), options=options))


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALLET_SECRET", "8d4f21a1c7")
    monkeypatch.setenv("WALLET_EMPTY", "")
    monkeypatch.setenv("WALLET_BROKEN", "8d4f\n21a1c7")


@pytest.mark.parametrize("name", KEYS)
def test_a_reference_and_nothing_else_is_needed(name: str) -> None:
    rail = build(name, **{KEYS[name]: "env:WALLET_SECRET"})
    assert rail.name == name
    assert (rail.capabilities.real_money, rail.capabilities.network) == (True, "bc")
    assert rail.capabilities.proves_by_preimage
    test = build(name, **{KEYS[name]: "env:WALLET_SECRET", "network": "tb", "answer_timeout": "20"})
    assert (test.capabilities.real_money, test.capabilities.network) == (False, "tb")


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "{key}: is missing; write env:NAME or file:/absolute/path of the secret"),
        ({"{key}": "8d4f21a1c7"}, "{key}: a secret must not be written into the file; write env:NAME or"),
        ({"{key}": "env:WALLET_UNSET"}, "{key}: env:WALLET_UNSET is not set, empty or past its date; put "),
        ({"{key}": "env:WALLET_EMPTY"}, "{key}: env:WALLET_EMPTY is not set, empty or past its date; put "),
        ({"{key}": "env:WALLET_BROKEN"}, "{key}: env:WALLET_BROKEN holds spaces, line breaks or letters"),
        (
            {"{key}": "env:WALLET_SECRET", "urll": "x"},
            "urll: there is no such option; there are {key}, url, network, ",
        ),
        ({"{key}": "env:WALLET_SECRET", "network": "mainnet"}, "network: Invalid enum value 'mainnet'"),
        (
            {"{key}": "env:WALLET_SECRET", "answer_timeout": "0"},
            "answer_timeout: Expected `float` >= 1.0",
        ),
        (
            {"{key}": "env:WALLET_SECRET", "url": "http://pay.example.com"},
            "url: this would send the secret to pay.example.com in the clear; write https://",
        ),
    ],
)
def test_a_mistake_names_its_key_and_the_fix(name: str, options: dict[str, object], message: str) -> None:
    key = KEYS[name]
    with pytest.raises(Misconfigured) as caught:
        build(name, **{option.format(key=key): value for option, value in options.items()})
    assert caught.value.code == "rail_options"
    assert caught.value.message.startswith(f"hub.yaml: rails.options.{name}.{message.format(key=key)}")
    assert "8d4f" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:9740", "http://127.0.0.1:9740"),
        ("http://[::1]:9740/", "http://[::1]:9740"),
        ("http://10.0.0.7:5000", "http://10.0.0.7:5000"),
        ("http://phoenixd:9740", "http://phoenixd:9740"),
        ("http://node.local", "http://node.local"),
        ("https://pay.example.com/lnbits/", "https://pay.example.com/lnbits"),
    ],
)
def test_a_url_that_keeps_the_secret(url: str, expected: str) -> None:
    assert server_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:9740",
        "ftp://127.0.0.1",
        "http://",
        "http://8.8.8.8:9740",
        "http://127.0.0.1.example.com",
        "https://user:password@pay.example.com",
        "https://pay.example.com?key=1",
        "https://pay.example.com#1",
        "https://pay.example.com:port",
        "https://pay.example.com/ a",
        "https://[::1",
        "https://pay.example.com\n",
    ],
)
def test_a_url_that_is_none_or_would_tell_the_secret(url: str) -> None:
    with pytest.raises(ValueError, match=r"write|must hold"):
        server_url(url)
