"""The posterior over the options of one closed field, and what each answer says about it. Called by `closed.py`,
`close.py` and the stop rule. Everything in logarithms.

Source: Dawid & Skene 1979 (confusion matrices) with Dirichlet rows as in Kim & Ghahramani 2012, made additive; the weights
of the update (cavity information) are ours, see the README."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from core.verification.consensus.counts import BAD, EMPTY, FIELD_BAD, FIELD_GOOD, GOOD, PRIOR
from core.verification.consensus.model import Book, Counts

SHRINK = 8.0  # pseudo-answers that pull a worker's accuracy to the pool's
ROW = 2.0  # pseudo-answers per option that pull a confusion row to what the worker's accuracy says
POOL_GOOD, POOL_BAD = 7.5, 2.5  # what is believed of a pool of which nothing is known: 3 in 4
CELL = 1.0  # pseudo-count of each cell of the pool's confusion
OPTION = 1.0  # pseudo-count of each option's prior
CLASS_SHRINK = 10.0  # pseudo-tasks that pull an option's difficulty to the field's
FLOOR = 1e-12


def pool_accuracy(pool: Counts) -> float:
    """How often anybody of this task type is right, over all fields."""
    good, bad = POOL_GOOD + max(0.0, pool.get(GOOD, 0.0)), POOL_BAD + max(0.0, pool.get(BAD, 0.0))
    return good / (good + bad)


class View:
    """What the book says of one closed field, read once for all answers. `right` is the pool's accuracy in it; `prior`
    log P(option); `off[k]` the pool's mistakes where option k is true, `hard[k]` how much harder (log odds) k is."""

    __slots__ = ("hard", "mean", "off", "options", "place", "pool", "prior", "right", "row")

    def __init__(self, pool: Counts, field: str, options: Sequence[str]) -> None:
        self.pool, self.options = pool, options
        self.place = {option: k for k, option in enumerate(options)}
        self.mean = pool_accuracy(pool)
        self.right = field_accuracy(pool, field, self.mean)
        self.prior = _log_prior(pool, field, options)
        self.row = ROW * len(options)
        self.off: list[list[float]] = []
        self.hard: list[float] = []
        usual = logit(self.right)
        for k, truth in enumerate(options):
            seen = [max(0.0, pool.get((field, truth, one), 0.0)) for one in options]
            right = (seen[k] + CLASS_SHRINK * self.right) / (math.fsum(seen) + CLASS_SHRINK)
            self.hard.append(logit(right) - usual)
            cells = [0.0 if one == k else count + CELL for one, count in enumerate(seen)]
            total = math.fsum(cells)
            self.off.append([cell / total for cell in cells] if total else cells)

    def log_column(self, counts: Counts, field: str, answer: int) -> list[float]:
        """log P(a worker with these counts answers options[answer] | truth = k), for each k: the posterior mean of a
        Dirichlet row, pulled to the worker's accuracy (moved by the option's difficulty) and the pool's mistakes."""
        own = self.accuracy(counts)
        column: list[float] = []
        for k, truth in enumerate(self.options):
            right = sigmoid(own + self.hard[k])
            base = right if k == answer else (1.0 - right) * self.off[k][answer]
            if counts:
                row = [max(0.0, counts.get((field, truth, one), 0.0)) for one in self.options]
                base = (row[answer] + self.row * base) / (sum(row) + self.row)
            column.append(math.log(max(base, FLOOR)))
        return column

    def accuracy(self, counts: Counts) -> float:
        """Log odds that a worker with these counts is right in this field."""
        return self.moved(_own(counts, self.mean))

    def moved(self, accuracy: float) -> float:
        """Log odds of being right in this field of who is right with this probability over all fields."""
        return logit(accuracy) + logit(self.right) - logit(self.mean)

    def tells(self, counts: Counts, field: str, accuracy: float, posterior: Sequence[float]) -> float:
        """What the answer of a worker with these counts, were their accuracy `accuracy`, is expected to tell: the mutual
        information of answer and truth under `posterior`, 0 .. log K."""
        own, answers, given_truth = self.moved(accuracy), [0.0] * len(self.options), 0.0
        for k, truth in enumerate(self.options):
            right = sigmoid(own + self.hard[k])
            row = [
                right if one == k else (1.0 - right) * self.off[k][one] for one in range(len(self.options))
            ]
            if counts:
                seen = [max(0.0, counts.get((field, truth, one), 0.0)) for one in self.options]
                total = sum(seen) + self.row
                row = [(had + self.row * base) / total for had, base in zip(seen, row, strict=True)]
            given_truth += posterior[k] * entropy(row)
            answers = [sofar + posterior[k] * p for sofar, p in zip(answers, row, strict=True)]
        return max(0.0, entropy(answers) - given_truth)


def field_accuracy(pool: Counts, field: str, mean: float | None = None) -> float:
    """The pool's in one field, shrunk to its accuracy over all fields."""
    mean = pool_accuracy(pool) if mean is None else mean
    good = max(0.0, pool.get((field, FIELD_GOOD, ""), 0.0))
    bad = max(0.0, pool.get((field, FIELD_BAD, ""), 0.0))
    return (good + SHRINK * mean) / (good + bad + SHRINK)


def accuracy(book: Book, worker: str, field: str = "") -> float:
    """Mean of the worker's Beta, shrunk to the pool; moved by the field's difficulty (in log odds) where one is named."""
    mean = pool_accuracy(book.pool)
    own = _own(book.workers.get(worker, EMPTY), mean)
    if not field:
        return own
    return sigmoid(logit(own) + logit(field_accuracy(book.pool, field, mean)) - logit(mean))


def _own(counts: Counts, mean: float) -> float:
    good, bad = max(0.0, counts.get(GOOD, 0.0)), max(0.0, counts.get(BAD, 0.0))
    return (good + SHRINK * mean) / (good + bad + SHRINK)


def _log_prior(pool: Counts, field: str, options: Sequence[str]) -> list[float]:
    seen = [OPTION + max(0.0, pool.get((field, PRIOR, option), 0.0)) for option in options]
    total = math.log(math.fsum(seen))
    return [math.log(one) - total for one in seen]


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


def information(cavity: Sequence[float]) -> float:
    """How much of all that is to be known the *other* answers (and the prior) tell, 0..1: the weight with which an
    answer may teach us about its worker."""
    return max(0.0, 1.0 - entropy(cavity) / math.log(len(cavity))) if len(cavity) > 1 else 0.0


def logit(p: float) -> float:
    """Of a probability kept inside of [1e-6, 1 - 1e-6], so that nothing is infinite."""
    p = min(1.0 - 1e-6, max(1e-6, p))
    return math.log(p) - math.log1p(-p)


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0.0 else math.exp(x) / (1.0 + math.exp(x))
