"""How good it would be to give a task to a worker: expected utility, in parts that an operator can read. Pure and
deterministic: the same task and workers give the same order, on every machine."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

import msgspec

from core.routing.model import Candidate, Question, Weights


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """`total` is the sum of the parts (`price` is subtracted already)."""

    worker_id: str
    quality_in_time: float
    price: float
    idle: float
    exploration: float

    @property
    def total(self) -> float:
        return self.quality_in_time + self.price + self.idle + self.exploration


def score(question: Question, worker: Candidate, seconds_left: float, weights: Weights) -> Score:
    """- quality in time: the chance of a right answer × the chance that it comes within `seconds_left`
    - price: what share of the payout this worker insists on. Everybody is paid the same for a task, so whoever works
      for less takes the cheap tasks and leaves the others for the well-paid ones
    - idle: up to one full bonus for who has waited longest, so that the work spreads
    - exploration: a small draw by task and worker, so that equals take turns and newcomers are seen"""
    return Score(
        worker_id=worker.worker_id,
        quality_in_time=weights.quality_in_time * worker.reliability * in_time(worker, seconds_left, weights),
        price=-weights.price * worker.price_floor_msat / max(question.payout_msat, 1),
        idle=weights.idle * min(1.0, max(0.0, worker.idle_seconds) / weights.idle_full_seconds),
        exploration=weights.exploration * _draw(question.task_id, worker.worker_id),
    )


def in_time(worker: Candidate, seconds_left: float, weights: Weights) -> float:
    """The chance that the answer comes within `seconds_left`: exponential time to finish, whose mean grows with what
    is in the worker's hands already."""
    if seconds_left <= 0:
        return 0.0
    return 1.0 - math.exp(-seconds_left / (weights.typical_seconds * (1 + worker.load)))


def ranked(
    question: Question, workers: Iterable[Candidate], seconds_left: float, weights: Weights
) -> list[Score]:
    """Best first; equal totals by worker id."""
    scores = [score(question, worker, seconds_left, weights) for worker in workers]
    return sorted(scores, key=lambda one: (-one.total, one.worker_id))


def _draw(task_id: str, worker_id: str) -> float:
    """[0, 1), the same for the same pair for ever."""
    digest = hashlib.sha256(f"{task_id}:{worker_id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
