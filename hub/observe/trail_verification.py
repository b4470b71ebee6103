"""How a task's answers were judged, as entries of its timeline: what each stage said with its score, what was decided from
which numbers, and what reviewers were asked. Called by `trail_entries.timeline`."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from core import clock
from core.verification.fold import Decision
from core.verification.tables import DecisionRow, Review, VerdictRow
from hub.observe.trail_entry import Entry, Facts, facts
from hub.observe.trail_rows import Trail

_STEPS = {
    "verified": "Decided: given out",
    "another": "Decided: one more person is asked",
    "wait": "Decided: wait for those who are at it",
    "qa": "Decided: a reviewer looks",
    "failed": "Decided: none of these answers is given out",
}


def judgements(trail: Trail) -> Iterator[Entry]:
    """Verdicts in the order of the stages (those of one moment stay so), decisions, ends of runs, reviews."""
    runs = {run.id: run for run in trail.runs}
    for row in sorted(trail.verdicts, key=lambda row: _place(row, runs[row.run_id].stages)):
        yield Entry(
            at=row.created_at,
            kind="verification",
            subject=row.run_id,
            title=f"Stage {row.stage}",
            state=row.outcome,
            facts=facts(
                reasons="; ".join(_reason(reason) for reason in row.reasons),
                score=row.score,
                submission=runs[row.run_id].submission_id,
            ),
            body=row.evidence or None,
        )
    yield from (_decided(row) for row in trail.decisions)
    for run in trail.runs:
        if run.ended_at is not None:
            yield Entry(
                at=run.ended_at,
                kind="verification",
                subject=run.id,
                title=f"Verification {run.state}",
                state=run.state,
                facts=facts(stages=" → ".join(run.stages)),
            )
    for review in trail.reviews:
        yield from _reviewed(review)


def _place(row: VerdictRow, stages: list[str]) -> tuple[int, str]:
    """A stage's place in its run; what judged the answer afterwards (the others' answers, gold, a reviewer) comes last."""
    return (stages.index(row.stage) if row.stage in stages else len(stages)), row.id


def _decided(row: DecisionRow) -> Entry:
    decision = msgspec.json.decode(row.decision, type=Decision)
    return Entry(
        at=row.created_at,
        kind="verification",
        subject=row.id,
        title=_STEPS[decision.step],
        state=decision.step if decision.step in ("verified", "failed") else "",
        facts=facts(because=decision.reason, **dict(_numbers(decision))),
    )


def _numbers(decision: Decision) -> Facts:
    if decision.confidence is None:
        return ()
    audits = f"from {decision.audits} audits"
    bound = f"uncertified {audits}" if decision.bound is None else f"at most {decision.bound:.4f}, {audits}"
    return (("confidence", f"{decision.confidence:.4f}"), ("error", bound))


def _reviewed(review: Review) -> Iterator[Entry]:
    why = "; ".join(_reason(reason) for reason in review.why)
    yield Entry(
        at=review.opened_at,
        kind="verification",
        subject=review.id,
        title=f"A reviewer is asked ({review.kind})",
        facts=facts(because=why, due=clock.iso(review.due_at)),
        body=review.said,
    )
    if review.decided_at is not None:
        yield Entry(
            at=review.decided_at,
            kind="verification",
            subject=review.id,
            title=f"Review {review.state} ({review.kind})",
            facts=facts(by=review.decided_by),
            body=review.outcome,
        )


def _reason(reason: dict[str, str]) -> str:
    """With the place in the answer that it is about."""
    said = reason.get("message") or reason.get("detail") or ", ".join(f"{k}: {v}" for k, v in reason.items())
    return f"{reason['pointer']}: {said}" if reason.get("pointer") else said
