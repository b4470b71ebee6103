"""What workers read of the tiers is what the files say."""

from __future__ import annotations

from pathlib import Path

from core.routing.model import InForce, Policy
from core.workers.tiers import Enter, Leave, Tier, Trust
from hub import config_files
from hub.tier_rules import general, published

CONFIG = Path(__file__).parents[3] / "config"


def test_the_shipped_rules_say_who_may_what() -> None:
    trust, policy = config_files.trust(CONFIG), config_files.policy(CONFIG)
    told = published(trust, InForce(minimum_tier=policy.minimum_tier, expert_plans=frozenset({"gold"})), 4)
    assert trust == Trust()
    assert [one.risks for one in told] == [
        ["low", "medium"],
        ["low", "medium"],
        ["low", "medium", "high"],
        ["low", "medium", "high", "critical"],
        ["low", "medium", "high", "critical"],
    ]
    assert told[0].may == ["questions of low and medium risk"]
    assert told[4].may == [
        "questions of low, medium, high and critical risk",
        "questions assigned without accepting each, if they wish",
        "questions for experts",
        "reviews of the answers of others",
    ]
    assert (told[0].comes_in, told[4].comes_in) == (["everybody"], ["an operator decides"])
    assert told[2].comes_in == ["a lower bound of 75 % right answers", "50 judged answers", "14 days with us"]
    assert told[3].falls == [
        "a lower bound under 80 %, from 30 judged answers on",
        "reviewers who agree with less than 90 % of 20 or more",
        "a sudden run of wrong answers",
    ]


def test_a_changed_file_changes_what_is_told() -> None:
    tiers = [
        Tier(name="a", may="x", usual=0.5),
        Tier(name="b", may="y", usual=0.6, leave=Leave(alarm=False)),
        Tier(name="c", may="z", usual=0.6, enter=Enter(qa_seen=3, qa_agreed=0.5)),
    ]
    trust = Trust(
        tiers=tiers, promotion_hours=1, alarm_days=0, restored_days=0, declines_to_pause=0, appeal_hours=5
    )
    told = published(trust, Policy(minimum_tier={"low": 2}), 4)  # pyright: ignore[reportArgumentType] - as a file has it
    assert [one.may for one in told] == [
        ["no questions"],
        ["no questions"],
        ["questions of low, medium, high and critical risk"],
    ]
    assert (told[1].comes_in, told[1].falls) == (["nothing more"], ["only an operator's word"])
    assert told[2].comes_in == ["3 answers seen by a reviewer", "reviewers who agree with 50 %"]
    assert [one for one in general(trust) if "hour" in one] == [
        "Up one tier at a time, at most one in 1 hour.",
        "You can appeal against every step down; somebody else decides within 5 hours.",
    ]
    assert not [one for one in general(trust) if "days" in one or "declines" in one]
