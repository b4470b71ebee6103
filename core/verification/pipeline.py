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
    """No stage said no. `unsure` are the reasons of those that could not tell."""

    unsure: list[Reason] = []


class Failed(msgspec.Struct, frozen=True):
    """A stage said no; no later one is run. `reasons` are that stage's."""

    stage: str
    reasons: list[Reason]


def after(stages: Sequence[str], verdicts: Sequence[Verdict]) -> NextStage | Passed | Failed:
    """Stages in their order, the cheap ones first, one verdict each. Unsure is neither: the other stages are asked, and
    what none of them vouches for is not given out (`fold.py`)."""
    by_stage = {verdict.stage: verdict for verdict in verdicts}
    unsure: list[Reason] = []
    for name in stages:
        verdict = by_stage.get(name)
        if verdict is None:
            return NextStage(name)
        if verdict.outcome is Outcome.FAIL:
            return Failed(name, verdict.reasons)
        if verdict.outcome is Outcome.UNSURE:
            unsure.extend(verdict.reasons)
    return Passed(unsure)


def sentence(reasons: Sequence[Reason], limit: int = 500) -> str:
    """The reasons as one text for a person, cut to `limit` characters."""
    said = "; ".join(
        reason.message if reason.pointer is None else f"{reason.pointer or '(answer)'}: {reason.message}"
        for reason in reasons
    )
    return said if len(said) <= limit else said[: limit - 1] + "…"
