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

import math
from collections.abc import Callable, Iterable
from itertools import islice
from math import erfc, log1p
from operator import itemgetter
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from core.routing.model import Candidate, Question, Weights
from core.routing.predict import Prediction

_OFFERS_WEIGHT = 8.0  # offers as which the prior of `takes` counts
_Z90 = 1.2815515655446004
_ROOT_2 = math.sqrt(2)
# What a score reads of a worker, out of a `Candidate`: worker_id, right, price_floor_msat, load, usual_seconds, prediction,
# idle_seconds, offers_taken, offers_missed, answers. A tuple, because sixty are made for each offer.
Row = tuple[str, float, int, int, int | None, Prediction | None, float, int, int, int]
_SAMPLE = 8
_FIRST: Callable[[Any], Any] = itemgetter(0)
_MOST_LN = 21.0  # ln of forty years in seconds


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """ln(seconds to an answer) is normal with `mu` and `sigma`; `gone` is the chance that none ever comes."""

    mu: float
    sigma: float
    gone: float = 0.0


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


def in_time(speed: Speed, seconds_left: float) -> float:
    """The chance that the answer comes within `seconds_left`: `predict.in_time` at the beginning of the work, for sixty
    candidates at a time."""
    if seconds_left <= 0:
        return 0.0
    late = 0.5 * math.erfc((math.log(seconds_left) - speed.mu) / (speed.sigma * _ROOT_2))
    return (1 - speed.gone) * (1 - late)


def speed_of(worker: Candidate, weights: Weights) -> Speed:
    """What is predicted for the type (`predict.py`); else from the time within which nine of ten of their answers come, else from the typical one; what is in their hands
    already comes first."""
    return _speed(worker.prediction, worker.usual_seconds, worker.load, weights)


def _speed(known: Prediction | None, usual_seconds: int | None, load: int, weights: Weights) -> Speed:
    if known is not None:
        return Speed(mu=known.mu + math.log1p(load), sigma=known.sigma, gone=known.gone)
    if usual_seconds:
        mu = math.log(usual_seconds) - _Z90 * weights.spread
    else:
        mu = math.log(weights.typical_seconds)
    return Speed(mu=mu + math.log1p(load), sigma=weights.spread)


def takes_of(worker: Candidate, weights: Weights) -> float:
    """The chance that they take an offer."""
    offers = worker.offers_taken + worker.offers_missed
    return (worker.offers_taken + weights.takes * _OFFERS_WEIGHT) / (offers + _OFFERS_WEIGHT)


def ranked(
    question: Question,
    workers: Iterable[Candidate],
    seconds_left: float,
    weights: Weights,
    most: int | None = None,
) -> list[Score]:
    """Best first, equal totals by worker id; the first `most` of them."""
    return best_of(question, map(row_of, workers), seconds_left, weights, most)


def best_of(
    question: Question, rows: Iterable[Row], seconds_left: float, weights: Weights, most: int | None = None
) -> list[Score]:
    """`ranked` of workers as rows: sixty are scored for each offer, and a `Candidate` takes longer to make than to score."""
    people = sorted(rows, key=_FIRST)
    terms = _terms(question, seconds_left, weights, _second(question, people, seconds_left, weights))
    scored = [_parts(terms, row) for row in people]
    scored.sort(key=_FIRST, reverse=True)  # stable: equals stay in the order of their ids
    return [_score(parts, weights) for parts in scored[:most]]


def second_try(
    question: Question, workers: Iterable[Candidate], seconds_left: float, weights: Weights
) -> float:
    """What the task is still worth when an offer is lost."""
    return _second(question, map(row_of, workers), seconds_left, weights)


def _second(question: Question, rows: Iterable[Row], seconds_left: float, weights: Weights) -> float:
    later = seconds_left - 2 * weights.response_seconds
    sample = [
        row[1] * in_time(_speed(row[5], row[4], row[3], weights), later) for row in islice(rows, _SAMPLE)
    ]
    if not sample:
        return 0.0
    worth = weights.quality_in_time * weights.stake(question.risk)
    return weights.second_try * worth * sum(sample) / len(sample)


def score(
    question: Question, worker: Candidate, seconds_left: float, weights: Weights, second: float = 0.0
) -> Score:
    """See the top of this file; `second` is `second_try` of all who are compared."""
    return _score(_parts(_terms(question, seconds_left, weights, second), row_of(worker)), weights)


def row_of(worker: Candidate) -> Row:
    return (
        worker.worker_id,
        worker.right,
        worker.price_floor_msat,
        worker.load,
        worker.usual_seconds,
        worker.prediction,
        worker.idle_seconds,
        worker.offers_taken,
        worker.offers_missed,
        worker.answers,
    )


class _Terms(NamedTuple):
    """What is the same for all candidates of a task. `task_prefix` is the checksum of what a draw by task and worker begins
    with; `log_seconds` of the time that is left, None when there is none; `unknown` is the
    chance to be in time of somebody of whom nothing is known and who has nothing in hand; `turn`: waiting counts without
    an end."""

    weights: Weights
    task_prefix: int
    log_seconds: float | None
    worth: float
    late: float
    price_of_msat: float
    second: float
    unknown: float
    turn: bool


# total, the rest of a Score in its order but for the worker, and whose it is: a tuple, because sixty are made for one that
# is read
_Parts = tuple[float, float, float, float, float, float, float, float, float, Row]


def _terms(question: Question, seconds_left: float, weights: Weights, second: float) -> _Terms:
    seconds = seconds_left - weights.response_seconds
    prefix = crc32(f"{question.task_id}:".encode())
    return _Terms(
        weights,
        prefix,
        math.log(seconds) if seconds > 0 else None,
        weights.quality_in_time * weights.stake(question.risk),
        weights.late,
        -weights.price / max(question.payout_msat, 1),
        second,
        in_time(Speed(mu=math.log(weights.typical_seconds), sigma=weights.spread), seconds),
        prefix < weights.turns * 2**32,
    )


def _parts(terms: _Terms, row: Row) -> _Parts:
    """Sixty times for each offer: `takes_of` and `in_time` stand here in full, because a call costs as much as they do."""
    weights, task_prefix, log_seconds, worth, late, price_of_msat, second, unknown, turn = terms
    worker_id, right, floor_msat, load, usual, known, idle_seconds, taken, missed, answers = row
    takes = (taken + weights.takes * _OFFERS_WEIGHT) / (taken + missed + _OFFERS_WEIGHT)
    if log_seconds is None:
        chance = 0.0
    elif known is not None:
        mu = known.mu + (log1p(load) if load else 0.0)
        chance = (1 - known.gone) * (1 - 0.5 * erfc((log_seconds - mu) / (known.sigma * _ROOT_2)))
    elif load or usual:
        speed = _speed(None, usual, load, weights)
        chance = 1 - 0.5 * erfc((log_seconds - speed.mu) / (speed.sigma * _ROOT_2))
    else:
        chance = unknown
    quality = takes * worth * right * (chance + late * (1 - chance))
    price = takes * price_of_msat * floor_msat
    again = (1 - takes) * second
    idle = idle_seconds / weights.idle_full_seconds
    if idle > 1:
        idle = 1 + takes * (idle - 1) if turn else 1
    idle = weights.idle * max(idle, 0.0)
    novelty = weights.newcomer_answers / (weights.newcomer_answers + answers)
    draw = crc32(worker_id.encode(), task_prefix) / 2**32  # [0, 1), the same for the same pair for ever
    exploration = weights.exploration * (0.2 + 0.8 * novelty) * draw
    total = quality + price + again + idle + exploration
    return total, quality, price, again, idle, exploration, right, chance, takes, row


def _score(parts: _Parts, weights: Weights) -> Score:
    _, quality_in_time, price, again, idle, exploration, quality, chance, takes, row = parts
    worker_id, _, _, load, usual_seconds, known, *_ = row
    speed = _speed(known, usual_seconds, load, weights)
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
        p50_seconds=round(math.exp(min(speed.mu, _MOST_LN)), 1),
        p90_seconds=round(math.exp(min(speed.mu + _Z90 * speed.sigma, _MOST_LN)), 1),
    )
