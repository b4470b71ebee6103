"""Who is odd over many answers: exact figures for one worker, and how many honest ones are found among many."""

from __future__ import annotations

import random

import pytest

from core.verification.anomaly.model import Memory, Pool, Signal
from core.verification.anomaly.statistics import binomial_tail
from core.verification.anomaly.suspicion import (
    MarkKind,
    Suspicion,
    borne_out,
    classes_of,
    found,
    of_memory,
    of_skill,
    usual_accuracy,
)

POOL = Pool(log_seconds=[3.0] * 50, choices={"yes": 55.0, "no": 45.0})


def kinds(reasons: list[Suspicion]) -> list[MarkKind]:
    return [one.kind for one in reasons]


def choosing(choices: list[str], likely: float = 0.55) -> Memory:
    return Memory(choices=choices, likely=[likely] * len(choices))


def test_one_choice_whatever_was_asked() -> None:
    [one] = of_memory(choosing(["yes"] * 40), POOL)
    assert one.kind is MarkKind.CONSTANT
    assert one.words == "the same choice in 40 of 40 answers; the questions explain 22"
    assert one.p == pytest.approx(2 * 0.55**40)
    assert one.evidence == {"times": 40, "of": 40, "explained": 22.0}


@pytest.mark.parametrize(("other", "odd"), [(0, True), (1, True), (2, False)])
def test_who_leans_to_one_choice_makes_some_of_the_others(other: int, odd: bool) -> None:
    """The questions ask for 18 other choices of 40: nine of ten of them have to be missing."""
    memory = Memory(choices=["yes"] * (40 - other) + ["no"] * other, likely=[0.55] * 40)
    assert (MarkKind.CONSTANT in kinds(of_memory(memory, POOL))) is odd


def test_questions_that_all_have_one_answer_accuse_nobody() -> None:
    [one] = of_memory(choosing(["yes"] * 40, likely=0.95), POOL)
    assert one.p == pytest.approx(2 * 0.95**40)


def test_few_answers_show_no_constant() -> None:
    assert of_memory(choosing(["yes"] * 14), POOL) == []


@pytest.mark.parametrize("choices", [["yes", "no"] * 20, ["yes", "yes", "yes", "no"] * 10])
def test_a_mixture_is_nothing(choices: list[str]) -> None:
    assert of_memory(choosing(choices), POOL) == []


def test_a_guess_is_among_the_choices_that_people_make() -> None:
    assert classes_of(POOL) == 2
    assert classes_of(Pool()) == 2
    assert classes_of(Pool(choices={"a": 40.0, "b": 30.0, "c": 26.0, "typo": 4.0})) == 3


def test_a_run_of_fast_answers() -> None:
    odd: list[list[Signal]] = [[] for _ in range(36)] + [[Signal.TOO_FAST]] * 4
    [one] = of_memory(Memory(odd=odd), POOL)
    assert (one.kind, one.evidence) == (MarkKind.FAST, {"times": 4, "of": 10})
    assert one.p == pytest.approx(2 * 2.0e-6, rel=0.02)


def test_lack_of_skill_by_hand() -> None:
    """Thirteen wrong ones and three right ones of the crowd: Beta(4, 14) is above .675 as seldom as 14 of 17 throws of .325
    are hits; where everybody is right in two of three, Beta(3, 15) above .5 + .8/6."""
    one = of_skill(0.0, 13.0)
    assert one is not None
    assert one.p == pytest.approx(binomial_tail(14, 17, 0.325))
    hard = of_skill(0.0, 13.0, usual=2 / 3)
    assert hard is not None
    assert hard.p == pytest.approx(binomial_tail(15, 17, 1 - (0.5 + 0.8 / 6)))
    assert of_skill(3.0, 9.0) is None
    better = of_skill(38.0, 2.0)
    assert better is not None
    assert better.p > 0.999


def test_what_is_usual_is_not_lowered_by_who_does_no_work() -> None:
    good, none = (27.0, 30.0), (15.0, 30.0)
    assert usual_accuracy([]) == 1.0
    assert usual_accuracy([good]) == pytest.approx(28.5 / 32)
    assert usual_accuracy([good] * 10 + [none] * 20) == pytest.approx(28.5 / 32)
    assert usual_accuracy([none] * 30) == pytest.approx(16.5 / 32)


def test_gold_acquits_those_whom_a_mistaken_consensus_accuses() -> None:
    """Ten are right in 9 of their 10 gold answers and in 3 of 30 by what the others say; another copies."""
    accused = of_skill(3.0, 27.0)
    assert accused is not None
    other = Suspicion(kind=MarkKind.COPIES, p=1e-9, words="", evidence={})
    crowd = {f"w{n}": [accused, other] if n == 0 else [accused] for n in range(10)}
    assert borne_out(crowd, dict.fromkeys(crowd, (9.0, 10.0)), 0.75) == {
        worker: [other] if worker == "w0" else [] for worker in crowd
    }
    many = crowd | {
        f"v{n}": [] for n in range(31)
    }  # a quarter of all is not accused: those may well have turned bad
    assert borne_out(many, dict.fromkeys(many, (9.0, 10.0)), 0.75) == many
    for gold in ((5.0, 10.0), (0.0, 0.0)):  # gold says so too, or says nothing
        assert borne_out(crowd, dict.fromkeys(crowd, gold), 0.75) == crowd


def test_who_is_found_and_for_what() -> None:
    strong = Suspicion(kind=MarkKind.CONSTANT, p=1e-8, words="", evidence={})
    weak = Suspicion(kind=MarkKind.FAST, p=0.4, words="", evidence={})
    crowd = {f"w{n}": [weak] for n in range(100)} | {"x": [strong, weak], "y": []}
    assert {worker: kinds(reasons) for worker, reasons in found(crowd).items()} == {"x": [MarkKind.CONSTANT]}


def test_a_posterior_is_asked_alone() -> None:
    """It is no p-value: neither does the number of workers make it weaker, nor does it vouch for other reasons."""
    unskilled = Suspicion(kind=MarkKind.UNSKILLED, p=0.05, words="", evidence={})
    fast = Suspicion(kind=MarkKind.FAST, p=0.009, words="", evidence={})
    crowd = {f"w{n}": [Suspicion(kind=MarkKind.FAST, p=0.4, words="", evidence={})] for n in range(100)}
    seen = found(crowd | {"x": [unskilled, fast], "y": [fast]})
    assert {worker: kinds(reasons) for worker, reasons in seen.items()} == {"x": [MarkKind.UNSKILLED]}


def test_honest_workers_are_hardly_ever_found() -> None:
    """A thousand who choose as everybody does, and are right in 85 % of 30 known answers, like everybody."""
    dice = random.Random(7)
    crowd: dict[str, list[Suspicion]] = {}
    for n in range(1_000):
        choices = ["yes" if dice.random() < 0.55 else "no" for _ in range(40)]
        good = float(sum(dice.random() < 0.85 for _ in range(30)))
        reasons = of_memory(choosing(choices), POOL)
        skill = of_skill(good, 30 - good, usual=0.85)
        crowd[f"w{n}"] = [*reasons, *([skill] if skill else [])]
    assert len(found(crowd)) <= 1
