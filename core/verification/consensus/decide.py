"""Stop, buy one more answer, or QA: the rule on numbers alone. Called by `judge`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.verification.consensus.fields import Judged
from core.verification.consensus.model import Certificate, ConsensusPolicy, Kind

AHEAD = 4  # answers that the value of one more looks ahead


def net_value(critical: Sequence[Judged], answers: int, policy: ConsensusPolicy) -> float:
    """What more answers are worth beyond their price, in the unit of `price`: the best of buying 1, 2, .. AHEAD (as many
    as are allowed), loss x (expected confidence then - confidence now) - price x number. Positive: worth it."""
    now = math.prod(one.confidence for one in critical)
    values = [
        policy.loss * (math.prod(one.hoped(more) for one in critical) - now) - policy.price * more
        for more in range(1, min(AHEAD, policy.most - answers) + 1)
    ]
    return max(values, default=0.0)


def decide(
    answers: int,
    confidence: float,
    value: float,
    policy: ConsensusPolicy,
    certificate: Certificate | None,
    *,
    whole: bool,
) -> tuple[Kind, str]:
    """(what now, code of why). Whether to stop does not look at the certificate: a certificate vouches for answers that
    were stopped as the audited ones were. `whole`: there is an answer that satisfies schema and rules."""
    may = answers < policy.most
    if answers < policy.least and may:
        return Kind.ANOTHER, "too_few"
    if may and value > 0.0:
        return Kind.ANOTHER, "worth_more"
    if not whole:
        return (Kind.ANOTHER if may else Kind.QA), "unassembled"
    if policy.rho is None:
        if confidence >= policy.release:
            return Kind.VERIFIED, "confident"
        return Kind.QA, "not_confident"
    if certificate is None or certificate.bound > policy.rho:
        return Kind.QA, "uncertified"
    if confidence >= certificate.threshold:
        return Kind.VERIFIED, "certified"
    return Kind.QA, "not_confident"
