"""What a stated confidence is worth: the certificate of a task type, from audited tasks. Called by the verification
stage when an audit comes in; the money rule reads its bound.

The promise "released answers are wrong at most with probability rho" is to hold with `certainty`, although we look
after every audit, and search for the best threshold. So: (1) the bound is one that holds at all times at once: a bet
against "wrong as often as p" whose winnings are a martingale if that is so and exceed 1 / risk with probability `risk` at
most, ever (Ville 1939; Waudby-Smith & Ramdas 2024); p is refuted once they do. A period of `period` audits has its own
bets and risk, so that what is old is forgotten; (2) the thresholds are the confidences of the period's first
audits (not whether those were wrong), tried in a fixed sequence from the more confident third downward, and the first
that fails ends it (fixed-sequence testing needs no correction: Angelopoulos et al. 2021, "Learn then Test")."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.verification.consensus.model import Audit, Certificate, ConsensusPolicy

PLACED = 30  # audits of a period whose confidences place the thresholds
STEP = 1.3  # from one threshold's audits, among those, to the next's
FIRST = 1 / 3  # share of them above the first threshold: fewer would take long to show anything
PERIOD, LONGEST = 100, 4000  # audits of a period: so many times the least that show rho, at most LONGEST
STANDS = 4  # times the least: after so many audits of a period the certificate of the period before is void
BETS = 40  # how far below p the error may be, in steps of p / BETS
_BISECTIONS = 40  # below the rounding of what is shown


def certify(audits: Sequence[Audit], policy: ConsensusPolicy) -> Certificate | None:
    """`audits` in the order in which they were decided, from the start of a period; all of one task type and one policy
    (confidences of another stop rule mean something else). None while nothing can be promised: fresh types, too few audits,
    or a pool whose errors are shared. What is proven once stays so for its period (a bound that holds at all times holds
    at its lowest), but it is not used any more when later audits speak against it."""
    if policy.rho is None:
        return None
    risk, whole = 1.0 - policy.certainty, period(policy)
    start = len(audits) // whole * whole  # of the present period
    found = _threshold(audits[start:], policy.rho, risk)
    if found is None and start and len(audits) - start < STANDS * least(policy):
        return _threshold(audits[start - whole : start], policy.rho, risk)
    return found


def least(policy: ConsensusPolicy) -> int:
    """The fewest audits that could show `rho`, when none is wrong: (1 - rho)^n <= risk. 0 without a promise."""
    if policy.rho is None:
        return 0
    return math.ceil(math.log(1.0 - policy.certainty) / math.log1p(-policy.rho)) if policy.rho < 1.0 else 1


def period(policy: ConsensusPolicy) -> int:
    """Audits of a period."""
    return max(PLACED, min(LONGEST, PERIOD * least(policy)))


def _threshold(audits: Sequence[Audit], rho: float, risk: float) -> Certificate | None:
    if len(audits) < PLACED or rho >= 1.0:
        return None
    refuted, doubted = -math.log(risk), -math.log(risk) / 2.0
    found = None
    for threshold in _thresholds([audit.confidence for audit in audits[:PLACED]]):
        held = [audit.wrong for audit in audits if audit.confidence >= threshold]
        wrong, count = _height(held, rho)
        if winnings(wrong, count, rho) < refuted or winnings(sum(held), len(held), rho) < doubted:
            return found
        lowest = min(audit.confidence for audit in audits if audit.confidence >= threshold)
        found = Certificate(
            threshold=lowest, bound=upper_bound(wrong, count, risk), audits=count, wrong=wrong
        )
    return found


def _height(held: Sequence[bool], rho: float) -> tuple[int, int]:
    """How many were wrong, and of how many, when the winnings were highest: at the end or just before an error."""
    places = [(number, at) for number, at in enumerate(at for at, wrong in enumerate(held) if wrong)]
    return max([*places, (len(places), len(held))], key=lambda one: winnings(*one, rho))


def _thresholds(confidences: Sequence[float]) -> list[float]:
    """The first lets the most confident third through, the last everything; each once."""
    ordered = sorted(confidences, reverse=True)
    take, found = math.ceil(len(ordered) * FIRST), list[float]()
    while take < len(ordered):
        if not found or ordered[take - 1] < found[-1]:
            found.append(ordered[take - 1])
        take = math.ceil(take * STEP)
    return [*found, 0.0]


def winnings(wrong: int, audits: int, p: float) -> float:
    """Logarithm of what a stake of 1 has become that was spread over BETS bets against "wrong with probability p", each
    that the probability is u p (0 < u < 1): the mean of u^wrong ((1 - u p) / (1 - p))^right. It grows with p."""
    logs = [
        wrong * math.log(u) + (audits - wrong) * (math.log1p(-u * p) - math.log1p(-p))
        for u in ((bet + 0.5) / BETS for bet in range(BETS))
    ]
    top = max(logs)
    return top + math.log(math.fsum(math.exp(one - top) for one in logs) / BETS)


def upper_bound(wrong: int, audits: int, risk: float) -> float:
    """The largest p that is not refuted by `wrong` errors in `audits`; that it ever, after any number of audits, lies below
    the true one has probability `risk` at most."""
    if not 0 <= wrong <= audits:
        raise ValueError(f"{wrong} wrong of {audits} audits")
    if wrong == audits:
        return 1.0
    low, high = wrong / audits, 1.0 - 1e-9
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if winnings(wrong, audits, middle) < -math.log(risk):
            low = middle
        else:
            high = middle
    return high
