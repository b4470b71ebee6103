"""Verification runs with the verdict of every stage, what was decided of each task and from which numbers, the gold
items with who saw them, the reviews by people, and the counters that all of it feeds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float, ForeignKey, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, JsonText, UtcDateTime


class VerificationRun(Base):
    """`stages` is the list in force when the run began; `position` the next one to run. `gold_draw`: a
    `gold_rate.Draw`, when it was thrown whether the worker's next turn is gold."""

    __tablename__ = "verification_runs"
    __table_args__ = (Index("ix_verification_runs_task_id", "task_id"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"))
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"), unique=True)
    state: Mapped[str] = mapped_column(Text)
    stages: Mapped[list[str]] = mapped_column(JsonText)
    position: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    gold_draw: Mapped[dict[str, Any] | None] = mapped_column(JsonText)


class VerdictRow(Base):
    """What one stage said of one submission, with the reasons it gave."""

    __tablename__ = "verdicts"
    __table_args__ = (UniqueConstraint("run_id", "stage"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("verification_runs.id"))
    stage: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text)
    reasons: Mapped[list[dict[str, str]]] = mapped_column(JsonText)
    score: Mapped[float | None] = mapped_column(Float)
    evidence: Mapped[dict[str, Any] | None] = mapped_column(JsonText)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DecisionRow(Base):
    """One decision on a task's answers: `record` is everything that it was made from (`fold.Record`), `decision` what
    came out, both as the exact text; `changes` is what consensus learnt from it, so that it can be taken back. Never
    changed: `hub task replay` makes the second from the first again."""

    __tablename__ = "verification_decisions"
    __table_args__ = (UniqueConstraint("task_id", "number"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"))
    number: Mapped[int] = mapped_column(Integer)
    record: Mapped[str] = mapped_column(Text)
    decision: Mapped[str] = mapped_column(Text)
    changes: Mapped[Any | None] = mapped_column(JsonText)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class GoldItem(Base):
    """A question whose answer is known. `source_task_id` is the task that it was harvested from."""

    __tablename__ = "gold_items"
    __table_args__ = (
        Index("ix_gold_items_task_type", "task_type", "environment", "state"),
        UniqueConstraint("source_task_id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    task_type: Mapped[str] = mapped_column(Text)
    environment: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(JsonText)
    output_schema: Mapped[dict[str, Any]] = mapped_column(JsonText)
    answer: Mapped[Any] = mapped_column(JsonText)
    state: Mapped[str] = mapped_column(Text)
    exposures: Mapped[int] = mapped_column(Integer, server_default="0")
    most_exposures: Mapped[int] = mapped_column(Integer)
    author: Mapped[str] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)
    source_task_id: Mapped[str | None] = mapped_column(ForeignKey("tasks.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class GoldExposure(Base):
    """One worker who is asked one gold item, as the task `task_id`, which looks like any other. `right_share` is how
    much of the known answer was given (0 to 1), `weight` what it counted for; a dispute that is upheld takes it back."""

    __tablename__ = "gold_exposures"
    __table_args__ = (
        UniqueConstraint("gold_id", "worker_id"),
        UniqueConstraint("task_id"),
        Index("ix_gold_exposures_worker_id", "worker_id", "id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    gold_id: Mapped[str] = mapped_column(ForeignKey("gold_items.id"))
    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"))
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"))
    state: Mapped[str] = mapped_column(Text)
    right_share: Mapped[float | None] = mapped_column(Float)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    judged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    dispute: Mapped[str | None] = mapped_column(Text)


_OPEN = text("state = 'open'")


class Review(Base):
    """One thing that a person has to decide: an answer before it is given out (`qa`), one that was given out (`spot`), a
    worker's appeal (`appeal`) or their dispute of a gold item (`dispute`). `subject` is what it is about: the task, the
    submission or the exposure. `not_by` are people who may not decide it."""

    __tablename__ = "reviews"
    __table_args__ = (
        UniqueConstraint("kind", "subject"),
        Index("ix_reviews_open", "due_at", postgresql_where=_OPEN, sqlite_where=_OPEN),
        Index("ix_reviews_task_id", "task_id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"))
    state: Mapped[str] = mapped_column(Text)
    why: Mapped[list[dict[str, str]]] = mapped_column(JsonText)
    said: Mapped[str | None] = mapped_column(Text)
    not_by: Mapped[list[str]] = mapped_column(JsonText)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_by: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[dict[str, Any] | None] = mapped_column(JsonText)


class Audit(Base):
    """One task whose answer a person has checked: how sure the hub was (`confidence`, before the check), whether the
    answer was right, and how likely it was to be picked (`chance`), so that the error of a type can be estimated."""

    __tablename__ = "verification_audits"
    __table_args__ = (Index("ix_verification_audits_task_type", "task_type", "environment", "id"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    task_type: Mapped[str] = mapped_column(Text)
    environment: Mapped[str] = mapped_column(Text)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"), unique=True)
    confidence: Mapped[float] = mapped_column(Float)
    chance: Mapped[float] = mapped_column(Float)
    right_answer: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ConsensusCounter(Base):
    """One additive number that consensus has learnt at one type of task, of one worker (`owner`) or of everybody (empty):
    see `consensus/counts.py` for what `field`, `truth` and `answer` say. `key` is their SHA-256, since they may be long."""

    __tablename__ = "consensus_counters"

    task_type: Mapped[str] = mapped_column(Text, primary_key=True)
    environment: Mapped[str] = mapped_column(Text, primary_key=True)
    owner: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    field: Mapped[str] = mapped_column(Text)
    truth: Mapped[str] = mapped_column(Text)
    answer: Mapped[str] = mapped_column(Text)
    value: Mapped[float] = mapped_column(Float)
