"""What a task is before it is a row: the words, and a request for one that has been checked."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from core.money import Currency


class Environment(StrEnum):
    LIVE = "live"
    TEST = "test"  # simulated workers and test money only


class RiskTier(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class EventType(StrEnum):
    """The seven lifecycle events of the published API, and one of ours."""

    POSTED = "task.posted"
    ASSIGNED = "task.assigned"
    SUBMITTED = "task.submitted"
    VERIFIED = "task.verified"
    FAILED = "task.failed"
    CANCELLED = "task.cancelled"
    EXPIRED = "task.expired"
    CORRECTED = (
        "task.corrected"  # a spot check found an error; to the task's own URL, and to endpoints that name it
    )


# What an endpoint without a list of its own hears: clients of the published API know no other.
PUBLISHED = frozenset(EventType) - {EventType.CORRECTED}


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The ticket that asked. (`connector`, `ticket_id`, `key`) names one task for ever."""

    connector: str
    ticket_id: str
    key: str


class NewTask(msgspec.Struct, frozen=True, kw_only=True):
    """A request that passed every check of form: types, limits, the answer-schema profile. `amount` is the most that
    a worker gets, in `currency`; `sla_seconds` is 30 to 86,400; `request_digest` is the SHA-256 of what was asked,
    by which a replay is told from a clash; `header_key` is the Idempotency-Key header, when there was one; `language` is what its people must work in, when the
    request says so and not the task type."""

    organisation_id: str
    environment: Environment
    idempotency_key: str
    request_digest: str
    task_type: str
    risk_tier: RiskTier
    sla_seconds: int
    payload: dict[str, Any]
    output_schema: dict[str, Any]
    amount: Decimal
    currency: Currency
    skills: list[str]
    language: str | None = None
    callback_url: str | None = None
    metadata: dict[str, Any] | None = None
    source: Source | None = None
    header_key: str | None = None
    actor: str = "hub"
