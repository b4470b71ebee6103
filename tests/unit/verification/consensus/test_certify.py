"""The certificate: exact bounds, the fixed looks, the search of thresholds."""

from __future__ import annotations

import random

import pytest

from core.verification.consensus import Audit, ConsensusPolicy, certify
from core.verification.consensus.certify import LOOKS, looks, upper_bound

POLICY = ConsensusPolicy(rho=0.1)


def audits(right: int, wrong: int, confidence: float = 0.9) -> list[Audit]:
    return [Audit(confidence=confidence, wrong=number < wrong) for number in range(right + wrong)]


def test_clopper_pearson_against_its_closed_forms() -> None:
    assert upper_bound(0, 59, 0.05) == pytest.approx(1 - 0.05 ** (1 / 59))
    assert upper_bound(10, 10, 0.05) == 1.0
    assert upper_bound(1, 2, 0.05) == pytest.approx(0.95**0.5)  # P(X <= 1) = 1 - p^2
    assert upper_bound(3, 50, 0.05) == pytest.approx(0.14784, abs=1e-4)  # published tables
    with pytest.raises(ValueError, match="3 wrong of 2 audits"):
        upper_bound(3, 2, 0.05)


def test_the_first_look_is_the_smallest_that_could_pass() -> None:
    counts, risk = looks(0.1, 0.95)
    assert risk == pytest.approx(0.005)
    assert counts[:4] == (51, 82, 131, 209)
    assert len(counts) == LOOKS
    assert 0.9 ** counts[0] <= risk < 0.9 ** (counts[0] - 1)


def test_nothing_is_promised_before_the_first_look_nor_without_a_promise() -> None:
    assert certify(audits(50, 0), POLICY) is None
    assert certify(audits(500, 0), ConsensusPolicy(rho=None)) is None


def test_a_certificate_stands_between_two_looks() -> None:
    assert certify(audits(51, 0), POLICY) == certify(audits(81, 0), POLICY)
    later = certify(audits(82, 0), POLICY)
    assert later is not None
    assert later.audits == 82


def test_one_error_at_the_first_look_is_one_too_many() -> None:
    assert certify(audits(50, 1), POLICY) is None


def test_the_threshold_is_the_lowest_that_keeps_the_promise() -> None:
    """Sure ones are right, doubtful ones are half wrong: the threshold parts them. Equal confidences are not parted."""
    mixed = [Audit(confidence=0.99 if number % 2 else 0.6, wrong=number % 4 == 0) for number in range(209)]
    found = certify(mixed, POLICY)
    assert found is not None
    assert (found.threshold, found.audits, found.wrong) == (0.99, 104, 0)


def test_a_certificate_that_later_audits_contradict_is_not_given_again() -> None:
    assert certify(audits(51, 0), POLICY) is not None
    assert certify([*audits(51, 0), *audits(0, 31)], POLICY) is None


def test_a_new_period_has_its_own_audits() -> None:
    last = looks(0.1, 0.95)[0][-1]
    bad = audits(0, last)
    assert certify(bad, POLICY) is None
    assert certify([*bad, *audits(50, 0)], POLICY) is None  # the last certificate of the period before: none
    assert certify([*bad, *audits(51, 0)], POLICY) is not None


def test_the_promise_holds_however_often_we_look() -> None:
    """A type just worse than promised (11 % wrong at every confidence): with the risk of .05, at most 5 % of 200
    histories may ever hold a certificate."""
    dice = random.Random(7)
    counts, _ = looks(0.1, 0.95)
    broken = 0
    for _ in range(200):
        seen = [Audit(confidence=dice.random(), wrong=dice.random() < 0.11) for _ in range(counts[5])]
        broken += any(certify(seen[:count], POLICY) is not None for count in counts[:6])
    assert broken <= 10
