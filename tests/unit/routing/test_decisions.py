"""How a decision is kept: as it was, and readable as it was kept before scores lost their names."""

from __future__ import annotations

from typing import Any

import msgspec

from core.routing import decisions
from core.routing.lineup import Lineup
from core.routing.model import Policy, Question
from core.routing.score import Score
from core.routing.shortlist import DIRECTORY, Shortlist
from core.routing.states import AssignmentKind

QUESTION = Question(
    task_id="T",
    environment="test",
    skills=frozenset({"refund_review"}),
    minimum_tier=2,
    payout_msat=1_000_000,
    risk="high",
)


def test_a_decision_is_read_as_it_was_made() -> None:
    made = _decision(candidates=20, policy=Policy(claims=16))
    body = _kept(made)
    assert len(made.candidates) == 16  # all who are tried
    assert body["candidates"][0][:2] == ["per_0", 0.1]
    assert decisions.read(body) == made


def test_few_who_are_tried_are_shown_beside_others() -> None:
    assert len(_decision(candidates=20, policy=Policy(claims=1)).candidates) == 8


def test_scores_that_were_kept_with_their_names_are_read() -> None:
    made = _decision(candidates=3, policy=Policy())
    body = {**_kept(made), "candidates": [msgspec.to_builtins(one) for one in made.candidates]}
    assert decisions.read(body) == made


def test_scores_that_were_kept_before_times_were_predicted_are_read() -> None:
    """The two last parts came later."""
    made = _decision(candidates=1, policy=Policy())
    [listed] = _kept(made)["candidates"]
    [score] = decisions.read({**_kept(made), "candidates": [listed[:-2]]}).candidates
    assert (score.p50_seconds, score.p90_seconds, score.takes) == (None, None, 0.9)


def _kept(decision: decisions.Decision) -> dict[str, Any]:
    *_, body = decisions.row(decision, "T", AssignmentKind.PRIMARY, 0, "asg_1", 1_000)
    return msgspec.json.decode(body, type=dict[str, Any])


def _decision(candidates: int, policy: Policy) -> decisions.Decision:
    scores = [
        Score(
            worker_id=f"per_{number}",
            quality_in_time=0.1,
            price=-0.2,
            second_try=0.3,
            idle=0.4,
            exploration=0.123456789012345,
            quality=0.6,
            in_time=0.7,
            takes=0.9,
            p50_seconds=180.0,
            p90_seconds=501.8,
        )
        for number in range(candidates)
    ]
    shortlist = Shortlist(
        candidates=[], people=Lineup(), source=DIRECTORY, total=40, able=30, falls={}, without={}
    )
    return decisions.decided(QUESTION, shortlist, scores, 60.0, policy)
