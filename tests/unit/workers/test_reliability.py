"""The figures of reliability against known values, and the alarm on seeded streams."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.workers.reliability import (
    Alarm,
    Counts,
    Sign,
    added,
    beta_quantile,
    beta_share,
    listened,
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
    """Number of the answer at which the alarm rings: 2 % gold, others who are right in .85 to .99 about half of the rest."""
    draw = random.Random(seed)
    alarm = Alarm()
    for number in range(700):
        right = draw.random() < (accuracy if number < turn else later)
        gold = draw.random() < 0.02
        if not gold and draw.random() < 0.5:
            continue
        sure = 1.0 if gold else draw.uniform(0.85, 0.99)
        if draw.random() >= sure:  # the others are mistaken
            right = not right
        alarm = listened(alarm, Sign(right=sure if right else 1 - sure))
        if alarm.rings:
            return number
    return None


def test_somebody_who_turns_is_noticed_and_somebody_who_does_not_is_left_alone() -> None:
    """.88 falls to .35 at answer 300: the published curve has half of them within 67."""
    rung = [_alarm_after(0.88, 0.35, 300, seed) for seed in range(100)]
    assert len([at for at in rung if at is not None and at < 300]) <= 1
    delays = sorted(at - 300 for at in rung if at is not None and at >= 300)
    assert len(delays) >= 99
    assert delays[50] <= 60
    assert delays[90] <= 90
    steady = [_alarm_after(0.88, 0.88, 300, seed) for seed in range(100)]
    assert len([at for at in steady if at is not None]) <= 1


def test_an_answer_of_which_nothing_is_known_says_nothing() -> None:
    before = Alarm(sum=2.0, calm_right=8.0, calm_seen=10.0, right=9.0, seen=12.0)
    after = listened(before, Sign(right=0.25, chance=0.25))
    assert after.sum == pytest.approx(2.0, abs=1e-9)
    assert (after.right, after.seen) == (9.0, 12.0)


def test_the_step_by_hand() -> None:
    """Eight right answers and six imagined ones of .8: .914 - .1·.5 = .864 against .5 for an answer that gold calls wrong."""
    before = Alarm(calm_right=8.0, calm_seen=8.0, right=8.0, seen=8.0)
    good = (8 + 6 * 0.8) / 14 - 0.1 * 0.5
    wrong = listened(before, Sign(right=0.0))
    odds = (0.03 * 0.5 + 0.97 * 0.5) / (0.03 * good + 0.97 * (1 - good))
    assert wrong.sum == pytest.approx(math.log(odds))
    assert (wrong.calm_seen, wrong.seen) == (8.0, 9.0)  # under suspicion, so no part of what is compared with
    right = listened(before, Sign(right=1.0))
    assert right == Alarm(calm_right=9.0, calm_seen=9.0, right=9.0, seen=9.0)


def test_who_has_shown_nothing_yet_has_not_turned() -> None:
    """Eight wrong answers are what this worker is like, and no change; a sum of an older rule is taken back."""
    alarm = Alarm(sum=5.0, calm_right=3.0, calm_seen=4.0, right=3.0, seen=4.0)
    for answer in range(8):
        alarm = listened(alarm, Sign(right=0.0))
        assert (alarm.sum, alarm.calm_seen) == (0.0, 5.0 + answer)


def test_bad_answers_do_not_lower_what_is_expected_while_they_are_suspected() -> None:
    """Half right after thirty good ones: with the suspects in the comparison it would drift away from under the alarm."""
    alarm = Alarm()
    for _ in range(30):
        alarm = listened(alarm, Sign(right=1.0))
    asked = 0
    while not alarm.rings and asked < 40:
        alarm = listened(alarm, Sign(right=float(asked % 3 == 2)))
        asked += 1
    assert (alarm.calm_right, alarm.calm_seen) == (30.0, 30.0)
    assert asked <= 10


def test_who_was_never_better_than_chance_cannot_turn_bad() -> None:
    alarm = Alarm(calm_right=50.0, calm_seen=100.0, right=50.0, seen=100.0)
    for _ in range(50):
        alarm = listened(alarm, Sign(right=0.0))
    assert alarm.sum == 0.0
