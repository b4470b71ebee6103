"""One answer with what was seen around it: every sign on a case by hand, and what bounds the memory."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.verification.anomaly import detect
from core.verification.anomaly.model import KEPT, MOST_CHOICES, Behaviour, Device, Given, Memory, Pool, Signal
from tests.unit.verification.anomaly.test_text import LONG, OTHER

PAYLOAD = {"question": OTHER * 3}  # 570 characters: half of 22.8 s of reading
PACE = Pool(log_seconds=[math.log(seconds) for seconds in (50, 60, 70, 80, 90) * 6])


def seen(answer: Any = True, *, seconds: float | None = 60.0, **values: Any) -> Behaviour:
    given = Given(worker="w", answer={"x": answer}, seconds=seconds, device=values.pop("device", None))
    return Behaviour(**{"given": given, "memory": Memory(), "pool": PACE} | values)


def signals(behaviour: Behaviour, payload: dict[str, Any] = PAYLOAD) -> list[Signal]:
    return [one.signal for one in detect.found(payload, behaviour)]


def test_an_ordinary_answer_is_not_odd() -> None:
    assert signals(seen(LONG)) == []


def test_the_floor_is_reading_or_typing() -> None:
    assert detect.floor_seconds({"q": "x" * 100}, {"x": True}) == pytest.approx(2.0)
    text = detect.free_text({"x": LONG})
    assert detect.floor_seconds({}, {"x": LONG}) == pytest.approx(len(text) * 0.04)
    pasted = Device(pasted=len(text))
    assert detect.floor_seconds({}, {"x": LONG}, pasted) == 0
    assert detect.floor_seconds({"q": "x" * 10**6}, None) == 30.0


def test_too_fast_needs_both_the_pace_and_the_floor() -> None:
    [one] = detect.found(PAYLOAD, seen(seconds=3.0))
    assert one.signal is Signal.TOO_FAST
    assert (
        one.words
        == "answered in 3.0 s; reading and typing take at least 12 s, and half of all need 70 s or more"
    )
    assert signals(seen(seconds=3.0), {"q": "short"}) == []  # there was little to read
    assert signals(seen(seconds=11.4), PAYLOAD) == [Signal.TOO_FAST]
    assert signals(seen(seconds=12.0), PAYLOAD) == []
    assert signals(seen(seconds=3.0, pool=Pool(log_seconds=[4.0] * 19))) == []  # the pace is not known yet
    assert signals(seen(seconds=3.0, timed=False)) == []
    assert signals(seen(seconds=None)) == []


def test_repeated_copied_and_the_question_itself() -> None:
    before = detect.remembered(Memory(), seen(LONG), [])
    assert signals(seen(LONG, memory=before)) == [Signal.REPEATED]
    assert signals(seen(OTHER, memory=before), {"q": "?"}) == []
    other = [Given(worker="v", answer={"x": LONG.upper()})]
    [one] = detect.found({"q": "?"}, seen(LONG, others=other))
    assert (one.signal, one.evidence["workers"]) == (Signal.COPIED, ["v"])
    assert signals(seen(LONG), {"q": LONG}) == [Signal.PROMPT]
    assert signals(seen("yes", others=[Given(worker="v", answer={"x": "yes"})])) == []  # a choice is no copy


@pytest.mark.parametrize(
    "device",
    [
        Device(pastes=1, pasted=180, keys=3, typing_ms=500),
        Device(keys=60, typing_ms=4_000),  # 45 characters a second
    ],
)
def test_pasted_text_is_a_sign(device: Device) -> None:
    assert signals(seen(LONG, device=device)) == [Signal.PASTED]
    assert signals(seen(True, device=device)) == []


def test_typed_text_is_none() -> None:
    assert signals(seen(LONG, device=Device(keys=200, typing_ms=60_000, blurs=9))) == []


def test_the_memory_is_bounded() -> None:
    memory, pool = Memory(), Pool()
    for n in range(3 * KEPT):
        one = seen(f"choice {n}", memory=memory, pool=pool)
        odd = detect.found({"q": "?"}, one)
        memory, pool = detect.remembered(memory, one, odd), detect.pooled(pool, one)
    assert memory.answers == 3 * KEPT
    assert {len(memory.log_seconds), len(memory.texts), len(memory.choices), len(memory.odd)} == {KEPT}
    assert len(pool.log_seconds) == KEPT
    assert len(pool.choices) == MOST_CHOICES + 1
    for _ in range(2_000):
        pool = detect.pooled(pool, seen(True))
    assert sum(pool.choices.values()) <= 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON, st.none() | st.floats(-10, 1e9))
def test_any_answer_can_be_looked_at_and_remembered(answer: Any, other: Any, seconds: float | None) -> None:
    one = seen(answer, seconds=seconds, others=[Given(worker="v", answer=other)])
    odd = detect.found({"q": other}, one)
    assert detect.remembered(Memory(), one, odd).answers == 1
    assert detect.pooled(Pool(), one) is not None


@given(st.lists(st.tuples(JSON, st.none() | st.floats(0, 1e9)), min_size=1, max_size=8), st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_what_is_kept_does_not_grow_with_the_answers(
    stream: list[tuple[Any, float | None]], times: int
) -> None:
    """Whatever is answered, and however often: the row of a worker and that of a pool keep below a size."""
    memory, pool = Memory(), Pool()
    for answer, seconds in stream * times:
        one = seen(answer, seconds=seconds, memory=memory, pool=pool)
        memory = detect.remembered(memory, one, detect.found({"q": answer}, one))
        pool = detect.pooled(pool, one)
    assert memory.answers == len(stream) * times
    assert len(msgspec.json.encode(memory)) < 12_000
    assert len(msgspec.json.encode(pool)) < 6_000
