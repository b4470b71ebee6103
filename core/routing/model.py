"""What routing looks at: a task as a question, a worker as a candidate, and the operator's policy
(`config/routing.yaml`). Plain data; `eligible.py` and `score.py` decide on it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from core.routing.backups import Backups
from core.tasks.model import RiskTier


class Weights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much each part of a score counts; see `core/routing/score.py` for the parts. `typical_seconds` is how long
    one answer takes on average, the base of the chance to be in time."""

    quality_in_time: float = 1.0
    price: float = 0.10
    idle: float = 0.03
    exploration: float = 0.02
    typical_seconds: float = 180.0
    idle_full_seconds: float = 3600.0


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
    late_percent: int = 50
    backups: Backups = Backups()


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`minimum_tier` is the trust a task of each risk asks for. A task that nobody can take is tried again after
    `retry_seconds`; `candidates` are looked at for one task; `waiting_batch` waiting tasks are offered in one job."""

    weights: Weights = Weights()
    sla: Sla = Sla()
    minimum_tier: dict[RiskTier, int] = msgspec.field(default_factory=_minimum_tier)
    retry_seconds: int = 30
    candidates: int = 200
    waiting_batch: int = 20

    def tier_for(self, risk: str) -> int:
        """A risk that the file leaves out asks for the highest trust that it names."""
        return self.minimum_tier.get(RiskTier(risk), max(self.minimum_tier.values(), default=0))


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a task asks of whoever takes it. `had` are the people who had it before, `addresses` where they are paid."""

    task_id: str
    environment: str
    skills: frozenset[str]
    minimum_tier: int
    payout_msat: int
    had: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A worker as routing sees them. `idle_seconds` since something last ended in their hands."""

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
