"""Whatever bytes come as a body, the decoder gives an object or a Malformed, and what it lets through survives being
written and read again."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Malformed
from hub.api.decoding import MAX_DEPTH, object_of
from hub.api.task_request import Asked, asked, digest

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64) + 1, 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(holds_nul(name) or holds_nul(member) for name, member in value.items())
    return isinstance(value, list) and any(map(holds_nul, value))


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    try:
        found = object_of(body)
    except Malformed:
        return
    assert isinstance(json.loads(body), dict)
    assert set(found) == set(json.loads(body))


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=4))
def test_any_object(value: dict[str, Any]) -> None:
    body = msgspec.json.encode(value)
    if holds_nul(value):
        with pytest.raises(Malformed):
            object_of(body)
        return
    found = object_of(body)
    assert {name: msgspec.json.decode(raw) for name, raw in found.items()} == value


@given(st.integers(1, 300), st.sampled_from([("[", "]"), ('{"a":', "}")]))
def test_depth(depth: int, brackets: tuple[str, str]) -> None:
    opening, closing = brackets
    body = ('{"a":' + opening * depth + "1" + closing * depth + "}").encode()
    if depth + 1 <= MAX_DEPTH:
        object_of(body)
        return
    with pytest.raises(Malformed, match="deeper than 64"):
        object_of(body)


names = {
    "idempotencyKey": "idempotency_key",
    "taskType": "type",
    "slaSeconds": "sla_seconds",
    "outputSchema": "output_schema",
    "callbackUrl": "callback_url",
}


@given(st.permutations(list(names)), st.sets(st.sampled_from(list(names))), json_values)
def test_the_digest_does_not_see_spelling_or_order(
    order: list[str], respelled: set[str], inside: Any
) -> None:
    if holds_nul(inside):
        return
    plain: dict[str, Any] = {
        "idempotencyKey": "k",
        "taskType": "question",
        "slaSeconds": 60,
        "outputSchema": {"type": "object", "title": "t"},
        "callbackUrl": "https://a.example/",
    }
    other = {(names[name] if name in respelled else name): plain[name] for name in order}
    rest = {"payload": {"x": inside, "y": 1}, "payout": {"currency": "USD", "maxAmount": 0.5}}
    turned = {"payout": {"max_amount": 0.5, "currency": "USD"}, "payload": {"y": 1, "x": inside}}

    assert digest(read({**plain, **rest})) == digest(read({**turned, **other}))
    assert digest(read({**plain, **rest})) != digest(read({**plain, **rest, "slaSeconds": 61}))


@given(st.decimals(min_value=0, max_value=1, places=8))
def test_amounts_are_exact(amount: Decimal) -> None:
    body = f'{{"idempotencyKey":"k","taskType":"t","payload":{{}},"payout":{{"currency":"BTC","maxAmount":{amount:f}}}}}'
    assert asked(object_of(body.encode())).amount == amount


def read(value: dict[str, Any]) -> Asked:
    return asked(object_of(msgspec.json.encode(value)))
