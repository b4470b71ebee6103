"""What an Intercom file may say, and where its calls go."""

from __future__ import annotations

import pytest

from connectors.config import load
from connectors.intercom.settings import API, IntercomSettings
from core.errors import Misconfigured
from tests.fakes.intercom_lab import SHIPPED

TEXT = (SHIPPED / "intercom.yaml").read_text()
ENVIRON = {"INTERCOM_ACCESS_TOKEN": "token", "INTERCOM_CLIENT_SECRET": "secret"}
TEST_URL = "test_base_url: http://127.0.0.1:8790/intercom"


def loaded(old: str = "", new: str = "") -> IntercomSettings:
    assert old in TEXT
    settings = load(TEXT.replace(old, new, 1) if old else TEXT, "intercom.yaml", ENVIRON).settings
    assert isinstance(settings, IntercomSettings)
    return settings


@pytest.mark.parametrize("region", sorted(API))
def test_the_region_is_the_host(region: str) -> None:
    assert loaded("region: us ", f"region: {region} ").api_url == "http://127.0.0.1:8790/intercom"
    text = TEXT.replace(TEST_URL, "").replace("region: us ", f"region: {region} ")
    settings = load(text, "intercom.yaml", ENVIRON).settings
    assert isinstance(settings, IntercomSettings)
    assert settings.api_url == API[region]
    assert settings.api_url.startswith("https://api.")


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("region: us ", "region: cn ", "region"),
        ('act_as_admin: "991267459"', 'act_as_admin: "../me"', "act_as_admin"),
        ('api_version: "2.14"', "api_version: Preview", "api_version"),
        ("app_id: abc123def", "app_id: evil.example/x", "app_id"),
        ("{to: previous}", "{to: last}", "assign"),
        ("- tag: hitl-answered", "- tagg: hitl-answered", "did you mean `tag`"),
        ("- tag: hitl-answered", "- tag: hitl-answered\n      close: true", "exactly one"),
        ("- tag: hitl-answered", "- close: false", "would do nothing"),
        ("- tag: hitl-answered", "- snooze: {for: soon}", "snooze"),
        ("enrich: [conversation]", "enrich: [company]", "company"),
        ("env:INTERCOM_ACCESS_TOKEN", "dG9rOmFi", "must not be written into the file"),
        (
            "{{ result.output.answer }}</p>\n        <p>Task",
            "{{ resul.output.answer }}</p>\n        <p>Task",
            "`resul`",
        ),
        (
            "test_base_url: http://127.0.0.1:8790/intercom",
            "test_base_url: http://evil.example",
            "test_base_url",
        ),
    ],
)
def test_what_is_refused_names_the_place(old: str, new: str, part: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        loaded(old, new)
    assert part in caught.value.message
    assert "intercom.yaml" in caught.value.message


def test_every_step_can_be_written() -> None:
    steps = """
    - untag: "7522908"
    - assign: {to: "team:814865"}
    - set_values: {rate: "result.workers"}
    - ticket_state: Resolved
    - close: true
    - open: true
    - snooze: {for: 2h}
    - tag: hitl-answered"""
    settings = loaded("\n    - tag: hitl-answered", steps)
    assert len(settings.steps()) == len(loaded().steps()) + 7
