"""The options of both Strike rails: each mistake names the key and the fix, and no secret is ever repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.rails import RAILS, RailConfig
from connectors.rails.strike import StrikeRail
from core.errors import Misconfigured
from core.payouts.rail import Rail, Target

NAMES = ("strike", "strike_bank")


def build(name: str, **options: object) -> Rail:
    return RAILS[name](RailConfig(name=name, data_dir=Path("unused"), options=options))


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIKE_KEY", "8D4F21A1C7")
    monkeypatch.setenv("STRIKE_BROKEN", "8D4F\n21A1C7")
    monkeypatch.setenv("STRIKE_WEBHOOK", "ScKc2Phr37RzfESKGYPh6CnZqNxc9t")


@pytest.mark.parametrize("name", NAMES)
def test_a_key_is_enough_and_is_real_money(name: str) -> None:
    rail = build(name, api_key="env:STRIKE_KEY")
    assert (rail.capabilities.real_money, rail.capabilities.network) == (True, "bc")
    assert rail.capabilities.pays is (Target.BANK if name == "strike_bank" else Target.INVOICE)
    assert "8D4F" not in repr(vars(rail))


def test_a_sandbox_is_play_money() -> None:
    assert not build("strike", api_key="env:STRIKE_KEY", network="tb").capabilities.real_money
    assert not build("strike_bank", api_key="env:STRIKE_KEY", sandbox=True).capabilities.real_money


def test_webhook_secrets_may_be_several() -> None:
    rail = build(
        "strike", api_key="env:STRIKE_KEY", webhook_secrets=["env:STRIKE_UNSET", "env:STRIKE_WEBHOOK"]
    )
    assert isinstance(rail, StrikeRail)
    assert [bool(entry.secret) for entry in rail.webhook_secrets.entries] == [False, True]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "api_key: is missing; write env:NAME or file:/absolute/path of the secret"),
        ({"api_key": "8D4F21A1C7"}, "api_key: a secret must not be written into the file; write env:NAME or"),
        (
            {"api_key": "env:STRIKE_UNSET"},
            "api_key: env:STRIKE_UNSET is not set, empty or past its date; put ",
        ),
        ({"api_key": "env:STRIKE_BROKEN"}, "api_key: env:STRIKE_BROKEN holds spaces, line breaks or letters"),
        ({"api_key": "env:STRIKE_KEY", "key": "x"}, "key: there is no such option; there are api_key, url, "),
        (
            {"api_key": "env:STRIKE_KEY", "url": "http://api.strike.me"},
            "url: this would send the secret to api.strike.me in the clear; write https://",
        ),
        (
            {"api_key": "env:STRIKE_KEY", "requests_per_10_minutes": 2_000},
            "requests_per_10_minutes: Expected `int` <= 1000",
        ),
        (
            {"api_key": "env:STRIKE_KEY", "webhook_secrets": "8D4F21A1C7"},
            "webhook_secrets: a secret must not be written into the file; write env:NAME or",
        ),
    ],
)
def test_a_mistake_names_its_key_and_the_fix(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        build(name, **options)
    assert caught.value.code == "rail_options"
    assert caught.value.message.startswith(f"hub.yaml: rails.options.{name}.{message}")
    assert "8D4F" not in caught.value.message
