"""The posterior over the options of one closed field, and what each answer says about it. Called by `closed.py`,
`close.py` and the stop rule. Everything in logarithms.

Source: Dawid & Skene 1979 (confusion matrices) with Dirichlet rows as in Kim & Ghahramani 2012, made additive; the weights
of the update (cavity information) are ours, see the README."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from core.verification.consensus.counts import BAD, EMPTY, FIELD_BAD, FIELD_GOOD, GOOD, PRIOR
from core.verification.consensus.model import Book, Counts

SHRINK = 6.0  # pseudo-answers that pull a worker's accuracy to the pool's
ROW = 6.0  # pseudo-answers that pull a confusion row to the worker's accuracy
POOL_GOOD, POOL_BAD = 7.5, 2.5  # what is believed of a pool of which nothing is known: 3 in 4
CELL = 1.0  # pseudo-count of each cell of the pool's confusion
OPTION = 1.0  # pseudo-count of each option's prior
FLOOR = 1e-12


def pool_accuracy(pool: Counts) -> float:
    """How often anybody of this task type is right, over all fields."""
    good, bad = POOL_GOOD + pool.get(GOOD, 0.0), POOL_BAD + pool.get(BAD, 0.0)
    return _inside(good / (good + bad))


def field_accuracy(pool: Counts, field: str) -> float:
    """The pool's in one field, shrunk to its accuracy over all fields."""
    mean = pool_accuracy(pool)
    good, bad = pool.get((field, FIELD_GOOD, ""), 0.0), pool.get((field, FIELD_BAD, ""), 0.0)
    return _inside((good + SHRINK * mean) / (good + bad + SHRINK))


def accuracy(book: Book, worker: str, field: str = "") -> float:
    """Mean of the worker's Beta, shrunk to the pool; moved by the field's difficulty (in log odds) where one is named."""
    mean, counts = pool_accuracy(book.pool), book.workers.get(worker, EMPTY)
    good, bad = max(0.0, counts.get(GOOD, 0.0)), max(0.0, counts.get(BAD, 0.0))
    own = _inside((good + SHRINK * mean) / (good + bad + SHRINK))
    if not field:
        return own
    return _inside(sigmoid(logit(own) + logit(field_accuracy(book.pool, field)) - logit(mean)))


def log_prior(pool: Counts, field: str, options: Sequence[str]) -> list[float]:
    seen = [OPTION + max(0.0, pool.get((field, PRIOR, option), 0.0)) for option in options]
    total = math.log(sum(seen))
    return [math.log(one) - total for one in seen]


def log_column(
    book: Book, worker: str, field: str, options: Sequence[str], answer: int, right: float
) -> list[float]:
    """log P(the worker answers options[answer] | truth = k), for each k. `right` is the worker's accuracy in the field."""
    pool, counts = book.pool, book.workers.get(worker, EMPTY)
    column: list[float] = []
    for k, truth in enumerate(options):
        if k == answer:
            base = right
        else:
            off = [
                CELL + max(0.0, pool.get((field, truth, one), 0.0))
                for l_, one in enumerate(options)
                if l_ != k
            ]
            base = (1.0 - right) * off[answer - (answer > k)] / sum(off)
        if counts:
            row = [max(0.0, counts.get((field, truth, one), 0.0)) for one in options]
            base = (row[answer] + ROW * base) / (sum(row) + ROW)
        column.append(math.log(max(base, FLOOR)))
    return column


def summed(prior: Sequence[float], columns: Mapping[str, Sequence[float]]) -> list[float]:
    """Unnormalised log posterior; the sum is exact in any order of the workers (`fsum`), so that the order of answers
    changes no bit of it."""
    return [math.fsum([start, *(column[k] for column in columns.values())]) for k, start in enumerate(prior)]


def softmax(logs: Sequence[float]) -> list[float]:
    top = max(logs)
    weights = [math.exp(one - top) for one in logs]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def entropy(probabilities: Sequence[float]) -> float:
    return -math.fsum(p * math.log(p) for p in probabilities if p > 0.0)


def information(cavity: Sequence[float], prior: Sequence[float]) -> float:
    """How much of the prior's uncertainty the *other* answers have removed, 0..1: the weight with which this answer
    may teach us about its worker."""
    before = entropy(prior)
    return max(0.0, 1.0 - entropy(cavity) / before) if before > 0.0 else 0.0


def logit(p: float) -> float:
    return math.log(p) - math.log1p(-p)


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0.0 else math.exp(x) / (1.0 + math.exp(x))


def _inside(p: float) -> float:
    return min(1.0 - 1e-6, max(1e-6, p))
