"""The published rules of the trust tiers, and what they say of one worker. Pure; `config/trust.yaml` may change every
number, `standing.py` asks `step` after each piece of evidence, the worker's page shows `missing`.

Up at most one tier a day and one at a time; down at once, also one at a time. What lifts a worker (`enter`) is asked
for with .05 more than what lets them fall (`leave`), so that nobody flutters. Tier 4 is given and taken by a person."""

from __future__ import annotations

from typing import Annotated

import msgspec

from core.errors import Invalid
from core.workers.model import MAX_TIER

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Days = Annotated[int, msgspec.Meta(ge=0, le=3_650)]
_DAY_MS = 86_400_000


class Enter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a worker must have shown to come into a tier; all of it. `by_person`: only an operator lets them in."""

    lower: Share = 0.0
    gold: Count = 0
    evidence: Count = 0
    days: Days = 0
    qa_seen: Count = 0
    qa_agreed: Share = 0.0
    by_person: bool = False


class Leave(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes a worker fall out of a tier; any of it. The lower bound counts once there is `evidence` behind it,
    so that nobody falls for being new. `alarm`: a sudden change for the worse."""

    lower: Share = 0.0
    evidence: Annotated[float, msgspec.Meta(ge=0)] = 20.0
    qa_seen: Count = 20
    qa_agreed: Share = 0.0
    alarm: bool = True


class Tier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tier. `usual` is how often its workers are right, where nothing better is known of one; `may` is a sentence
    on who they are: what they may do stands beside it on the page, from the rules in force (`hub/tier_rules.py`). `auto_assign`: its workers may have questions put into their hands without asking them first."""

    name: str
    may: str
    usual: Share
    auto_assign: bool = False
    enter: Enter = Enter()
    leave: Leave = Leave()


def _tiers() -> list[Tier]:
    never = Leave(alarm=False)
    return [
        Tier(name="new", may="Everybody begins here.", usual=0.70, leave=never),
        Tier(
            name="known",
            may="Has shown the basics.",
            usual=0.75,
            enter=Enter(lower=0.65, gold=10),
            leave=Leave(lower=0.60, evidence=10),
        ),
        Tier(
            name="trusted",
            may="Is relied on.",
            usual=0.82,
            auto_assign=True,
            enter=Enter(lower=0.75, evidence=50, days=14),
            leave=Leave(lower=0.70),
        ),
        Tier(
            name="expert",
            may="Is relied on where a mistake is dear.",
            usual=0.90,
            auto_assign=True,
            enter=Enter(lower=0.85, evidence=200, qa_seen=20, qa_agreed=0.95),
            leave=Leave(lower=0.80, evidence=30, qa_agreed=0.90),
        ),
        Tier(
            name="reviewer",
            may="Judges the answers of others.",
            usual=0.93,
            auto_assign=True,
            enter=Enter(by_person=True),
            leave=never,
        ),
    ]


class Trust(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules, from tier 0 up. A promotion comes `promotion_hours` after the last one at the earliest; an alarm keeps
    a worker from one for `alarm_days`, as an operator's lowering does; what an appeal restored is safe from the rules for `restored_days`;
    an appeal is decided within `appeal_hours`; `declines_to_pause` refused offers in a row pause a worker, 0: never."""

    tiers: list[Tier] = msgspec.field(default_factory=_tiers)
    promotion_hours: Annotated[int, msgspec.Meta(ge=0, le=8_760)] = 24
    alarm_days: Days = 14
    restored_days: Days = 30
    appeal_hours: Annotated[int, msgspec.Meta(ge=1, le=8_760)] = 72
    declines_to_pause: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 3

    def usual(self, tier: int) -> float:
        return self.tiers[min(tier, len(self.tiers) - 1)].usual

    def of(self, tier: int) -> Tier:
        """Beyond the file's last tier: the last one."""
        return self.tiers[min(tier, len(self.tiers) - 1)]

    @property
    def auto_assigned(self) -> frozenset[int]:
        """The tiers whose workers may switch auto-assignment on."""
        return frozenset(tier for tier in range(MAX_TIER + 1) if self.of(tier).auto_assign)


def check(trust: Trust) -> None:
    """Raises Invalid, which names the tier: too few, too many, two of a name, or one that lets fall whom it has just let in."""
    wrong: dict[str, str] = {}
    if not 2 <= len(trust.tiers) <= MAX_TIER + 1:
        wrong["tiers"] = f"give 2 to {MAX_TIER + 1} of them, from tier 0 up"
    names = [one.name.strip() for one in trust.tiers]
    for number, one in enumerate(trust.tiers):
        if not names[number] or names.index(names[number]) != number:
            wrong[f"tiers[{number}].name"] = "a name of its own is needed"
        if number == 0 or one.enter.by_person:
            continue
        for figure in ("lower", "qa_agreed"):
            let_in, let_fall = getattr(one.enter, figure), getattr(one.leave, figure)
            if let_fall > let_in:
                wrong[f"tiers[{number}].leave.{figure}"] = f"at most {let_in:g}, which is enough to come in"
    if wrong:
        raise Invalid("trust", "These tiers cannot be used", field_errors=wrong)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """All that the rules look at. `lower` is the lower bound over all task types, `weight` the evidence behind it that
    is not forgotten, `evidence` all there ever was; `lowered_at_ms` is when an operator lowered them, unless something came
    after; times in ms UTC, None for never."""

    tier: int
    lower: float
    weight: float
    evidence: float
    gold: int
    qa_seen: int
    qa_agreed: int
    member_since_ms: int
    changed_at_ms: int | None = None
    promoted_at_ms: int | None = None
    alarmed_at_ms: int | None = None
    lowered_at_ms: int | None = None
    floor: int = 0

    @property
    def qa_share(self) -> float:
        return self.qa_agreed / self.qa_seen if self.qa_seen else 0.0


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One tier up or down; `rule` is the word under which it is kept."""

    to: int
    rule: str


def step(now_ms: int, worker: Standing, trust: Trust) -> Step | None:
    """What the rules do with this worker now; None: nothing. Falling goes before rising."""
    if worker.tier > worker.floor and (rule := _falls(worker, trust)) is not None:
        return Step(to=worker.tier - 1, rule=rule)
    if worker.tier >= min(MAX_TIER, len(trust.tiers) - 1) or missing(now_ms, worker, trust):
        return None
    last = worker.promoted_at_ms
    if last is not None and now_ms < last + trust.promotion_hours * 3_600_000:
        return None
    return Step(to=worker.tier + 1, rule="promotion")


def missing(now_ms: int, worker: Standing, trust: Trust) -> list[str]:
    """What the worker still lacks for the next tier, a sentence each; none: they have it all."""
    if worker.tier >= len(trust.tiers) - 1:
        return []
    wanted = trust.of(worker.tier + 1).enter
    days = (now_ms - worker.member_since_ms) // _DAY_MS
    alarmed, lowered = worker.alarmed_at_ms, worker.lowered_at_ms
    checks = [
        (wanted.by_person, "An operator decides about this tier."),
        (
            worker.gold < wanted.gold,
            f"{wanted.gold} questions whose answer is known; there are {worker.gold}.",
        ),
        (
            worker.evidence < wanted.evidence,
            f"{wanted.evidence} judged answers; there are {worker.evidence:.0f}.",
        ),
        (
            worker.lower < wanted.lower,
            f"A lower bound of {wanted.lower:.0%} right answers; it is {worker.lower:.1%}.",
        ),
        (days < wanted.days, f"{wanted.days} days with us; it is {days}."),
        (
            worker.qa_seen < wanted.qa_seen,
            f"{wanted.qa_seen} answers seen by a reviewer; there are {worker.qa_seen}.",
        ),
        (
            worker.qa_seen > 0 and worker.qa_share < wanted.qa_agreed,
            f"Reviewers must agree with {wanted.qa_agreed:.0%}; they do with {worker.qa_share:.1%}.",
        ),
        (
            alarmed is not None and now_ms < alarmed + trust.alarm_days * _DAY_MS,
            f"{trust.alarm_days} days since a sudden run of wrong answers.",
        ),
        (
            lowered is not None and now_ms < lowered + trust.alarm_days * _DAY_MS,
            f"{trust.alarm_days} days since an operator lowered your tier.",
        ),
    ]
    return [sentence for lacks, sentence in checks if lacks]


def _falls(worker: Standing, trust: Trust) -> str | None:
    rule = trust.of(worker.tier).leave
    alarmed, changed = worker.alarmed_at_ms, worker.changed_at_ms
    if rule.alarm and alarmed is not None and (changed is None or alarmed > changed):
        return "alarm"
    if worker.weight >= rule.evidence and worker.lower < rule.lower:
        return "lower_bound"
    if worker.qa_seen >= rule.qa_seen and worker.qa_share < rule.qa_agreed:
        return "qa_agreement"
    return None
