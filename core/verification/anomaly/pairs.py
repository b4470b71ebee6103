"""Whether two workers agree more than their items and their ability explain. Pure; `review.py` adds the terms up and asks
for the verdict.

The null is of the item: on an easy item everybody agrees. For item t answered by n people, with Fleiss' agreement
F_t = Σ n_x(n_x-1) / n(n-1) and q_j the chances of j's answer (posterior of the item times j's accuracy), two people agree
with p_t = F_t + (q_a·q_b - mean of that over the item's pairs). Without the item 28 to 35 % of honest workers were flagged
on two real sets, with it none on five of seven; leaving the pair's own votes out of F_t is biased (23 to 59 %)."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec

from core.verification.anomaly.statistics import discovered, normal_tail

LEAST_ANSWERS = 3  # of two, Fleiss' agreement is the agreement itself and shows nothing
LEAST_COMMON = 8
LEAST_P = 3e-5
LEAST_SHARE = 0.7  # of the differences that were to be expected and are not there; two good people in a weak crowd have less
FALSE_SHARE = 0.01
_CLIP = 0.02
USUAL = 0.75  # accuracy of somebody of whom nothing is known


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """Of one pair over its common items."""

    common: int = 0
    agreed: int = 0
    expected: float = 0.0
    variance: float = 0.0

    def plus(self, other: Sums) -> Sums:
        return Sums(
            common=self.common + other.common,
            agreed=self.agreed + other.agreed,
            expected=self.expected + other.expected,
            variance=self.variance + other.variance,
        )

    @property
    def z(self) -> float:
        """Half an agreement is taken off, for the sum is of whole ones."""
        return (self.agreed - 0.5 - self.expected) / math.sqrt(self.variance) if self.variance > 0 else 0.0

    @property
    def missing(self) -> float:
        """Which share of the differences that the items explain is not there: 1 for who never differ, about 0 for others."""
        return (self.agreed - self.expected) / max(1e-9, self.common - self.expected)

    @property
    def p(self) -> float:
        return normal_tail(self.z) if self.common >= LEAST_COMMON else 1.0


Pair = tuple[str, str]  # the smaller id first


def terms(
    answers: Mapping[str, str], accuracy: Mapping[str, float], classes: int
) -> Iterator[tuple[Pair, Sums]]:
    """What one item adds to each pair of those who answered it. `answers` by worker, as digests; `classes` is how many
    different answers there can be, at least two."""
    if len(answers) < LEAST_ANSWERS:
        return
    counts = Counter(answers.values())
    n = len(answers)
    fleiss = sum(count * (count - 1) for count in counts.values()) / (n * (n - 1))
    chances = _chances(answers, accuracy, sorted(counts), max(classes, len(counts), 2))
    pairs = list(itertools.combinations(sorted(answers), 2))
    products = {(a, b): sum(chances[a][label] * chances[b][label] for label in chances[a]) for a, b in pairs}
    mean = sum(products.values()) / len(pairs)
    for pair in pairs:
        p = min(1 - _CLIP, max(_CLIP, fleiss + products[pair] - mean))
        agreed = int(answers[pair[0]] == answers[pair[1]])
        yield pair, Sums(common=1, agreed=agreed, expected=p, variance=p * (1 - p))


def _chances(
    answers: Mapping[str, str], accuracy: Mapping[str, float], labels: list[str], classes: int
) -> dict[str, dict[str, float]]:
    """q_j over the labels that were given, by the one-coin model; what nobody gave is left out of the products."""

    def right(worker: str) -> float:
        return min(0.98, max(1.05 / classes, accuracy.get(worker, USUAL)))

    logs = {
        label: sum(
            math.log(right(worker) if given == label else (1 - right(worker)) / (classes - 1))
            for worker, given in answers.items()
        )
        for label in labels
    }
    top = max(logs.values())
    weights = {label: math.exp(value - top) for label, value in logs.items()}
    total = sum(weights.values())
    return {
        worker: {
            label: sum(
                weights[truth]
                / total
                * (right(worker) if truth == label else (1 - right(worker)) / (classes - 1))
                for truth in labels
            )
            for label in labels
        }
        for worker in answers
    }


def colluding(sums: Mapping[Pair, Sums]) -> dict[Pair, Sums]:
    """The pairs that agree beyond chance: Benjamini-Hochberg at 1 % over all that have enough in common, p < 3e-5, and an
    effect of the size of collusion: a small one is significant as well, over hundreds of common items."""
    tested = {f"{a} {b}": one.p for (a, b), one in sums.items() if one.common >= LEAST_COMMON}
    names = discovered(tested, FALSE_SHARE)
    return {
        (a, b): one
        for (a, b), one in sums.items()
        if f"{a} {b}" in names and one.p < LEAST_P and one.missing >= LEAST_SHARE
    }


def groups(links: list[Pair]) -> dict[str, str]:
    """Worker -> the name of their cluster (its smallest member's id), for everybody who is linked to somebody."""
    parent: dict[str, str] = {}

    def root(one: str) -> str:
        while parent.setdefault(one, one) != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for a, b in links:
        first, second = sorted((root(a), root(b)))
        parent[second] = first
    return {one: root(one) for one in sorted(parent)}
