"""The tests that the detectors share: exact binomial tails, robust z, combination of p-values, false-discovery control.
Pure, and without numpy: every process that judges answers loads it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

MOST_P = 0.95
NORMAL = 1.4826  # makes the median absolute deviation of a normal sample its standard deviation


def binomial_tail(successes: int, trials: int, chance: float) -> float:
    """P(X >= successes) of Binomial(trials, chance), summed in logarithms. 1 when `successes` is 0 or less."""
    if successes <= 0:
        return 1.0
    if successes > trials or chance <= 0:
        return 0.0
    if chance >= 1:
        return 1.0
    total = 0.0
    for count in range(successes, trials + 1):
        ways = math.lgamma(trials + 1) - math.lgamma(count + 1) - math.lgamma(trials - count + 1)
        total += math.exp(ways + count * math.log(chance) + (trials - count) * math.log1p(-chance))
    return min(1.0, total)


def poisson_binomial_tail(successes: int, chances: Sequence[float]) -> float:
    """P(at least so many successes) of independent trials with these chances, exactly (n² steps)."""
    ways = [1.0]  # chance of 0, 1, … successes so far
    for chance in chances:
        ways = [
            (ways[count] if count < len(ways) else 0.0) * (1 - chance)
            + (ways[count - 1] * chance if count else 0.0)
            for count in range(len(ways) + 1)
        ]
    return min(1.0, sum(ways[max(0, successes) :]))


def normal_tail(z: float) -> float:
    """P(Z >= z) of the standard normal."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def median(values: Sequence[float]) -> float:
    """Raises ValueError for none."""
    if not values:
        raise ValueError("no median of nothing")
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def robust(values: Sequence[float], *, least: float) -> tuple[float, float]:
    """(median, spread): the spread is 1.4826·MAD, at least `least`, so that a row of equal values judges nobody."""
    centre = median(values)
    return centre, max(least, NORMAL * median([abs(value - centre) for value in values]))


def cauchy(p_values: Sequence[float]) -> float:
    """One p-value of several that may depend on each other: mean of tan((0.5-p)π), back by the Cauchy distribution
    (Liu and Xie 2020). A p-value near 1 counts as `MOST_P`: its tangent would outweigh any evidence. 1 for none."""
    if not p_values:
        return 1.0
    total = sum(_cotangent(min(max(p, 1e-300), MOST_P)) for p in p_values) / len(p_values)
    if total > 1e15:  # where the arctangent has no digits left
        return 1 / (total * math.pi)
    return 0.5 - math.atan(total) / math.pi


def _cotangent(p: float) -> float:
    return 1 / (p * math.pi) if p < 1e-15 else math.tan((0.5 - p) * math.pi)


def discovered(p_values: Mapping[str, float], q: float) -> set[str]:
    """Benjamini-Hochberg: the names that may be called found while at most a share `q` of them is expected to be wrong."""
    ordered = sorted(p_values.items(), key=lambda item: (item[1], item[0]))
    last = 0
    for rank, (_, p) in enumerate(ordered, 1):
        if p <= q * rank / len(ordered):
            last = rank
    return {name for name, _ in ordered[:last]}
