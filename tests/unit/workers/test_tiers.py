"""The rules of the tiers: up slowly, down at once, and not to and fro."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from core.errors import Invalid
from core.workers.tiers import Enter, Leave, Standing, Step, Trust, check, missing, step

DAY = 86_400_000
NOW = 100 * DAY
TRUST = Trust()
GOOD = Standing(
    tier=0,
    lower=0.90,
    weight=60,
    evidence=300,
    gold=40,
    qa_seen=30,
    qa_agreed=30,
    member_since_ms=NOW - 60 * DAY,
)


@pytest.mark.parametrize(("tier", "to"), [(0, 1), (1, 2), (2, 3)])
def test_who_has_shown_enough_rises_one_tier(tier: int, to: int) -> None:
    assert step(NOW, replace(GOOD, tier=tier), TRUST) == Step(to=to, rule="promotion")


def test_a_reviewer_is_made_by_a_person() -> None:
    assert step(NOW, replace(GOOD, tier=3), TRUST) is None
    assert missing(NOW, replace(GOOD, tier=3), TRUST) == ["An operator decides about this tier."]
    assert step(NOW, replace(GOOD, tier=4, lower=0.01), TRUST) is None


@pytest.mark.parametrize(
    ("tier", "lacking", "sentence"),
    [
        (0, {"gold": 9}, "10 questions whose answer is known; there are 9."),
        (0, {"lower": 0.649}, "A lower bound of 65% right answers; it is 64.9%."),
        (1, {"evidence": 49.2}, "50 judged answers; there are 49."),
        (1, {"member_since_ms": NOW - 13 * DAY}, "14 days with us; it is 13."),
        (2, {"qa_seen": 19, "qa_agreed": 19}, "20 answers seen by a reviewer; there are 19."),
        (2, {"qa_agreed": 28}, "Reviewers must agree with 95%; they do with 93.3%."),
        (
            0,
            {"alarmed_at_ms": NOW - DAY, "changed_at_ms": NOW},
            "14 days since a sudden run of wrong answers.",
        ),
        (0, {"lowered_at_ms": NOW - 13 * DAY}, "14 days since an operator lowered your tier."),
    ],
)
def test_what_is_missing_is_said(tier: int, lacking: dict[str, Any], sentence: str) -> None:
    worker = replace(GOOD, tier=tier, **lacking)
    assert missing(NOW, worker, TRUST) == [sentence]
    assert step(NOW, worker, TRUST) is None


def test_tiers_that_cannot_work_are_told() -> None:
    check(TRUST)
    new, known, trusted, *_ = TRUST.tiers
    for tiers, told in (
        ([new], {"tiers": "give 2 to 5 of them, from tier 0 up"}),
        (TRUST.tiers[:2] * 3, {"tiers", *(f"tiers[{n}].name" for n in range(2, 6))}),
        ([new, replace(known, name=" ")], {"tiers[1].name": "a name of its own is needed"}),
        (
            [new, replace(known, leave=Leave(lower=0.66))],
            {"tiers[1].leave.lower": "at most 0.65, which is enough to come in"},
        ),
        (
            [new, known, replace(trusted, enter=Enter(lower=0.9, qa_agreed=0.5), leave=Leave(qa_agreed=0.6))],
            {"tiers[2].leave.qa_agreed": "at most 0.5, which is enough to come in"},
        ),
    ):
        with pytest.raises(Invalid) as refused:
            check(Trust(tiers=list(tiers)))
        if isinstance(told, set):
            assert set(refused.value.field_errors) == told
        else:
            assert refused.value.field_errors == told


def test_one_step_up_a_day() -> None:
    worker = replace(GOOD, tier=1, promoted_at_ms=NOW - DAY + 1)
    assert step(NOW, worker, TRUST) is None
    assert step(NOW + 1, worker, TRUST) == Step(to=2, rule="promotion")


@pytest.mark.parametrize(
    ("tier", "bad", "rule"),
    [
        (1, {"lower": 0.599, "weight": 10}, "lower_bound"),
        (2, {"lower": 0.69}, "lower_bound"),
        (3, {"qa_seen": 20, "qa_agreed": 17}, "qa_agreement"),
        (3, {"alarmed_at_ms": NOW, "changed_at_ms": NOW - 1}, "alarm"),
    ],
)
def test_down_at_once(tier: int, bad: dict[str, Any], rule: str) -> None:
    worker = replace(GOOD, tier=tier, promoted_at_ms=NOW, **bad)
    assert step(NOW, worker, TRUST) == Step(to=tier - 1, rule=rule)


def test_an_alarm_costs_one_tier_and_not_two() -> None:
    after = replace(GOOD, tier=2, alarmed_at_ms=NOW, changed_at_ms=NOW)
    assert step(NOW + 1, after, TRUST) is None


@pytest.mark.parametrize("lower", [0.60, 0.61, 0.649])
def test_between_leaving_and_entering_nothing_moves(lower: float) -> None:
    for tier in (0, 1):
        assert step(NOW, replace(GOOD, tier=tier, lower=lower), TRUST) is None


def test_a_newcomer_of_a_tier_does_not_fall_for_being_new() -> None:
    """An operator gave tier 2; two answers, both right, have a lower bound of .37."""
    worker = replace(GOOD, tier=2, lower=0.37, weight=2, evidence=2, qa_seen=0, qa_agreed=0)
    assert step(NOW, worker, TRUST) is None


def test_what_an_appeal_restored_stays() -> None:
    worker = replace(GOOD, tier=2, lower=0.5, floor=2)
    assert step(NOW, worker, TRUST) is None
    assert step(NOW, replace(worker, tier=3), TRUST) == Step(to=2, rule="lower_bound")
