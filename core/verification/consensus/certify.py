"""What a stated confidence is worth: the certificate of a task type, from audited tasks. Called by the verification
stage when an audit comes in; the money rule reads its bound.

The promise "released answers are wrong at most with probability rho" is to hold with `certainty`, although we look
again and again while audits come in, and search for the best threshold. So: (1) a certificate is made only at LOOKS audit
counts that are fixed beforehand, each spending an equal part of the risk 1 - certainty (union bound); after the last one a
new period begins, with its own risk and only its own audits; (2) at a look the thresholds are tried in a fixed
sequence, from the more confident third of the audits downward, and the first that fails ends it (fixed-sequence testing needs
no correction: Angelopoulos et al. 2021, "Learn then Test"). Upper bounds by Clopper & Pearson 1934."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.verification.consensus.model import Audit, Certificate, ConsensusPolicy

LOOKS = 10
GROWTH = 1.6  # from one look's audits to the next's
STEP = 1.3  # from one threshold's audits to the next's
FIRST = 1 / 3  # share of the audits above the first threshold: fewer are too few to show anything
_BISECTIONS = 60  # far below the rounding of the tail itself


def certify(audits: Sequence[Audit], policy: ConsensusPolicy) -> Certificate | None:
    """`audits` in the order in which they were decided; all of one task type and one policy (confidences of another
    stop rule mean something else). None while nothing can be promised: fresh types, too few audits, or a pool whose errors
    are shared. A certificate that later audits contradict is not given again."""
    if policy.rho is None:
        return None
    counts, risk = looks(policy.rho, policy.certainty)
    period = len(audits) // counts[-1] * counts[-1]  # audits before the present period
    made = [count for count in counts if count <= len(audits) - period]
    if made:
        return _threshold(audits[period : period + made[-1]], policy.rho, risk)
    return _threshold(audits[period - counts[-1] : period], policy.rho, risk) if period else None


def looks(rho: float, certainty: float) -> tuple[tuple[int, ...], float]:
    """The audit counts at which a certificate is made, and the risk of each; the first is the smallest that could pass
    without an error."""
    risk = (1.0 - certainty) / LOOKS
    first = _least(rho, risk)
    return tuple(math.ceil(first * GROWTH**number) for number in range(LOOKS)), risk


def _least(rho: float, risk: float) -> int:
    """The fewest audits that show `rho` when none is wrong: (1 - rho)^n <= risk."""
    return math.ceil(math.log(risk) / math.log1p(-rho))


def _threshold(audits: Sequence[Audit], rho: float, risk: float) -> Certificate | None:
    """Equal confidences stand together: a threshold cannot part them."""
    ordered = sorted(audits, key=lambda audit: -audit.confidence)
    found, take = None, max(_least(rho, risk), math.ceil(len(ordered) * FIRST))
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
        take = math.ceil(take * STEP)


def upper_bound(wrong: int, audits: int, risk: float) -> float:
    """The largest p under which `wrong` or fewer errors in `audits` still has probability `risk` (Clopper-Pearson)."""
    if not 0 <= wrong <= audits:
        raise ValueError(f"{wrong} wrong of {audits} audits")
    if wrong == audits:
        return 1.0
    low, high = wrong / audits, 1.0
    for _ in range(_BISECTIONS):
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
