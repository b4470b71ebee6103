"""The certificate: the bound that holds at all times, the thresholds, the periods, and the promise in simulation."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from core.verification.consensus import Audit, ConsensusPolicy, certify
from core.verification.consensus.certify import STANDS, least, period, upper_bound, winnings

POLICY = ConsensusPolicy(rho=0.1)
SOON = 43  # audits without an error after which .10 is proven


def audits(right: int, wrong: int, confidence: float = 0.9) -> list[Audit]:
    return [Audit(confidence=confidence, wrong=number < wrong) for number in range(right + wrong)]


def test_the_bets_are_fair_and_the_bound_is_where_they_win_one_in_risk() -> None:
    """The stake's expected value after one more audit is what it was, if the probability is what is bet against."""
    after = [
        0.1 * math.exp(winnings(w + 1, n + 1, 0.1)) + 0.9 * math.exp(winnings(w, n + 1, 0.1))
        for w, n in CASES
    ]
    assert after == pytest.approx([math.exp(winnings(w, n, 0.1)) for w, n in CASES])
    bound = upper_bound(3, 100, 0.05)
    assert winnings(3, 100, bound) == pytest.approx(math.log(20), abs=1e-6)
    assert 0.0757 < bound < 0.103  # Clopper and Pearson, who look once: 0.0757
    assert upper_bound(10, 10, 0.05) == 1.0
    with pytest.raises(ValueError, match="3 wrong of 2 audits"):
        upper_bound(3, 2, 0.05)


CASES = [(0, 0), (0, 40), (2, 40), (30, 100)]


def test_nothing_is_promised_by_too_few_audits_nor_without_a_promise() -> None:
    assert certify(audits(SOON - 1, 0), POLICY) is None
    assert certify(audits(500, 0), ConsensusPolicy(rho=None)) is None
    found = certify(audits(SOON, 0), POLICY)
    assert found is not None
    assert (found.audits, found.wrong) == (SOON, 0)
    assert found.bound <= 0.1


def test_the_threshold_is_the_lowest_that_keeps_the_promise() -> None:
    """Sure ones are right, doubtful ones are half wrong: the threshold parts them. Equal confidences are not parted."""
    mixed = [Audit(confidence=0.99 if number % 2 else 0.6, wrong=number % 4 == 0) for number in range(209)]
    found = certify(mixed, POLICY)
    assert found is not None
    assert (found.threshold, found.audits, found.wrong) == (0.99, 104, 0)


def test_a_certificate_that_later_audits_contradict_is_not_given_again() -> None:
    assert certify(audits(60, 0), POLICY) is not None
    assert certify([*audits(60, 0), *audits(0, 1)], POLICY) is not None
    assert certify([*audits(60, 0), *audits(0, 5)], POLICY) is None


def test_a_new_period_has_its_own_audits() -> None:
    whole = period(POLICY)
    assert certify(audits(0, whole), POLICY) is None
    assert certify([*audits(0, whole), *audits(SOON - 1, 0)], POLICY) is None
    assert certify([*audits(0, whole), *audits(SOON, 0)], POLICY) is not None


def test_the_certificate_of_the_period_before_stands_for_a_while() -> None:
    whole, stands = audits(period(POLICY), 0), STANDS * least(POLICY)
    assert certify([*whole, *audits(0, stands - 1)], POLICY) == certify(whole, POLICY)
    assert certify([*whole, *audits(0, stands)], POLICY) is None


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(lambda _: 0.11, id="flat"),
        pytest.param(lambda confidence: 0.22 * (1.0 - confidence) + 0.075, id="falling, .10 above .77"),
        pytest.param(lambda confidence: 0.3 if confidence > 0.9 else 0.1, id="surest are wrong together"),
    ],
)
def test_the_promise_holds_however_often_we_look(error: Callable[[float], float]) -> None:
    """At most 5 % of the histories may ever hold a certificate for answers of which more than .10 are wrong; of 100, with
    the luck of the draw, 9 (a chance of 3 %)."""
    dice = random.Random(7)
    broken = 0
    for _ in range(100):
        seen: list[Audit] = []
        for _ in range(160):
            confidence = dice.random()
            seen.append(Audit(confidence=confidence, wrong=dice.random() < error(confidence)))
        held = [certify(seen[:count], POLICY) for count in range(30, 161, 10)]
        broken += any(_mean(error, one.threshold) > 0.1 for one in held if one is not None)
    assert broken <= 9


def _mean(error: Callable[[float], float], threshold: float) -> float:
    steps = [threshold + (1.0 - threshold) * (step + 0.5) / 100 for step in range(100)]
    return math.fsum(map(error, steps)) / 100
