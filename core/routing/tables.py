"""Assignments, their drafts and their submissions; organisations' lists of people; what routers follow; why somebody was
chosen."""

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
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, JsonText, UtcDateTime

_LIVE = text("state IN ('offered', 'accepted', 'submitted')")


class Assignment(Base):
    """One worker's turn at one task. Never the same person twice on a task; a slot has one living holder.
    `expires_at` ends an offer; `due_at` is when the task is taken back. Set on accepting: half of such answers come within
    `p50_seconds`, nine in ten within `p90_seconds`, and from `worry_at` on this one is likely to be late. `woken_at`: when
    the worker was told that the time is nearly up. `extended_from`: what `due_at` was before their one extension."""

    __tablename__ = "assignments"
    __table_args__ = (
        UniqueConstraint("task_id", "worker_id"),
        Index(
            "uq_assignments_live_slot",
            "task_id",
            "slot",
            unique=True,
            postgresql_where=_LIVE,
            sqlite_where=_LIVE,
        ),
        Index("ix_assignments_worker", "worker_id", "id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"))
    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"))
    slot: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    score: Mapped[float] = mapped_column(Float)
    offered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    extended_from: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str | None] = mapped_column(Text)
    p50_seconds: Mapped[float | None] = mapped_column(Float)
    p90_seconds: Mapped[float | None] = mapped_column(Float)
    worry_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    woken_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Draft(Base):
    """What the worker has filled in so far: the posted form fields, kept across a dropped connection."""

    __tablename__ = "drafts"

    assignment_id: Mapped[str] = mapped_column(ForeignKey("assignments.id"), primary_key=True)
    form: Mapped[dict[str, list[str]]] = mapped_column(JsonText)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Submission(Base):
    """An answer as it was given. One per assignment; never changed."""

    __tablename__ = "submissions"
    __table_args__ = (Index("ix_submissions_task_id", "task_id"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    assignment_id: Mapped[str] = mapped_column(ForeignKey("assignments.id"), unique=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"))
    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"))
    output: Mapped[Any] = mapped_column(JsonText)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CompletionTime(Base):
    """One tally of how long answers take (`core/routing/predict.py`). `whose`: a worker, or the environment for what all
    workers share; `task_type`: empty for all types. Every write is relative, so that two at once lose nothing."""

    __tablename__ = "completion_times"

    whose: Mapped[str] = mapped_column(Text, primary_key=True)
    task_type: Mapped[str] = mapped_column(Text, primary_key=True)
    part: Mapped[str] = mapped_column(Text, primary_key=True)
    keep: Mapped[float] = mapped_column(Float)
    n: Mapped[float] = mapped_column(Float)
    total: Mapped[float] = mapped_column(Float)
    square: Mapped[float] = mapped_column(Float)
    count: Mapped[int] = mapped_column(Integer)


class BackupBudget(Base):
    """How much of a skill's work went into backups lately, as it was counted at `counted_at`, and how busy its people were
    (`core/routing/backups.py`). The row is locked while a backup is decided on, which is what makes it a limit."""

    __tablename__ = "backup_budgets"

    environment: Mapped[str] = mapped_column(Text, primary_key=True)
    skill: Mapped[str] = mapped_column(Text, primary_key=True)
    counted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    assigned: Mapped[int] = mapped_column(Integer)
    backups: Mapped[int] = mapped_column(Integer)
    load: Mapped[int] = mapped_column(BigInteger)
    capacity: Mapped[int] = mapped_column(BigInteger)


class OrganisationWorker(Base):
    """An organisation's word on one person: `block` keeps its tasks from them; where there is an `allow`, nobody else gets
    its tasks."""

    __tablename__ = "organisation_workers"
    __table_args__ = (
        CheckConstraint("kind IN ('allow', 'block')", name="kind"),
        Index("ix_organisation_workers_worker_id", "worker_id"),
    )

    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), primary_key=True)
    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WorkerChange(Base):
    """Something about a worker changed. Written by triggers (`core/db/routing_triggers.py`), kept for some minutes."""

    __tablename__ = "worker_changes"
    __table_args__ = (Index("ix_worker_changes_xid", "xid"), {"sqlite_autoincrement": True})

    seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    worker_id: Mapped[str] = mapped_column(Text)
    hot: Mapped[bool] = mapped_column(Boolean)
    xid: Mapped[int] = mapped_column(BigInteger)
    at_ms: Mapped[int] = mapped_column(BigInteger)


class RoutingDecision(Base):
    """Why a task was offered to somebody, or to nobody: `body` is a `core.routing.decisions.Decision`. While nobody can
    take a task its one row counts the `times`."""

    __tablename__ = "routing_decisions"
    __table_args__ = (
        Index("ix_routing_decisions_task_id", "task_id", "id"),
        Index("ix_routing_decisions_decided_at", "decided_at"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    task_id: Mapped[str] = mapped_column(Text)
    assignment_id: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    slot: Mapped[int] = mapped_column(Integer)
    times: Mapped[int] = mapped_column(Integer, server_default="1")
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
    body: Mapped[Any] = mapped_column(JsonText)
