"""The tests behind the detectors, on numbers that can be done by hand."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.verification.anomaly.statistics import (
    binomial_tail,
    cauchy,
    discovered,
    median,
    normal_tail,
    robust,
)


def test_binomial_tail_by_hand() -> None:
    assert binomial_tail(3, 3, 0.5) == pytest.approx(1 / 8)
    assert binomial_tail(2, 3, 0.5) == pytest.approx(1 / 2)
    assert binomial_tail(1, 2, 0.1) == pytest.approx(0.19)
    assert binomial_tail(4, 10, 0.01) == pytest.approx(2.0e-6, rel=0.02)
    assert (binomial_tail(0, 5, 0.3), binomial_tail(6, 5, 0.3), binomial_tail(2, 5, 0.0)) == (1, 0, 0)
    assert binomial_tail(5, 5, 1.0) == 1


@given(st.integers(1, 40), st.data())
def test_binomial_tail_is_the_exact_sum(trials: int, data: st.DataObject) -> None:
    successes, tenths = data.draw(st.integers(0, trials)), data.draw(st.integers(1, 9))
    chance = Fraction(tenths, 10)
    exact = sum(
        math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(successes, trials + 1)
    )
    assert binomial_tail(successes, trials, tenths / 10) == pytest.approx(float(exact), rel=1e-9)


def test_normal_tail() -> None:
    assert normal_tail(0) == 0.5
    assert normal_tail(1.959964) == pytest.approx(0.025, abs=1e-7)


def test_median_and_spread() -> None:
    assert (median([3.0, 1.0, 2.0]), median([4.0, 1.0, 2.0, 3.0])) == (2.0, 2.5)
    assert robust([1.0, 2.0, 3.0, 4.0, 100.0], least=0.1) == (3.0, pytest.approx(1.4826))
    assert robust([5.0] * 9, least=0.25) == (5.0, 0.25)
    with pytest.raises(ValueError, match="nothing"):
        median([])


def test_cauchy_by_hand() -> None:
    assert cauchy([]) == 1.0
    assert cauchy([0.5, 0.5]) == pytest.approx(0.5)
    assert cauchy([0.01]) == pytest.approx(0.01)
    assert cauchy([1e-6, 0.5]) == pytest.approx(
        2e-6, rel=1e-3
    )  # a small one counts once for each that was looked at
    assert 0 < cauchy([0.0, 1.0]) < 1e-200
    assert cauchy([1e-4, 1.0]) == pytest.approx(
        2e-4, rel=0.01
    )  # one test that sees nothing does not hide another


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_a_combined_p_value_is_one(values: list[float]) -> None:
    assert 0 <= cauchy(values) <= 1


def test_benjamini_hochberg_by_hand() -> None:
    p_values = {"a": 0.001, "b": 0.02, "c": 0.03, "d": 0.5}  # limits at q = .05: .0125 .025 .0375 .05
    assert discovered(p_values, 0.05) == {"a", "b", "c"}
    assert discovered({"a": 0.02, "b": 0.9, "c": 0.9}, 0.05) == set()
    assert discovered({}, 0.05) == set()


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=12))
def test_a_stricter_share_finds_no_more(p_values: dict[str, float]) -> None:
    assert discovered(p_values, 0.01) <= discovered(p_values, 0.05)
