"""What routing looks at: a task as a question, a worker as a candidate, and the operator's policy
(`config/routing.yaml`). Plain data; `eligible.py` and `score.py` decide on it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from core.routing.backups import Backups
from core.routing.predict import Prediction
from core.tasks.model import RiskTier
from core.workers.model import MAX_TIER

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Weight = Annotated[float, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Trusted = Annotated[int, msgspec.Meta(ge=0, le=MAX_TIER)]


def _stakes() -> dict[RiskTier, float]:
    return {RiskTier.LOW: 1.0, RiskTier.MEDIUM: 1.0, RiskTier.HIGH: 2.0, RiskTier.CRITICAL: 4.0}


class Weights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much each part of a score counts; see `core/routing/score.py` for the parts. `typical_seconds` is how long
    one answer takes on average and `spread` how much that varies (the sigma of its logarithm), for workers of whom
    nothing is known. `takes` is the share of offers that are taken, believed until a worker's own are counted."""

    quality_in_time: Weight = 1.0
    price: Weight = 0.10
    idle: Weight = 0.03
    turns: Share = 0.05
    exploration: Weight = 0.02
    stakes: dict[RiskTier, Weight] = msgspec.field(default_factory=_stakes)
    late: Share = 0.2
    second_try: Share = 0.8
    takes: Share = 0.75
    response_seconds: Weight = 15.0
    typical_seconds: Seconds = 180.0
    spread: Annotated[float, msgspec.Meta(gt=0)] = 0.8
    idle_full_seconds: Seconds = 3600.0
    newcomer_answers: Annotated[int, msgspec.Meta(ge=1)] = 10

    def stake(self, risk: str) -> float:
        """A risk that the file leaves out is worth as much as the dearest that it names."""
        found = self.stakes.get(RiskTier(risk))
        return max(self.stakes.values(), default=1.0) if found is None else found


def _minimum_tier() -> dict[RiskTier, int]:
    return {RiskTier.LOW: 0, RiskTier.MEDIUM: 0, RiskTier.HIGH: 2, RiskTier.CRITICAL: 3}


class LateAnswers(StrEnum):
    """What becomes of an answer after the task was taken back at 100 % of its SLA (`core/routing/late.py`)."""

    PAID = "paid"
    REFUSED = "refused"


class Sla(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A backup is wanted at 80 % of the SLA, or as soon as the chance to be late is above `late_percent`; whether there is
    one is for `backups` to say."""

    late_answers: LateAnswers = LateAnswers.PAID
    late_percent: Annotated[int, msgspec.Meta(ge=1, le=100)] = 40
    backups: Backups = Backups()


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`minimum_tier` is the trust a task of each risk asks for; `expert_tier` the one from which on a worker belongs to
    the pool of experts. A task that nobody can take is tried again after `retry_seconds`; `candidates` are looked at
    for one task, `claims` of them are tried in the database; `waiting_batch` waiting tasks are offered in one job.
    After an offer that nobody answered a worker gets none for `cool_off_seconds`; `decisions_days` the reasons of
    every choice are kept."""

    weights: Weights = Weights()
    sla: Sla = Sla()
    minimum_tier: dict[RiskTier, Trusted] = msgspec.field(default_factory=_minimum_tier)
    expert_tier: Trusted = 3
    retry_seconds: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 30
    candidates: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 64
    claims: Annotated[int, msgspec.Meta(ge=1, le=64)] = 16
    waiting_batch: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 20
    cool_off_seconds: Annotated[int, msgspec.Meta(ge=0, le=604_800)] = 0
    decisions_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] = 30

    def tier_for(self, risk: str) -> int:
        """A risk that the file leaves out asks for the highest trust that it names."""
        return self.minimum_tier.get(RiskTier(risk), max(self.minimum_tier.values(), default=0))

    def risks_for(self, tier: int) -> list[RiskTier]:
        """The risks whose tasks somebody of that trust may take, the smallest first."""
        return [risk for risk in RiskTier if self.tier_for(risk) <= tier]

    @property
    def of_experts(self) -> frozenset[str]:
        """The plans whose tasks go to the pool of experts alone. The file of the plans says it: see `InForce`."""
        return frozenset()

    @property
    def auto_assigned(self) -> frozenset[int]:
        """The tiers whose workers may have questions without accepting them. The file of the tiers says it."""
        return frozenset()


class InForce(Policy, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The policy together with what other files say about routing; made by `hub/wiring.py`."""

    expert_plans: frozenset[str] = frozenset()
    auto_tiers: frozenset[int] = frozenset()

    @property
    def of_experts(self) -> frozenset[str]:
        return self.expert_plans

    @property
    def auto_assigned(self) -> frozenset[int]:
        return self.auto_tiers


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a task asks of whoever takes it. `had` are the people who had it before, `addresses` where they are paid,
    `clusters` the groups of accounts that they belong to. `experts_from` is the tier from which on, pool aside, somebody
    counts as an expert; None: the task does not ask for experts. `allow_listed`: its organisation takes only people
    whom it has named."""

    task_id: str
    environment: str
    skills: frozenset[str]
    minimum_tier: int
    payout_msat: int
    task_type: str = ""
    risk: str = "medium"
    organisation_id: str = ""
    language: str | None = None
    experts_from: int | None = None
    allow_listed: bool = False
    had: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    clusters: frozenset[str] = frozenset()


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A worker as routing sees them. `idle_seconds` since something last ended in their hands; `word` is what the task's
    organisation says of them (`allow`, `block` or nothing); `usual_seconds` is the time within which nine of ten of
    their answers come, whatever the type, `prediction` what is known for the type; `at_type` the chance that
    an answer of that type is right, None before any was judged; the last three are counts."""

    worker_id: str
    environment: str
    available: bool
    skills: frozenset[str]
    tier: int
    reliability: float
    price_floor_msat: int
    capacity: int
    load: int
    payout_address: str | None
    idle_seconds: float
    languages: frozenset[str] = frozenset()
    expert: bool = False
    cluster_id: str | None = None
    cooling: bool = False
    word: str | None = None
    usual_seconds: int | None = None
    prediction: Prediction | None = None
    at_type: float | None = None
    offers_taken: int = 0
    offers_missed: int = 0
    answers: int = 0

    @property
    def right(self) -> float:
        """The chance that their answer to this task is right."""
        return self.reliability if self.at_type is None else self.at_type
