"""What a stated confidence is worth: the certificate of a task type, from audited tasks. Called by the verification
stage when an audit comes in; the money rule reads its bound.

The promise "released answers are wrong at most with probability rho" is to hold with `certainty`, although we look
again after every audit and search for the best threshold. So: (1) a certificate is made only at audit counts fixed
beforehand (`looks`), the i-th spending risk (1 - certainty) / (i (i + 1)), which sums to 1 - certainty over all looks;
(2) at a look the thresholds are tried in a fixed sequence, from the most confident audits downward, and the first that
fails ends it (fixed-sequence testing needs no correction: Angelopoulos et al. 2021, "Learn then Test"). Upper bounds by
Clopper & Pearson 1934."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from core.verification.consensus.model import Audit, Certificate, ConsensusPolicy

GROWTH = 1.3  # from one look to the next, and from one threshold's audits to the next's
_STEPS = 60  # bisections: far below the rounding of the tail itself


def certify(audits: Sequence[Audit], policy: ConsensusPolicy) -> Certificate | None:
    """`audits` in the order in which they were decided. None while nothing can be promised: fresh types, too few
    audits, or a pool whose errors are shared. A certificate that later audits contradict is not given again."""
    if policy.rho is None:
        return None
    found = None
    for count, risk in looks(policy.rho, policy.certainty):
        if count > len(audits):
            break
        found = _threshold(audits[:count], policy.rho, risk)
    return found


def looks(rho: float, certainty: float) -> Iterator[tuple[int, float]]:
    """(audits, risk) of each look; the first is the smallest that could pass without an error."""
    number, count = 1, 0
    while True:
        risk = (1.0 - certainty) / (number * (number + 1))
        count = max(math.ceil(count * GROWTH), math.ceil(math.log(risk) / math.log1p(-rho)))
        yield count, risk
        number += 1


def _threshold(audits: Sequence[Audit], rho: float, risk: float) -> Certificate | None:
    """Equal confidences stand together: a threshold cannot part them."""
    ordered = sorted(audits, key=lambda audit: -audit.confidence)
    smallest = math.ceil(math.log(risk) / math.log1p(-rho))
    found, take = None, smallest
    while True:
        take = min(take, len(ordered))
        while take < len(ordered) and ordered[take].confidence == ordered[take - 1].confidence:
            take += 1
        wrong = sum(audit.wrong for audit in ordered[:take])
        bound = upper_bound(wrong, take, risk)
        if bound > rho:
            return found
        found = Certificate(threshold=ordered[take - 1].confidence, bound=bound, audits=take, wrong=wrong)
        if take == len(ordered):
            return found
        take = math.ceil(take * GROWTH)


def upper_bound(wrong: int, audits: int, risk: float) -> float:
    """The largest p under which `wrong` or fewer errors in `audits` still has probability `risk` (Clopper-Pearson)."""
    if not 0 <= wrong <= audits:
        raise ValueError(f"{wrong} wrong of {audits} audits")
    if wrong == audits:
        return 1.0
    low, high = wrong / audits, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        if _at_most(wrong, audits, middle) > risk:
            low = middle
        else:
            high = middle
    return high


def _at_most(wrong: int, audits: int, p: float) -> float:
    """P(Binomial(audits, p) <= wrong), summed from logarithms."""
    if p >= 1.0:
        return 0.0
    log_p, log_q = math.log(p) if p > 0.0 else -math.inf, math.log1p(-p)
    if p == 0.0:
        return 1.0
    start = math.lgamma(audits + 1)
    return min(
        1.0,
        math.fsum(
            math.exp(
                start - math.lgamma(i + 1) - math.lgamma(audits - i + 1) + i * log_p + (audits - i) * log_q
            )
            for i in range(wrong + 1)
        ),
    )
