"""Why a task is with whom it is, in words: the decisions that routing kept (`core/routing/decisions.py`). Used by
`hub task why` and the operator's page of a task."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.routing.backups import SENTENCES as NO_BACKUP
from core.routing.backups import NoBackup
from core.routing.decisions import TAKEN, Decision
from core.routing.decisions import of_task as decisions_of
from core.routing.eligible import SENTENCES, Refusal
from core.routing.queries import of_task as assignments_of
from core.routing.score import Score
from core.routing.tables import RoutingDecision

PARTS = ("quality_in_time", "price", "second_try", "idle", "exploration")
EXPLAINED = {
    "quality_in_time": "chance to take it × stake × chance to be right × chance to be in time",
    "price": "what the worker insists on, as a share of the payout",
    "second_try": "what a lost offer is still worth",
    "idle": "waiting since their last task",
    "exploration": "a draw, larger for newcomers",
}


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """How many fall at one rule, and how many could take the task if it alone were not there (None: not asked)."""

    code: str
    sentence: str
    count: int
    without: int | None


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """One decision as it is shown. `chosen` is who got the offer."""

    row: RoutingDecision
    decision: Decision
    headline: str
    chosen: str | None
    reasons: list[Reason]


async def of_task(session: AsyncSession, task_id: str) -> list[Why]:
    """Every decision on the task that is kept, oldest first."""
    holders = {one.id: one.worker_id for one in await assignments_of(session, task_id)}
    return [
        told(row, decision, holders.get(row.assignment_id or ""))
        for row, decision in await decisions_of(session, task_id)
    ]


def told(row: RoutingDecision, decision: Decision, chosen: str | None) -> Why:
    """`chosen` is the worker of the row's assignment."""
    reasons = [
        Reason(
            code=code,
            sentence=SENTENCES[Refusal(code)],
            count=count,
            without=None if decision.candidates or decision.not_now else decision.without.get(code, 0),
        )
        for code, count in decision.falls.items()
    ]
    return Why(
        row=row, decision=decision, headline=_headline(row, decision, chosen), chosen=chosen, reasons=reasons
    )


def _headline(row: RoutingDecision, decision: Decision, chosen: str | None) -> str:
    if decision.not_now:
        return f"{row.kind}{often(row)}: not now, {NO_BACKUP[NoBackup(decision.not_now)]}"
    if chosen is not None and decision.how == TAKEN:
        return f"{row.kind} taken from the queue by {chosen}"
    if chosen is not None:
        what = (
            "scored" if decision.looked_at == decision.able else f"of whom {decision.looked_at} were scored"
        )
        return (
            f"{row.kind} offered to {chosen}: {decision.able} of {decision.total} workers may take it, {what}"
        )
    if decision.candidates:
        return f"{row.kind}: whoever could take it was gone when they were asked"
    binds = decision.binds
    if binds is None:
        return f"{row.kind}: nobody{often(row)}: there are no workers"
    return f"{row.kind}: nobody of {decision.total} workers can take it{often(row)}; the last ones {SENTENCES[Refusal(binds)]}"


def often(row: RoutingDecision) -> str:
    return f" ({row.times} times)" if row.times > 1 else ""


def render_text(whys: Sequence[Why]) -> str:
    """For a terminal; oldest first."""
    return "\n\n".join("\n".join(_lines(one)) for one in whys)


def _lines(why: Why) -> list[str]:
    decision, asking = why.decision, why.decision.asking
    asked = [
        f"risk {asking.risk} (tier {asking.minimum_tier} and up)",
        f"pays {asking.payout_msat / 1000:g} sats",
    ]
    if asking.skills:
        asked.append(f"skills {', '.join(asking.skills)}")
    if asking.language:
        asked.append(f"language {asking.language}")
    if asking.experts_from is not None:
        asked.append(f"experts (or tier {asking.experts_from} and up)")
    if asking.allow_listed:
        asked.append("the organisation's own people")
    lines = [
        f"{clock.iso(why.row.decided_at)}  {why.headline}",
        f"  asked for: {'; '.join(asked)}; {decision.seconds_left:g} s left",
    ]
    lines += [_reason(one) for one in why.reasons]
    if decision.candidates:
        lines.append(f"  {'worker':<40} {'score':>8} " + " ".join(f"{name:>15}" for name in PARTS))
        lines += [_candidate(one, one.worker_id == why.chosen) for one in decision.candidates]
        if decision.draws:
            drawn = ", ".join(f"{decision.draws[one.worker_id]:.3f}" for one in decision.candidates)
            lines.append(f"  in the order of a draw ({decision.how}), not of the scores: {drawn}")
        weights = decision.weights
        stake = ", ".join(f"{risk} {stake:g}" for risk, stake in weights.stakes.items())
        lines.append(
            f"  weights: quality_in_time {weights.quality_in_time:g}, price {weights.price:g}, second_try "
            f"{weights.second_try:g}, idle {weights.idle:g}, exploration {weights.exploration:g}; turns {weights.turns:g}; stake: {stake}"
        )
    return lines


def _reason(one: Reason) -> str:
    without = f"; without this rule {one.without} could take it" if one.without else ""
    return f"  {one.count:>8} {one.sentence} ({one.code}){without}"


def _expected(score: Score) -> str:
    if score.p50_seconds is None or score.p90_seconds is None:
        return ""
    return f", half within {score.p50_seconds:g} s, nine in ten within {score.p90_seconds:g} s"


def _candidate(score: Score, chosen: bool) -> str:
    parts = " ".join(f"{getattr(score, name):>15.4f}" for name in PARTS)
    mark = "*" if chosen else " "
    return (
        f" {mark}{score.worker_id:<40} {score.total:>8.4f} {parts}   right {score.quality:.2f}, in time "
        f"{score.in_time:.2f}, takes it {score.takes:.2f}{_expected(score)}"
    )
