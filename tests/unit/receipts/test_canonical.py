"""The canonical text: RFC 8785 where the RFC speaks, and every digit of the integers for which it does not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from core.receipts.canonical import canonical, digest

_TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(_JSON)
def test_it_is_the_rfcs_text(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(_JSON)
def test_what_was_read_back_has_the_same_text(value: Any) -> None:
    assert canonical(msgspec.json.decode(canonical(value))) == canonical(value)


def test_names_are_sorted_by_utf_16() -> None:
    assert canonical({"\U0001f600": 1, "\ufb33": 2, "a": 3}) == '{"a":3,"\U0001f600":1,"\ufb33":2}'.encode()


def test_a_long_integer_keeps_its_digits() -> None:
    assert canonical({"n": 12345678901234567890}) == b'{"n":12345678901234567890}'
    assert digest(2**53 + 1) != digest(2**53 + 2)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {"\ud800": 1}, {1, 2}])
def test_what_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        canonical(value)
