"""What comes after the verdicts so far: the next stage, or the end. Pure; folds what `actions.py` has stored, so that
a run can go on in another process where it stopped."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from core.verification.stage import Outcome, Reason, Verdict


class NextStage(msgspec.Struct, frozen=True):
    """Run this stage."""

    name: str


class Passed(msgspec.Struct, frozen=True):
    """Every stage passed."""


class Failed(msgspec.Struct, frozen=True):
    """A stage did not pass; no later one is run. `reasons` are that stage's."""

    stage: str
    reasons: list[Reason]


def after(stages: Sequence[str], verdicts: Sequence[Verdict]) -> NextStage | Passed | Failed:
    """Stages in their order, one verdict each. Unsure is not a pass: what a stage cannot vouch for is not given out."""
    by_stage = {verdict.stage: verdict for verdict in verdicts}
    for name in stages:
        verdict = by_stage.get(name)
        if verdict is None:
            return NextStage(name)
        if verdict.outcome is not Outcome.PASS:
            return Failed(name, verdict.reasons)
    return Passed()


def sentence(reasons: Sequence[Reason], limit: int = 500) -> str:
    """The reasons as one text for a person, cut to `limit` characters."""
    said = "; ".join(
        reason.message if reason.pointer is None else f"{reason.pointer or '(answer)'}: {reason.message}"
        for reason in reasons
    )
    return said if len(said) <= limit else said[: limit - 1] + "…"
