"""The consensus of a number: inverse-variance mean with each worker's variance shrunk to the pool's, started from Huber's
location. Called by `fields.py` and `close.py`.

x_ij = t_i + e, Var e = s_j^2; s_j^2 = (sum of squares + 5 s_pool^2) / (n_j + 5); t = sum(x / s^2) / sum(1 / s^2), and its
standard deviation is sum(1 / s^2)^(-1/2)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

import msgspec

from core.verification.consensus.counts import EMPTY, NUMBERS, SQUARES
from core.verification.consensus.leaves import Leaf
from core.verification.consensus.model import Book

SHRINK = 5.0  # pseudo-answers at the pool's variance
HUBER = 1.345  # 95 % efficient for normal errors
_ROUNDS = 10
_NORMAL = 1.4826  # median absolute deviation to standard deviation


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    mean: float
    precision: float  # sum of 1 / s_j^2
    pool_variance: float

    @property
    def deviation(self) -> float:
        return self.precision**-0.5

    def after(self, more: int) -> float:
        """Standard deviation after `more` answers of people as exact as the pool."""
        return (self.precision + more / self.pool_variance) ** -0.5


def estimate(leaf: Leaf, book: Book, without: str | None = None) -> Estimate:
    """`without` leaves one worker's answer out; there must be another."""
    votes = {worker: float(value) for worker, value in leaf.votes.items() if worker != without}
    pool = pool_variance(leaf, book, votes.values())
    middle = huber(votes.values(), pool**0.5)
    weights: dict[str, float] = {}
    for worker, value in votes.items():
        counts = book.workers.get(worker, EMPTY)
        squares = max(0.0, counts.get((leaf.field, SQUARES, ""), 0.0))
        number = max(0.0, counts.get((leaf.field, NUMBERS, ""), 0.0))
        variance = (squares + SHRINK * pool) / (number + SHRINK)
        # One answer far from the others says more about itself than about the number: it is weighted as Huber does.
        far = abs(value - middle) / (HUBER * variance**0.5)
        weights[worker] = 1.0 / variance / max(1.0, far)
    total = math.fsum(weights.values())
    mean = math.fsum(weight * votes[worker] for worker, weight in weights.items()) / total
    return Estimate(mean=mean, precision=total, pool_variance=pool)


def pool_variance(leaf: Leaf, book: Book, values: Collection[float]) -> float:
    """The field's own once it has been seen; before that the spread of these answers, and no less than the
    tolerance's."""
    ordered = sorted(values)
    deviation = _NORMAL * _median(sorted(abs(value - _median(ordered)) for value in ordered))
    scale = max(deviation, leaf.tolerance, 1e-9 * max(1.0, *map(abs, ordered)))
    squares = max(0.0, book.pool.get((leaf.field, SQUARES, ""), 0.0))
    number = max(0.0, book.pool.get((leaf.field, NUMBERS, ""), 0.0))
    return max((squares + SHRINK * scale * scale) / (number + SHRINK), 1e-18)


def huber(values: Iterable[float], scale: float) -> float:
    """Huber's M-estimate of location, from the median."""
    ordered = sorted(values)
    middle = _median(ordered)
    for _ in range(_ROUNDS):
        weights = [min(1.0, HUBER * scale / max(abs(value - middle), 1e-300)) for value in ordered]
        middle = math.fsum(w * x for w, x in zip(weights, ordered, strict=True)) / math.fsum(weights)
    return middle


def within(tolerance: float, deviation: float) -> float:
    """P(|error| <= tolerance) of a normal error."""
    return math.erf(tolerance / (deviation * math.sqrt(2.0)))


def shown(mean: float, values: Iterable[float]) -> float | int:
    """Whole when every answer is, and no more digits than the most exact answer has."""
    given = list(values)
    if all(isinstance(value, int) or float(value).is_integer() for value in given):
        return round(mean)
    digits = (
        max(len(repr(value).partition(".")[2]) for value in given if "e" not in repr(value))
        if any("e" not in repr(value) for value in given)
        else 12
    )
    return round(mean, digits)


def _median(ordered: list[float]) -> float:
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2.0
