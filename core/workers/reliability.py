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
ALARM_AT = 6.0  # of the CUSUM
SHOWN = 8.0  # certain answers, before there is anything to turn from
_SLACK = 0.1  # of the way from chance to always right, under the worker's own accuracy
_GAP = 0.25  # of the same way: who was hardly better than chance cannot have turned bad
_ALWAYS = 0.95  # nobody is expected to be right more often
_MISTAKEN = 0.03  # gold and the others together may be wrong as well


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


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """What one answer says of its worker: how likely it is right by all but itself, how likely a guess would have been,
    and how likely anybody's answer is."""

    right: float
    chance: float = 0.5
    usual: float = 0.8


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """The CUSUM `sum`, and what was seen of the worker until it last was nought (soft counts): the accuracy to compare
    with, in which the answers that are under suspicion have no part."""

    sum: float = 0.0
    calm_right: float = 0.0
    calm_seen: float = 0.0
    right: float = 0.0
    seen: float = 0.0

    @property
    def rings(self) -> bool:
        return self.sum >= ALARM_AT


def listened(before: Alarm, sign: Sign) -> Alarm:
    """CUSUM of the log-likelihood ratio "guesses" against "as right as they were before, less a little":
    S = max(0, S + log(P_bad / P_good)), with P(answer | accuracy a) = c·a + (1-c)·(1-a)·chance/(1-chance) for an answer
    that is right with probability c by all but itself. That is the exact likelihood of a one-coin worker, so that an
    answer of which the others know nothing (c = chance) weighs nothing. Rings at `ALARM_AT`. Page 1954. It sleeps until
    `SHOWN` answers were seen: who has not shown how good they are has not turned, and a lack of skill is another test's."""
    chance = min(0.9, max(1e-3, sign.chance))
    c = min(1 - _MISTAKEN, max(_MISTAKEN, sign.right))
    own = (before.calm_right + STRENGTH * sign.usual) / (before.calm_seen + STRENGTH)
    good = min(_ALWAYS, own - _SLACK * (1 - chance))
    total = before.sum if before.calm_seen >= SHOWN else 0.0
    if before.calm_seen >= SHOWN and good - chance > _GAP * (1 - chance):
        total = max(0.0, total + math.log(_likely(c, chance, chance) / _likely(c, good, chance)))
    off = sign.right - chance
    told = off / (1 - chance) if off > 0 else -off / chance  # 0 for what nobody knows, 1 for what is certain
    right, seen = before.right + told * (off > 0), before.seen + told
    calm = (right, seen) if total == 0.0 else (before.calm_right, before.calm_seen)
    return Alarm(sum=total, calm_right=calm[0], calm_seen=calm[1], right=right, seen=seen)


def _likely(c: float, accuracy: float, chance: float) -> float:
    return c * accuracy + (1 - c) * (1 - accuracy) * chance / (1 - chance)


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
