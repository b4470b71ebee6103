"""The score: its parts, its order, and that it depends on nothing else."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from core.routing.model import Candidate, Question, Weights
from core.routing.score import in_time, ranked, score

QUESTION = Question(
    task_id="t", environment="test", skills=frozenset(), minimum_tier=0, payout_msat=1_000_000
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
    parts = score(QUESTION, WORKER, 360, PLAIN)
    assert parts.quality_in_time == pytest.approx(0.8 * (1 - math.exp(-360 / (180 * 2))))
    assert parts.price == pytest.approx(-0.10 * 0.5)
    assert parts.idle == pytest.approx(0.03 * 0.5)
    assert parts.exploration == 0
    assert parts.total == pytest.approx(parts.quality_in_time + parts.price + parts.idle)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"reliability": 0.9}, {"reliability": 0.7}),
        ({"load": 0}, {"load": 2}),
        ({"price_floor_msat": 0}, {"price_floor_msat": 900_000}),
        ({"idle_seconds": 3600}, {"idle_seconds": 0}),
    ],
)
def test_what_counts(better: dict[str, Any], worse: dict[str, Any]) -> None:
    candidates = [worker(worker_id="a", **worse), worker(worker_id="b", **better)]
    assert [one.worker_id for one in ranked(QUESTION, candidates, 300, PLAIN)] == ["b", "a"]


def test_idle_is_a_bonus_with_an_end() -> None:
    day, hour = (score(QUESTION, worker(idle_seconds=s), 300, PLAIN).idle for s in (86_400, 3600))
    assert day == hour == 0.03
    assert score(QUESTION, worker(idle_seconds=-5), 300, PLAIN).idle == 0


def test_no_time_left_no_chance() -> None:
    assert in_time(WORKER, 0, PLAIN) == in_time(WORKER, -1, PLAIN) == 0.0


def test_equals_take_turns_by_task_and_the_order_is_fixed() -> None:
    equals = [worker(worker_id=f"w{number}") for number in range(8)]
    first = {
        ranked(msgspec.structs.replace(QUESTION, task_id=f"t{n}"), equals, 300, Weights())[0].worker_id
        for n in range(100)
    }
    assert len(first) == 8
    forwards = ranked(QUESTION, equals, 300, Weights())
    assert forwards == ranked(QUESTION, reversed(equals), 300, Weights())


def test_a_task_that_pays_nothing_has_a_score() -> None:
    free = msgspec.structs.replace(QUESTION, payout_msat=0)
    assert score(free, worker(price_floor_msat=0), 300, PLAIN).price == 0
