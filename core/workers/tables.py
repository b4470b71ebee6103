"""Workers and what routing asks of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Float,
    ForeignKey,
    Index,
    Integer,
    Text,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, JsonText, UtcDateTime

_IN_FORCE = text("state = 'in_force'")
_OPEN = text("state = 'open'")


class Worker(Base):
    """`load` counts the assignments in hand and never exceeds `capacity`, by constraint. `price_floor_msat` is the
    least this worker works for. `environment` test: a simulated worker, paid in test money, shown no live task.
    A changed `payout_address` is paid from `payout_address_usable_at` on. `cluster_id` names the one person (or group)
    that several accounts seem to be; `expert` is a member of the pool of experts; no offers come before
    `cool_off_until`; `usual_seconds` is the time within which nine of ten answers of theirs come, as last predicted.
    `offers_taken`, `offers_missed` (declined or run out) and `answers` are counted by routing.
    `available` is what routing reads: the worker's wish, their hours and a suspension in one (`availability.py`).
    `gold_owed`: a draw of gold that found their hands full (`core/verification/gold.py`).
    `auto_assign`: what they are offered is in their hands at once, in a tier that allows it (`core/routing/automatic.py`).

    Triggers (`core/db/routing_triggers.py`) note every change here for the routers: a migration that builds the table
    anew has to create them again."""

    __tablename__ = "workers"
    __table_args__ = (
        CheckConstraint("load >= 0 AND load <= capacity", name="capacity"),
        CheckConstraint("reliability >= 0 AND reliability <= 1", name="reliability"),
        Index("ix_workers_routing", "environment", "available"),
    )

    id: Mapped[str] = mapped_column(ForeignKey("people.id"), primary_key=True)
    environment: Mapped[str] = mapped_column(Text)
    tier: Mapped[int] = mapped_column(Integer)
    reliability: Mapped[float] = mapped_column(Float)
    price_floor_msat: Mapped[int] = mapped_column(BigInteger)
    capacity: Mapped[int] = mapped_column(Integer)
    load: Mapped[int] = mapped_column(Integer, server_default="0")
    available: Mapped[bool] = mapped_column(Boolean)
    auto_assign: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    payout_address: Mapped[str | None] = mapped_column(Text)
    payout_address_usable_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    idle_since: Mapped[datetime] = mapped_column(UtcDateTime)
    languages: Mapped[list[str]] = mapped_column(JsonText, server_default=text("'[]'"), default=list)
    cluster_id: Mapped[str | None] = mapped_column(Text)
    expert: Mapped[bool] = mapped_column(Boolean, server_default=false(), default=False)
    cool_off_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    usual_seconds: Mapped[int | None] = mapped_column(Integer)
    offers_taken: Mapped[int] = mapped_column(Integer, server_default="0", default=0)
    offers_missed: Mapped[int] = mapped_column(Integer, server_default="0", default=0)
    answers: Mapped[int] = mapped_column(Integer, server_default="0", default=0)
    gold_owed: Mapped[dict[str, Any] | None] = mapped_column(JsonText)


class WorkerSkill(Base):
    """One skill that a worker has. `granted_by` is an operator or `quiz`; it is taken away at `lapses_at`."""

    __tablename__ = "worker_skills"
    __table_args__ = (Index("ix_worker_skills_skill", "skill", "worker_id"),)

    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"), primary_key=True)
    skill: Mapped[str] = mapped_column(Text, primary_key=True)
    granted_by: Mapped[str] = mapped_column(Text, server_default="operator")
    granted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lapses_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class WorkerRecord(Base):
    """What is known of one worker at one task type. `good` and `bad` are soft counts that forget (reliability.py);
    `seen` and `seen_right` are the same without forgetting. `cusum`, `alarm_*` and `calm_*` are the alarm
    (`reliability.Alarm`), `alarmed_at` is when it last rang. `answers` counts the pieces of evidence."""

    __tablename__ = "worker_records"

    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"), primary_key=True)
    task_type: Mapped[str] = mapped_column(Text, primary_key=True)
    good: Mapped[float] = mapped_column(Float, server_default="0")
    bad: Mapped[float] = mapped_column(Float, server_default="0")
    seen: Mapped[float] = mapped_column(Float, server_default="0")
    seen_right: Mapped[float] = mapped_column(Float, server_default="0")
    gold_seen: Mapped[int] = mapped_column(Integer, server_default="0")
    gold_right: Mapped[int] = mapped_column(Integer, server_default="0")
    qa_seen: Mapped[int] = mapped_column(Integer, server_default="0")
    qa_agreed: Mapped[int] = mapped_column(Integer, server_default="0")
    answers: Mapped[int] = mapped_column(Integer, server_default="0")
    cusum: Mapped[float] = mapped_column(Float, server_default="0")
    alarm_right: Mapped[float] = mapped_column(Float, server_default="0")
    alarm_seen: Mapped[float] = mapped_column(Float, server_default="0")
    calm_right: Mapped[float] = mapped_column(Float, server_default="0")
    calm_seen: Mapped[float] = mapped_column(Float, server_default="0")
    alarmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WorkerRecordMonth(Base):
    """The evidence of one month (`2026-11`, UTC) for one worker and task type: what the trend on the page is drawn of."""

    __tablename__ = "worker_record_months"

    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"), primary_key=True)
    task_type: Mapped[str] = mapped_column(Text, primary_key=True)
    month: Mapped[str] = mapped_column(Text, primary_key=True)
    right: Mapped[float] = mapped_column("right_weight", Float, server_default="0")
    weight: Mapped[float] = mapped_column(Float, server_default="0")


class WorkerSettings(Base):
    """What a worker chose and agreed to. `wants_work` is their own switch; `workers.available`, which routing reads, is
    what it comes to with the hours and a suspension. `hours` are minutes of the week in `timezone`, empty: always.
    `tier_floor` is what an appeal restored, kept until `tier_floor_until`."""

    __tablename__ = "worker_settings"

    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"), primary_key=True)
    wants_work: Mapped[bool] = mapped_column(Boolean)
    paused_because: Mapped[str | None] = mapped_column(Text)
    timezone: Mapped[str] = mapped_column(Text, server_default="UTC")
    hours: Mapped[list[list[int]]] = mapped_column(JsonText, server_default="[]")
    hours_version: Mapped[int] = mapped_column(Integer, server_default="0")
    wanted_skills: Mapped[list[str]] = mapped_column(JsonText, server_default="[]")
    declined_in_a_row: Mapped[int] = mapped_column(Integer, server_default="0")
    tier_floor: Mapped[int] = mapped_column(Integer, server_default="0")
    tier_floor_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    terms: Mapped[str | None] = mapped_column(Text)
    terms_accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class TierChange(Base):
    """One step up or down, with the figures that caused it. `rule` names it; by rule the actor is `hub`."""

    __tablename__ = "tier_changes"
    __table_args__ = (Index("ix_tier_changes_worker", "worker_id", "id"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"))
    from_tier: Mapped[int] = mapped_column(Integer)
    to_tier: Mapped[int] = mapped_column(Integer)
    rule: Mapped[str] = mapped_column(Text)
    evidence: Mapped[dict[str, Any]] = mapped_column(JsonText)
    actor: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class Suspension(Base):
    """A worker gets nothing while one is in force; what they have earned is paid all the same. One at a time."""

    __tablename__ = "suspensions"
    __table_args__ = (
        Index(
            "uq_suspensions_in_force",
            "worker_id",
            unique=True,
            postgresql_where=_IN_FORCE,
            sqlite_where=_IN_FORCE,
        ),
        Index("ix_suspensions_worker", "worker_id", "id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"))
    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    made_by: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lifted_by: Mapped[str | None] = mapped_column(Text)
    lifted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class WorkerAppeal(Base):
    """A worker's word against a suspension (`about` suspension) or a demotion (`about` tier). Another operator than
    the one it is against (`against`) decides, by `due_at`. Once for each `subject`."""

    __tablename__ = "worker_appeals"
    __table_args__ = (
        Index("ix_worker_appeals_worker", "worker_id", "id"),
        Index("ix_worker_appeals_state", "state", "due_at"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"))
    about: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text, unique=True)
    against: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    answer: Mapped[str | None] = mapped_column(Text)
    decided_by: Mapped[str | None] = mapped_column(Text)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class QuizAttempt(Base):
    """One try at the quiz of a skill. `questions` are the ids that were drawn, `answers` what was chosen for each (None
    without an answer); which of them were right is never stored beside them, only how many."""

    __tablename__ = "quiz_attempts"
    __table_args__ = (
        Index(
            "uq_quiz_attempts_open",
            "worker_id",
            "skill",
            unique=True,
            postgresql_where=_OPEN,
            sqlite_where=_OPEN,
        ),
        Index("ix_quiz_attempts_worker", "worker_id", "skill", "id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"))
    skill: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    questions: Mapped[list[list[Any]]] = mapped_column(JsonText)
    answers: Mapped[list[int | None] | None] = mapped_column(JsonText)
    right: Mapped[int | None] = mapped_column("right_count", Integer)
    needed: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
