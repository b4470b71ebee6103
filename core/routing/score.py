"""How good it would be to give a task to a worker: expected utility, in parts that an operator can read. Pure and
deterministic: the same task and workers give the same order, on every machine.

    U = a (s q (T + late (1 - T)) - price) + (1 - a) second + idle + exploration,    T = T(L - d)

a  the chance that they take the offer: a Beta mean of their own offers, drawn to `takes` while there are few
s  what the answer is worth: the stake of the task's risk times `quality_in_time`
q  the chance that their answer is right: what was judged of them at this type, drawn to their overall `reliability`,
   which is itself shrunk to their tier where it is made (core/workers/reliability.py)
T  the chance that it comes in the time that is left, less d, the time that people take to respond to an offer;
   `in_time` of what is known of their speed. An answer after that is worth the part `late`: the task is still open
price   what share of the payout this worker insists on. Everybody is paid the same for a task, so whoever works for
        less takes the cheap tasks and leaves the others for the well-paid ones
second  what a lost offer is still worth: the mean of s q T of the first candidates with a response less of time, times
        `second_try`. Without it a worker who rarely answers looks as good as one who always does
idle    up to one full bonus for who has waited longest, so that the work spreads. For a share `turns` of all tasks, drawn by
        their names, waiting counts without an end (what is over one full bonus times a), so that nobody able starves: who
        is .20 less likely to be right has their turn after some seven hours. Bounded, because who has waited longest
        may just be away: then the offer is lost, for so many tasks and no more
exploration  a small draw by task and worker, larger for who has given few answers, so that newcomers are seen and
        equals take turns

From a simulation of 18,000 tasks (research on routing, 4.2): without `second` this lost to "the fastest"; with it, it won."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from math import erfc, log1p
from zlib import crc32

import msgspec

from core.routing.lineup import Lineup, Speed, Three, lineup_of
from core.routing.model import Candidate, Question, Weights

_OFFERS_WEIGHT = 8.0  # offers as which the prior of `takes` counts
_Z90 = 1.2815515655446004
_ROOT_2 = math.sqrt(2)
_SAMPLE = 8
_MOST_LN = 21.0  # ln of forty years in seconds
_DRAWS = 2**32


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """`total` is the sum of the parts (`price` is subtracted already); `quality`, `in_time` and `takes` are the chances
    that they are made of, 0 to 1. Half of such answers come within `p50_seconds` of accepting, nine in ten within
    `p90_seconds`; None in what was kept before that was."""

    worker_id: str
    quality_in_time: float
    price: float
    second_try: float
    idle: float
    exploration: float
    quality: float
    in_time: float
    takes: float
    p50_seconds: float | None = None
    p90_seconds: float | None = None

    @property
    def total(self) -> float:
        return self.quality_in_time + self.price + self.second_try + self.idle + self.exploration


def ranked(
    question: Question,
    workers: Iterable[Candidate],
    seconds_left: float,
    weights: Weights,
    most: int | None = None,
) -> list[Score]:
    """Best first, equal totals by worker id; the first `most` of them."""
    return best_of(question, lineup_of(workers), seconds_left, weights, most)


def best_of(
    question: Question, people: Lineup, seconds_left: float, weights: Weights, most: int | None = None
) -> list[Score]:
    """`ranked` of workers in columns. Everybody's parts are reckoned; a `Score` is made of the best alone."""
    by_id = sorted(range(len(people)), key=people.worker_ids.__getitem__)
    speeds = _speeds(people, weights)
    second = _second(question, people, speeds, by_id[:_SAMPLE], seconds_left, weights)
    parts = _parts(question, people, speeds, seconds_left, weights, second)
    totals = [one[0] for one in parts]
    best = sorted(by_id, key=totals.__getitem__, reverse=True)  # stable: equals stay by their ids
    return [_score(parts[place], speeds[place]) for place in best[:most]]


def score(
    question: Question, worker: Candidate, seconds_left: float, weights: Weights, second: float = 0.0
) -> Score:
    """See the top of this file; `second` is `second_try` of all who are compared."""
    alone = lineup_of([worker])
    speeds = _speeds(alone, weights)
    [parts] = _parts(question, alone, speeds, seconds_left, weights, second)
    return _score(parts, speeds[0])


def second_try(
    question: Question, workers: Iterable[Candidate], seconds_left: float, weights: Weights
) -> float:
    """What the task is still worth when an offer is lost."""
    people = lineup_of(workers)
    sample = range(len(people))[:_SAMPLE]
    return _second(question, people, _speeds(people, weights), sample, seconds_left, weights)


def in_time(speed: Three, seconds_left: float) -> float:
    """The chance that the answer comes within `seconds_left`: `predict.in_time` at the beginning of the work."""
    return _in_time([speed], seconds_left)[0]


def speed_of(worker: Candidate, weights: Weights) -> Speed:
    """What is predicted for the type (`predict.py`); else from the time within which nine of ten of their answers come, else
    from the typical one; what is in their hands already comes first."""
    return Speed(*_speeds(lineup_of([worker]), weights)[0])


# The total, the parts of a Score in its order, and whose they are: a tuple, because sixty are made for eight that are read.
_Parts = tuple[float, float, float, float, float, float, float, float, float, str]


def _parts(
    question: Question,
    people: Lineup,
    speeds: Sequence[Three],
    seconds_left: float,
    weights: Weights,
    second: float,
) -> list[_Parts]:
    """The formula at the top of this file."""
    worth, late, turns = _worth(question, weights), weights.late, weights.turns
    price_of_msat = -weights.price / max(question.payout_msat, 1)
    believed, full, bonus = weights.takes * _OFFERS_WEIGHT, weights.idle_full_seconds, weights.idle
    eager, new = weights.exploration, weights.newcomer_answers
    prefix = crc32(f"{question.task_id}:".encode())  # what a draw by task and worker begins with
    turn = prefix < turns * _DRAWS
    found: list[_Parts] = []
    for worker_id, right, floor_msat, waited, taken, missed, answers, chance in zip(
        people.worker_ids,
        people.right,
        people.price_floor_msat,
        people.idle_seconds,
        people.offers_taken,
        people.offers_missed,
        people.answers,
        _in_time(speeds, seconds_left - weights.response_seconds),
        strict=True,
    ):
        takes = (taken + believed) / (taken + missed + _OFFERS_WEIGHT)
        quality = takes * worth * right * (chance + late * (1 - chance))
        price = takes * price_of_msat * floor_msat
        again = (1 - takes) * second
        idle = waited / full
        if idle > 1:
            idle = 1 + takes * (idle - 1) if turn else 1.0
        elif idle < 0:
            idle = 0.0
        idle = bonus * idle
        draw = crc32(worker_id.encode(), prefix) / _DRAWS  # [0, 1), the same for the same pair for ever
        exploration = eager * (0.2 + 0.8 * (new / (new + answers))) * draw
        total = quality + price + again + idle + exploration
        found.append((total, quality, price, again, idle, exploration, right, chance, takes, worker_id))
    return found


def _score(parts: _Parts, speed: Three) -> Score:
    _, quality_in_time, price, again, idle, exploration, quality, chance, takes, worker_id = parts
    mu, sigma, _ = speed
    p50, p90 = _span(mu, sigma)
    return Score(
        worker_id=worker_id,
        quality_in_time=quality_in_time,
        price=price,
        second_try=again,
        idle=idle,
        exploration=exploration,
        quality=quality,
        in_time=chance,
        takes=takes,
        p50_seconds=p50,
        p90_seconds=p90,
    )


@functools.lru_cache(1024)  # the best of one offer are often among those of the next
def _span(mu: float, sigma: float) -> tuple[float, float]:
    """Seconds within which half of the answers come, and nine in ten."""
    return round(math.exp(min(mu, _MOST_LN)), 1), round(math.exp(min(mu + _Z90 * sigma, _MOST_LN)), 1)


def _worth(question: Question, weights: Weights) -> float:
    return weights.quality_in_time * weights.stake(question.risk)


def _speeds(people: Lineup, weights: Weights) -> list[Three]:
    """As `speed_of`."""
    sigma = weights.spread
    typical = (math.log(weights.typical_seconds), sigma, 0.0)
    usual = people.usual_seconds
    found = (
        [
            one or ((math.log(seconds) - _Z90 * sigma, sigma, 0.0) if seconds else typical)
            for one, seconds in zip(people.speeds, usual, strict=True)
        ]
        if any(usual)
        else [one or typical for one in people.speeds]
    )
    if any(people.load):
        for place, load in enumerate(people.load):
            if load:
                mu, sigma, gone = found[place]
                found[place] = (mu + log1p(load), sigma, gone)
    return found


def _in_time(speeds: Sequence[Three], seconds: float) -> list[float]:
    count = len(speeds)
    if seconds <= 0:
        return [0.0] * count
    ln = math.log(seconds)
    if count > 1 and speeds.count(speeds[0]) == count:  # nothing is known of any of them
        return _in_time(speeds[:1], seconds) * count
    return [(1 - gone) * (1 - 0.5 * erfc((ln - mu) / (sigma * _ROOT_2))) for mu, sigma, gone in speeds]


def _second(
    question: Question,
    people: Lineup,
    speeds: Sequence[Three],
    sample: Sequence[int],
    seconds_left: float,
    weights: Weights,
) -> float:
    """`second_try` of those in these places."""
    if not sample:
        return 0.0
    right = people.right
    chances = _in_time([speeds[place] for place in sample], seconds_left - 2 * weights.response_seconds)
    found = sum([right[place] * chance for place, chance in zip(sample, chances, strict=True)])
    return weights.second_try * _worth(question, weights) * found / len(sample)
