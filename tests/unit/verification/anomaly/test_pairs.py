"""Agreement beyond what an item explains, on small cases by hand and on simulated crowds."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict

import pytest

from core.verification.anomaly.pairs import LEAST_COMMON, Pair, Sums, colluding, groups, terms


def test_an_item_on_which_all_agree_shows_nothing() -> None:
    found = dict(terms({"a": "x", "b": "x", "c": "x"}, {}, classes=2))
    assert set(found) == {("a", "b"), ("a", "c"), ("b", "c")}
    for one in found.values():
        assert (one.common, one.agreed) == (1, 1)
        assert one.expected == pytest.approx(0.98)  # Fleiss' agreement is 1; clipped


def test_two_against_one_by_hand() -> None:
    """Fleiss' agreement is 1/3; of equal workers the products are equal, so that p is 1/3 for each pair."""
    found = dict(terms({"a": "x", "b": "x", "c": "y"}, {}, classes=2))
    assert {pair: one.agreed for pair, one in found.items()} == {("a", "b"): 1, ("a", "c"): 0, ("b", "c"): 0}
    for one in found.values():
        assert one.expected == pytest.approx(1 / 3)
        assert one.variance == pytest.approx(2 / 9)


def test_good_workers_may_agree_more_than_bad_ones() -> None:
    known = {"a": 0.95, "b": 0.95, "c": 0.55}
    found = dict(terms({"a": "x", "b": "x", "c": "y"}, known, classes=2))
    assert found["a", "b"].expected > found["a", "c"].expected == pytest.approx(found["b", "c"].expected)
    assert sum(one.expected for one in found.values()) == pytest.approx(1.0)  # three pairs of 1/3


def test_two_answers_show_nothing() -> None:
    assert list(terms({"a": "x", "b": "x"}, {}, classes=2)) == []


def test_z_by_hand() -> None:
    one = Sums(common=9, agreed=9, expected=3.0, variance=2.0)
    assert one.z == pytest.approx(5.5 / 2**0.5)
    assert Sums(common=LEAST_COMMON - 1, agreed=7, expected=0.1, variance=0.1).p == 1.0


def test_a_small_effect_over_many_items_is_no_collusion() -> None:
    """Both as significant; the one pair never differs, the other in a quarter less than the items explain."""
    two_good = Sums(common=400, agreed=350, expected=300.0, variance=72.0)
    colluders = Sums(common=40, agreed=40, expected=22.0, variance=9.0)
    assert two_good.z > colluders.z > 5
    assert (two_good.missing, colluders.missing) == (0.5, 1.0)
    assert set(colluding({("a", "b"): two_good, ("c", "d"): colluders})) == {("c", "d")}


def crowd(seed: int, *, colluders: int, tasks: int = 60, honest: int = 25) -> dict[Pair, Sums]:
    """Each task is answered by five of whom two collude (when there are any): the first chooses at random, the others
    copy."""
    dice = random.Random(seed)
    skill = {f"h{n:02}": dice.uniform(0.65, 0.95) for n in range(honest)}
    sums: dict[Pair, Sums] = defaultdict(Sums)
    for _ in range(tasks * 5):
        truth = dice.randrange(3)
        people = dice.sample(sorted(skill), 3 if colluders else 5)
        answers = {
            one: str(
                truth if dice.random() < skill[one] else dice.choice([k for k in range(3) if k != truth])
            )
            for one in people
        }
        copied = str(dice.randrange(3))
        answers |= {f"c{n}": copied for n in dice.sample(range(colluders), min(2, colluders))}
        for pair, one in terms(answers, skill, classes=3):
            sums[pair] = sums[pair].plus(one)
    return sums


@pytest.mark.parametrize("seed", range(4))
def test_bad_colluders_are_found_and_nobody_else(seed: int) -> None:
    found = set(colluding(crowd(seed, colluders=3)))
    assert found == set(itertools.combinations(["c0", "c1", "c2"], 2))


@pytest.mark.parametrize("seed", range(4))
def test_an_honest_crowd_has_no_pair(seed: int) -> None:
    assert colluding(crowd(seed, colluders=0)) == {}


def test_groups_are_named_by_their_first_member() -> None:
    assert groups([("b", "c"), ("d", "e"), ("a", "c")]) == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "d"}
    assert groups([]) == {}
