"""The score: its parts, its order, and that it depends on nothing else."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.routing.lineup import Speed, lineup_of
from core.routing.model import Candidate, Question, Weights
from core.routing.predict import Prediction
from core.routing.score import best_of, in_time, ranked, score, second_try, speed_of
from core.tasks.model import RiskTier

QUESTION = Question(
    task_id="t", environment="test", skills=frozenset(), minimum_tier=0, payout_msat=1_000_000, risk="low"
)
WORKER = Candidate(
    worker_id="w",
    environment="test",
    available=True,
    skills=frozenset(),
    tier=0,
    reliability=0.8,
    price_floor_msat=500_000,
    capacity=3,
    load=1,
    payout_address=None,
    idle_seconds=1800,
)
PLAIN = Weights(exploration=0)


def worker(**change: Any) -> Candidate:
    return msgspec.structs.replace(WORKER, **change)


def test_the_parts_by_hand() -> None:
    parts = score(QUESTION, WORKER, 375, PLAIN, 0.6)
    chance = NormalDist(math.log(180 * 2), 0.8).cdf(math.log(360))
    assert parts.in_time == pytest.approx(chance) == pytest.approx(0.5)
    assert (parts.takes, parts.quality) == (0.75, 0.8)
    assert parts.quality_in_time == pytest.approx(0.75 * 0.8 * (chance + 0.2 * (1 - chance)))
    assert parts.price == pytest.approx(-0.75 * 0.10 * 0.5)
    assert parts.second_try == pytest.approx(0.25 * 0.6)
    assert parts.idle == pytest.approx(0.03 * 0.5)
    assert parts.exploration == 0
    whole = parts.quality_in_time + parts.price + parts.second_try + parts.idle
    assert parts.total == pytest.approx(whole)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"reliability": 0.9}, {"reliability": 0.7}),
        ({"reliability": 0.7, "at_type": 0.9}, {"reliability": 0.9, "at_type": 0.7}),
        ({"load": 0}, {"load": 2}),
        ({"price_floor_msat": 0}, {"price_floor_msat": 900_000}),
        ({"idle_seconds": 3600}, {"idle_seconds": 0}),
        ({"usual_seconds": 60}, {"usual_seconds": 1200}),
        ({"offers_taken": 20}, {"offers_missed": 20}),
    ],
)
def test_what_counts(better: dict[str, Any], worse: dict[str, Any]) -> None:
    candidates = [worker(worker_id="a", **worse), worker(worker_id="b", **better)]
    assert [one.worker_id for one in ranked(QUESTION, candidates, 300, PLAIN)] == ["b", "a"]


def test_a_dear_mistake_lets_quality_outweigh_the_price() -> None:
    dear, cheap = (
        worker(worker_id="dear", reliability=0.9, price_floor_msat=1_000_000),
        worker(worker_id="cheap", reliability=0.8, price_floor_msat=0),
    )
    order = {
        risk: ranked(msgspec.structs.replace(QUESTION, risk=risk), [dear, cheap], 3600, PLAIN)[0].worker_id
        for risk in ("low", "high", "critical")
    }
    assert order == {"low": "cheap", "high": "dear", "critical": "dear"}


def test_a_risk_that_the_file_leaves_out_is_worth_the_most() -> None:
    weights = msgspec.convert({"stakes": {"low": 1, "high": 3}}, Weights)
    assert [weights.stake(risk) for risk in ("low", "medium", "high", "critical")] == [1, 3, 3, 3]


def test_idle_is_a_bonus_with_an_end() -> None:
    day, hour = (score(QUESTION, worker(idle_seconds=s), 300, PLAIN).idle for s in (86_400, 3600))
    assert day == hour == 0.03
    assert score(QUESTION, worker(idle_seconds=-5), 300, PLAIN).idle == 0


def test_nobody_able_starves_and_whoever_is_away_loses_few_offers() -> None:
    better = worker(worker_id="better", reliability=0.9, idle_seconds=0)
    worse = worker(worker_id="worse", reliability=0.7, idle_seconds=12 * 3600)
    away = worker(worker_id="away", reliability=0.7, idle_seconds=12 * 3600, offers_missed=40)
    tasks = [msgspec.structs.replace(QUESTION, task_id=f"t{number}") for number in range(1000)]

    def turns_of(*people: Candidate, weights: Weights = PLAIN) -> int:
        return sum(ranked(one, people, 600, weights)[0].worker_id != "better" for one in tasks)

    assert turns_of(better, worse) == 38  # of a thousand: about `turns`
    assert turns_of(better, worse, weights=Weights(exploration=0, turns=0)) == 0
    assert (
        turns_of(better, msgspec.structs.replace(worse, idle_seconds=3 * 3600)) == 0
    )  # not for a short wait
    assert turns_of(better, away) == 0  # who leaves offers unanswered is not worth losing one more
    [first, *_] = [one for one in tasks if ranked(one, [better, worse], 600, PLAIN)[0].worker_id == "worse"]
    assert score(first, worse, 600, PLAIN).idle == pytest.approx(0.03 * (1 + 0.75 * 11))


def test_no_time_left_no_chance() -> None:
    speed = Speed(mu=5.0, sigma=0.8)
    assert in_time(speed, 0) == in_time(speed, -1) == 0.0
    assert in_time(Speed(mu=5.0, sigma=0.8, gone=1.0), 10_000) == 0.0


def test_when_nobody_can_be_in_time_the_better_answer_counts_still() -> None:
    people = [worker(worker_id="a", reliability=0.3), worker(worker_id="b", reliability=0.6)]
    assert [one.worker_id for one in ranked(QUESTION, people, 5, Weights())] == ["b", "a"]


def test_nine_of_ten_answers_come_in_the_usual_time() -> None:
    assert in_time(speed_of(worker(usual_seconds=240, load=0), PLAIN), 240) == pytest.approx(0.9)


def test_who_takes_offers_is_known_the_better_the_more_there_were() -> None:
    def takes(**offers: int) -> float:
        return score(QUESTION, worker(**offers), 600, PLAIN).takes

    assert takes() == 0.75
    assert takes(offers_missed=8) == pytest.approx(6 / 16)
    assert takes(offers_taken=992, offers_missed=0) == pytest.approx(0.998)


def test_a_lost_offer_is_worth_what_is_left_of_the_time() -> None:
    assert second_try(QUESTION, [], 600, PLAIN) == 0
    early, late = (second_try(QUESTION, [WORKER], seconds, PLAIN) for seconds in (3600, 60))
    assert 0 < late < early < 0.8


def test_newcomers_are_drawn_more_often() -> None:
    """Of nine equals the one who is new gets more than a ninth, and the others get their turn too."""
    people = [worker(worker_id=f"w{number}", answers=200) for number in range(8)]
    people.append(worker(worker_id="new"))
    first = [
        ranked(msgspec.structs.replace(QUESTION, task_id=f"t{n}"), people, 300, Weights())[0].worker_id
        for n in range(200)
    ]
    assert first.count("new") > 200 / 9 * 2
    assert len(set(first)) >= 8


def test_equals_take_turns_by_task_and_the_order_is_fixed() -> None:
    equals = [worker(worker_id=f"w{number}") for number in range(8)]
    first = {
        ranked(msgspec.structs.replace(QUESTION, task_id=f"t{n}"), equals, 300, Weights())[0].worker_id
        for n in range(100)
    }
    assert len(first) == 8
    forwards = ranked(QUESTION, equals, 300, Weights())
    assert forwards == ranked(QUESTION, reversed(equals), 300, Weights())
    assert forwards[:3] == ranked(QUESTION, equals, 300, Weights(), most=3)


def test_a_task_that_pays_nothing_has_a_score() -> None:
    free = msgspec.structs.replace(QUESTION, payout_msat=0)
    assert score(free, worker(price_floor_msat=0), 300, PLAIN).price == 0


PEOPLE = st.builds(
    Candidate,
    worker_id=st.text("abc", min_size=1, max_size=3),
    environment=st.just("test"),
    available=st.just(True),
    skills=st.just(frozenset()),
    tier=st.integers(0, 4),
    reliability=st.floats(0, 1),
    price_floor_msat=st.integers(0, 2_000_000),
    capacity=st.just(5),
    load=st.integers(0, 4),
    payout_address=st.none(),
    idle_seconds=st.floats(-10, 10_000),
    usual_seconds=st.none() | st.integers(1, 100_000),
    prediction=st.none()
    | st.builds(
        Prediction,
        mu=st.floats(0, 12),
        sigma=st.floats(0.1, 2),
        gone=st.floats(0, 0.5),
        p50_seconds=st.just(1.0),
        p90_seconds=st.just(2.0),
    ),
    at_type=st.none() | st.floats(0, 1),
    offers_taken=st.integers(0, 50),
    offers_missed=st.integers(0, 50),
    answers=st.integers(0, 200),
)


def by_the_words(
    question: Question, one: Candidate, seconds: float, weights: Weights, second: float
) -> tuple[float, ...]:
    """The formula at the top of `score.py` once more, for one worker, as slowly as it reads: total, parts, chances."""
    takes = (one.offers_taken + weights.takes * 8.0) / (one.offers_taken + one.offers_missed + 8.0)
    chance = chance_of(one, seconds - weights.response_seconds, weights)
    worth = weights.quality_in_time * weights.stake(question.risk)
    quality = takes * worth * one.right * (chance + weights.late * (1 - chance))
    price = takes * (-weights.price / max(question.payout_msat, 1)) * one.price_floor_msat
    idle = max(one.idle_seconds / weights.idle_full_seconds, 0.0)
    if idle > 1:
        turn = crc32(f"{question.task_id}:".encode()) < weights.turns * 2**32
        idle = 1 + takes * (idle - 1) if turn else 1.0
    novelty = weights.newcomer_answers / (weights.newcomer_answers + one.answers)
    draw = crc32(f"{question.task_id}:{one.worker_id}".encode()) / 2**32
    again, idle = (1 - takes) * second, weights.idle * idle
    exploration = weights.exploration * (0.2 + 0.8 * novelty) * draw
    total = quality + price + again + idle + exploration
    return total, quality, price, again, idle, exploration, one.right, chance, takes


def chance_of(one: Candidate, seconds: float, weights: Weights) -> float:
    if seconds <= 0:
        return 0.0
    sigma, gone = weights.spread, 0.0
    if one.prediction is not None:
        mu, sigma, gone = one.prediction.mu, one.prediction.sigma, one.prediction.gone
    elif one.usual_seconds:
        mu = math.log(one.usual_seconds) - 1.2815515655446004 * sigma
    else:
        mu = math.log(weights.typical_seconds)
    mu += math.log1p(one.load)
    return (1 - gone) * (1 - 0.5 * math.erfc((math.log(seconds) - mu) / (sigma * math.sqrt(2))))


ALIKE = PEOPLE.flatmap(  # nothing in which their speeds differ
    lambda first: st.lists(
        PEOPLE.map(
            lambda one: msgspec.structs.replace(
                one, prediction=first.prediction, usual_seconds=None, load=first.load
            )
        ),
        max_size=20,
        unique_by=lambda one: one.worker_id,
    )
)


@given(
    people=ALIKE | st.lists(PEOPLE, max_size=20, unique_by=lambda one: one.worker_id),
    seconds=st.floats(-10, 10_000),
    most=st.none() | st.integers(1, 8),
    task_id=st.integers(0, 60).map(
        lambda number: f"t{number}"
    ),  # some of them let waiting count without an end
    risk=st.sampled_from(list(RiskTier)),
    payout_msat=st.integers(0, 2_000_000),
)
def test_the_best_of_all_are_those_of_each_scored_alone(
    people: list[Candidate], seconds: float, most: int | None, task_id: str, risk: str, payout_msat: int
) -> None:
    """To the last bit, so that a choice can be made again."""
    weights = Weights(response_seconds=5.0, turns=0.3)
    question = msgspec.structs.replace(QUESTION, task_id=task_id, risk=risk, payout_msat=payout_msat)
    people.sort(key=lambda one: one.worker_id)
    sample = [
        one.right * chance_of(one, seconds - 2 * weights.response_seconds, weights) for one in people[:8]
    ]
    worth = weights.quality_in_time * weights.stake(risk)
    second = weights.second_try * worth * sum(sample) / len(sample) if sample else 0.0
    assert second_try(question, people, seconds, weights) == second
    alone = [score(question, one, seconds, weights, second) for one in people]
    for one, found in zip(people, alone, strict=True):
        parts = (found.quality_in_time, found.price, found.second_try, found.idle, found.exploration)
        chances = (found.quality, found.in_time, found.takes)
        assert (found.total, *parts, *chances) == by_the_words(question, one, seconds, weights, second)
    alone.sort(key=lambda one: (-one.total, one.worker_id))
    assert best_of(question, lineup_of(people[::-1]), seconds, weights, most) == alone[:most]
    assert ranked(question, people, seconds, weights, most) == alone[:most]
