"""What a browser says of how an answer was written is taken as a hint, whatever it says."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.verification.anomaly.model import Device
from hub.pages.noticed import noticed_in


def test_what_the_script_sends() -> None:
    text = '{"pastes":1,"pasted":40,"blurs":2,"keys":7,"typing_ms":900,"browser":"1-2-3-4"}'
    browser = hashlib.sha256(b"1-2-3-4").hexdigest()[:32]
    assert noticed_in(text) == Device(pastes=1, pasted=40, blurs=2, keys=7, typing_ms=900, id=browser)
    assert noticed_in('{"browser":""}') == Device()


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "[]",
        '{"keys":-1}',
        '{"keys":1e9}',
        '{"keys":"7"}',
        '{"browser":7}',
        "x" * 501,
        "\ud800",
    ],
)
def test_anything_else_is_dropped(text: object) -> None:
    assert noticed_in(text) is None


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    assert noticed_in(text) is None or isinstance(noticed_in(text), Device)
