"""How likely it is that an answer of a worker is right, from what was seen of them: gold, consensus and QA, never an
opinion. Pure; `records.py` keeps the counts, `tiers.py` and routing read the figures.

Two figures, because they answer two questions:

- **The shrunk mean** is the chance that the next answer is right, and that is what an expected utility needs: routing's
  score and `workers.reliability` use it. It is pulled towards what is usual for the worker's tier, and at one task type
  towards the worker's own overall mean, so that a newcomer is neither a genius after two answers nor worthless.
- **The lower bound** (5 % quantile of Beta(1 + good, 1 + bad), no prior of the tier in it) is what a worker has shown
  beyond doubt: trust tiers use it. It rises with evidence alone; a tier must not vouch for itself.

Counts are soft (0.8 right of weight 0.6) and forget: each unit of new evidence multiplies the former by `FORGETTING`,
a memory of about 65 answers, so that somebody who turns bad is seen."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

FORGETTING = 0.985
STRENGTH = 6.0  # how many answers the prior is worth
LEVEL = 0.05
ALARM_AT = (
    5.5  # of the CUSUM; below it stays `_BAD` against `_slack` under the worker's own long-run accuracy
)
_BAD = 0.5
_SLACK = 0.05


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Soft counts of right and wrong answers; their sum is the weight of the evidence that is not forgotten."""

    good: float = 0.0
    bad: float = 0.0

    @property
    def weight(self) -> float:
        return self.good + self.bad


def added(counts: Counts, right: float, weight: float) -> Counts:
    """One more piece of evidence: `right` 0 to 1 of `weight` 0 to 1. Weak evidence makes little forgotten."""
    kept = FORGETTING**weight
    return Counts(good=counts.good * kept + right * weight, bad=counts.bad * kept + (1 - right) * weight)


def together(many: Iterable[Counts]) -> Counts:
    """Over task types. Each of them forgets at its own pace."""
    listed = list(many)
    return Counts(good=sum(one.good for one in listed), bad=sum(one.bad for one in listed))


def shrunk(counts: Counts, prior: float) -> float:
    """(good + S·prior) / (good + bad + S): the mean of the posterior, which is also the predictive probability."""
    return (counts.good + STRENGTH * prior) / (counts.weight + STRENGTH)


def lower_bound(counts: Counts, level: float = LEVEL) -> float:
    return beta_quantile(level, 1 + counts.good, 1 + counts.bad)


def alarm_sum(before: float, long_run: float, right: float, weight: float) -> float:
    """CUSUM of the log-likelihood ratio "right half the time" against "right as often as they long were, less a
    little": S = max(0, S + w·log(P_bad / P_good)). Rings at `ALARM_AT`. `weight` 1 for gold and QA, less for
    consensus. Page 1954."""
    good = min(0.98, max(_BAD + _SLACK, long_run - _SLACK))
    step = right * math.log(_BAD / good) + (1 - right) * math.log((1 - _BAD) / (1 - good))
    return max(0.0, before + weight * step)


def beta_quantile(level: float, a: float, b: float) -> float:
    """x with I_x(a, b) = level, to 1e-12, by bisection: never outside of [0, 1], whatever the counts. Raises ValueError
    for a level outside (0, 1) or a parameter that is not positive."""
    if not 0 < level < 1 or a <= 0 or b <= 0:
        raise ValueError(f"no quantile {level} of Beta({a}, {b})")
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        if beta_share(middle, a, b) < level:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by the continued fraction of DLMF 8.17.22."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):  # where the fraction converges fast
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Modified Lentz (Numerical Recipes 6.4)."""
    tiny = 1e-300
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1), tiny)
    result = d
    for m in range(1, 10_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _not_zero(1 + term * d, tiny)
            c = _not_zero(1 + term / c, tiny)
            result *= c * d
        if abs(c * d - 1) < 1e-15:
            return result
    raise ValueError(f"the incomplete beta function of {a}, {b} at {x} does not converge")


def _not_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
