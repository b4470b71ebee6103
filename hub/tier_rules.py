"""The published rules of the trust tiers, in words and from the files in force: who a tier's workers are, what they may do,
what lets somebody in and what lets them fall. Read by the worker's page and API, the operator's page and `hub people tiers`,
so that all say the same."""

from __future__ import annotations

import msgspec

from core.routing.model import Policy
from core.workers.tiers import Enter, Leave, Trust


class TierRules(msgspec.Struct, frozen=True, kw_only=True):
    """One tier; sentences, or parts of one. `comes_in`: all of it is asked for; `falls`: any of it is enough."""

    number: int
    name: str
    about: str
    may: list[str]
    risks: list[str]
    comes_in: list[str]
    falls: list[str]


def published(trust: Trust, policy: Policy, reviewer_tier: int) -> list[TierRules]:
    """From tier 0 up. `reviewer_tier`: from which on a worker may decide reviews (verification.yaml)."""
    found: list[TierRules] = []
    for number, one in enumerate(trust.tiers):
        risks = [str(risk) for risk in policy.risks_for(number)]
        may = [f"questions of {_listed(risks)} risk"] if risks else ["no questions"]
        if one.auto_assign:
            may.append("questions assigned without accepting each, if they wish")
        if policy.of_experts and number >= policy.expert_tier:
            may.append("questions for experts")
        if number >= reviewer_tier:
            may.append("reviews of the answers of others")
        found.append(
            TierRules(
                number=number,
                name=one.name,
                about=one.may,
                may=may,
                risks=risks,
                comes_in=["everybody"] if number == 0 else _comes_in(one.enter),
                falls=[] if number == 0 else _falls(one.leave),
            )
        )
    return found


def general(trust: Trust) -> list[str]:
    """What holds for all tiers, a sentence each."""
    told = [
        "Down at once, one tier at a time, when the rules say so.",
        f"Up one tier at a time, at most one in {_hours(trust.promotion_hours)}."
        if trust.promotion_hours
        else "Up one tier at a time, as soon as everything is shown.",
        "The lower bound is what your answers have shown beyond doubt: with a chance of 95 % you are right more often.",
    ]
    if trust.alarm_days:
        told.append(
            f"After a sudden run of wrong answers, or after an operator has lowered a tier, nobody rises for "
            f"{trust.alarm_days} days."
        )
    told.append(
        f"You can appeal against every step down; somebody else decides within {_hours(trust.appeal_hours)}."
    )
    if trust.restored_days:
        told.append(f"What an appeal gives back is safe from the rules for {trust.restored_days} days.")
    if trust.declines_to_pause:
        told.append(
            f"Who declines {trust.declines_to_pause} offers in a row is paused, and may go on whenever they like."
        )
    return told


def _comes_in(rule: Enter) -> list[str]:
    if rule.by_person:
        return ["an operator decides"]
    told: list[str] = []
    if rule.lower:
        told.append(f"a lower bound of {_percent(rule.lower)} right answers")
    if rule.gold:
        told.append(f"{rule.gold} answers to questions whose answer is known")
    if rule.evidence:
        told.append(f"{rule.evidence} judged answers")
    if rule.days:
        told.append(f"{rule.days} days with us")
    if rule.qa_seen:
        told.append(f"{rule.qa_seen} answers seen by a reviewer")
    if rule.qa_agreed:
        told.append(f"reviewers who agree with {_percent(rule.qa_agreed)}")
    return told or ["nothing more"]


def _falls(rule: Leave) -> list[str]:
    told: list[str] = []
    if rule.lower:
        after = f", from {rule.evidence:g} judged answers on" if rule.evidence else ""
        told.append(f"a lower bound under {_percent(rule.lower)}{after}")
    if rule.qa_agreed:
        told.append(
            f"reviewers who agree with less than {_percent(rule.qa_agreed)} of {rule.qa_seen} or more"
        )
    if rule.alarm:
        told.append("a sudden run of wrong answers")
    return told or ["only an operator's word"]


def _percent(share: float) -> str:
    return f"{round(share * 100, 2):g} %"


def _hours(hours: int) -> str:
    return "1 hour" if hours == 1 else f"{hours} hours"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
