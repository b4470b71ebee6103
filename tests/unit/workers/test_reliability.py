"""The figures of reliability against known values, and the alarm on seeded streams."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.workers.reliability import (
    ALARM_AT,
    Counts,
    added,
    alarm_sum,
    beta_quantile,
    beta_share,
    lower_bound,
    shrunk,
    together,
)

# From scipy.stats.beta.ppf 1.16; the first three have closed forms: x = p, p^(1/a), 1 - (1 - p)^(1/b).
QUANTILES = [
    (0.05, 1, 1, 0.05),
    (0.05, 11, 1, 0.05 ** (1 / 11)),
    (0.05, 1, 8, 1 - 0.95 ** (1 / 8)),
    (0.5, 2, 2, 0.5),
    (0.5, 300, 300, 0.5),
]


@pytest.mark.parametrize(("level", "a", "b", "expected"), QUANTILES)
def test_quantiles_that_are_known(level: float, a: float, b: float, expected: float) -> None:
    assert beta_quantile(level, a, b) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_the_share_is_a_binomial_tail(n: int) -> None:
    """I_x(k, n - k + 1) is the chance of k or more in n (DLMF 8.17.5)."""
    for k in range(1, n + 1):
        for x in (0.03, 0.4, 0.5, 0.77, 0.999):
            tail = sum(math.comb(n, i) * x**i * (1 - x) ** (n - i) for i in range(k, n + 1))
            assert beta_share(x, k, n - k + 1) == pytest.approx(tail, abs=1e-12)


@given(st.floats(0.001, 0.999), st.floats(0.01, 5_000), st.floats(0.01, 5_000))
def test_the_quantile_is_the_inverse(level: float, a: float, b: float) -> None:
    x = beta_quantile(level, a, b)
    assert 0 < x < 1
    if 1e-6 < x < 1 - 1e-6:
        assert beta_share(x, a, b) == pytest.approx(level, abs=1e-5)


@pytest.mark.parametrize(("level", "a", "b"), [(0, 1, 1), (1, 1, 1), (0.5, 0, 1), (0.5, 1, -1)])
def test_no_quantile_without_a_distribution(level: float, a: float, b: float) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        beta_quantile(level, a, b)


def test_ten_right_answers_have_shown_so_much() -> None:
    ten = Counts(good=10)
    assert lower_bound(ten) == pytest.approx(0.05 ** (1 / 11))
    assert lower_bound(Counts()) == pytest.approx(0.05)  # nothing shown, whatever the tier
    assert shrunk(ten, 0.75) == pytest.approx((10 + 6 * 0.75) / 16)
    assert shrunk(Counts(), 0.75) == 0.75


def test_evidence_forgets_about_65_answers() -> None:
    counts = Counts()
    for _ in range(2_000):
        counts = added(counts, 1.0, 1.0)
    assert counts.weight == pytest.approx(1 / 0.015, abs=0.01)
    weak = added(Counts(good=10), 0.5, 0.1)
    assert weak.good == pytest.approx(10 * 0.985**0.1 + 0.05)
    assert weak.bad == pytest.approx(0.05)
    assert added(counts, 0.0, 0.0) == counts


def test_types_are_added_up() -> None:
    assert together([Counts(good=2, bad=1), Counts(good=3)]) == Counts(good=5, bad=1)


def _alarm_after(accuracy: float, later: float, turn: int, seed: int) -> int | None:
    """Number of the answer at which the alarm rings: 2 % gold, consensus of weight .8 on half of the others."""
    draw = random.Random(seed)
    total, seen, seen_right = 0.0, 0.0, 0.0
    for number in range(700):
        right = float(draw.random() < (accuracy if number < turn else later))
        gold = draw.random() < 0.02
        if not gold and draw.random() < 0.5:
            continue
        weight = 1.0 if gold else 0.8
        long_run = shrunk(Counts(good=seen_right, bad=seen - seen_right), 0.8)
        total = alarm_sum(total, long_run, right, weight * (1.0 if gold else 0.6))
        seen, seen_right = seen + weight, seen_right + right * weight
        if total >= ALARM_AT:
            return number
    return None


def test_somebody_who_turns_is_noticed_and_somebody_who_does_not_is_left_alone() -> None:
    """As the published curve has it: .88 falls to .35 at answer 300; half of them are seen within 67."""
    rung = [_alarm_after(0.88, 0.35, 300, seed) for seed in range(100)]
    assert [at for at in rung if at is not None and at < 300] == []
    delays = sorted(at - 300 for at in rung if at is not None)
    assert len(delays) == 100
    assert delays[50] <= 67
    steady = [_alarm_after(0.88, 0.88, 300, seed) for seed in range(100)]
    assert [at for at in steady if at is not None] == []
