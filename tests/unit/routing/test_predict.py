"""The prediction of completion times: what each piece of evidence does, and that the numbers stay sane at every extreme."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.routing.predict import (
    Prediction,
    State,
    Step,
    Tally,
    apply,
    in_time,
    observe,
    predict,
    survival,
    worry_after,
)

seconds = st.floats(0.0, 1e9, allow_nan=False)
steps = st.builds(
    Step,
    st.floats(0.5, 1),
    st.floats(0, 1),
    st.floats(-5, 5),
    st.floats(0, 5),
    st.integers(0, 1),
)


def a_prediction(gone: float = 0.0) -> Prediction:
    """Half within 100 s, nine in ten within 100 e^1.28 = 360 s."""
    return Prediction(mu=math.log(100), sigma=1.0, p50_seconds=100, p90_seconds=360, gone=gone)


def taught(times: list[float], *, censored: bool = False) -> State:
    state = State()
    for value in times:
        state = observe(state, value, censored)
    return state


def test_nobody_known_is_an_average_newcomer() -> None:
    found = predict(State())
    assert round(found.p50_seconds) == 360  # 180 s, and twice that for a first answer
    assert found.p90_seconds > found.p50_seconds


def test_a_fast_worker_is_seen_after_a_few_answers_and_the_spread_narrows() -> None:
    found = predict(taught([30.0] * 12))
    assert 25 < found.p50_seconds < 45
    assert found.sigma < predict(State()).sigma


def test_one_answer_moves_less_than_ten() -> None:
    untaught, one, ten = (predict(taught([20.0] * n)).p50_seconds for n in (0, 1, 10))
    assert untaught > one > ten > 20


def test_work_that_did_not_end_says_at_least_so_long() -> None:
    slow, silent = predict(taught([3_000.0] * 3, censored=True)), predict(State())
    assert slow.p50_seconds > 1.5 * silent.p50_seconds
    assert slow.gone > silent.gone
    quick = predict(taught([1.0] * 3, censored=True))  # a task that somebody else answered after a second
    assert abs(quick.p50_seconds / silent.p50_seconds - 1) < 0.1


def test_what_was_learnt_in_one_type_serves_a_newcomer_of_it() -> None:
    state = taught([900.0] * 40)
    shared = {part: tally for part, tally in state.parts.items() if part.startswith(("all:", "kind:"))}
    assert 600 < predict(State(shared)).p50_seconds < 2_000


def test_the_chance_to_be_in_time() -> None:
    found = a_prediction()
    assert in_time(found, 100) == pytest.approx(0.5)
    assert in_time(found, 360) == pytest.approx(0.9, abs=0.001)
    assert in_time(found, 0) == 0
    # nothing after 300 s: P(T <= 400 | T > 300) = 1 - S(400)/S(300)
    assert in_time(found, 100, elapsed=300) == pytest.approx(1 - survival(found, 400) / survival(found, 300))
    assert in_time(a_prediction(gone=0.2), 100) == pytest.approx(0.8 * 0.5)
    assert in_time(a_prediction(gone=0.2), 100, elapsed=5_000) < 0.01  # by now they are gone


def test_when_to_worry_is_where_the_chance_to_be_late_passes_the_limit() -> None:
    for gone in (0.0, 0.05):
        found = a_prediction(gone)
        after = worry_after(found, 360, 0.5)
        assert after is not None
        assert in_time(found, 360 - after, after) == pytest.approx(0.5)
    assert worry_after(a_prediction(), 50, 0.5) == 0.0  # late from the start
    assert worry_after(a_prediction(), 360, 1.0) is None


@given(seconds, st.floats(-1e3, 1e9), st.floats(0, 1))
def test_a_chance_is_a_chance(elapsed: float, left: float, gone: float) -> None:
    assert 0 <= in_time(a_prediction(gone), left, elapsed) <= 1


@given(st.lists(st.tuples(seconds, st.booleans()), max_size=30))
def test_no_evidence_breaks_it(evidence: list[tuple[float, bool]]) -> None:
    state = State()
    for value, censored in evidence:
        state = observe(state, value, censored)
    found = predict(state)
    assert 0 < found.p50_seconds < found.p90_seconds < 1e12
    assert 0 <= found.gone < 1
    assert 0 < found.takes <= 1


@given(steps, steps, st.builds(Tally, st.floats(0, 9), st.floats(-9, 9), st.floats(0, 9), st.integers(0, 9)))
def test_two_steps_in_one_are_the_two(first: Step, second: Step, tally: Tally) -> None:
    apart, together = second.on(first.on(tally)), second.after(first).on(tally)
    assert together.count == apart.count
    assert (together.n, together.total, together.square) == pytest.approx(
        (apart.n, apart.total, apart.square)
    )


def test_ninety_percent_are_within_p90_for_newcomers_too() -> None:
    """People of different speed who begin slowly; predicted before seen."""
    draw = random.Random(7)
    shared, inside, seen = State(), {True: 0, False: 0}, {True: 0, False: 0}
    for _ in range(150):
        speed, own = draw.gauss(math.log(240), 0.48), {}
        for number in range(draw.choice((1, 2, 3, 5, 20))):
            state = State({**shared.parts, **own})
            value = math.exp(speed + [0.7, 0.33, 0.25, 0.2, 0.1, 0][min(number, 5)] + draw.gauss(0, 0.79))
            seen[number < 3] += 1
            inside[number < 3] += value <= predict(state).p90_seconds
            after = observe(state, value, censored=False).parts
            own = {part: tally for part, tally in after.items() if part.startswith(("worker:", "pair:"))}
            shared = State({part: tally for part, tally in after.items() if part not in own})
    assert inside[True] / seen[True] == pytest.approx(0.9, abs=0.035)
    assert inside[False] / seen[False] == pytest.approx(0.9, abs=0.035)


def test_applying_nothing_changes_nothing() -> None:
    state = taught([60.0])
    assert apply(state, {}) == state
