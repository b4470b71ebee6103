"""What is remembered of workers, what the form noticed, which pairs agree too much, and the marks that follow."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Float, ForeignKey, Index, Integer, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, JsonText, UtcDateTime

_OPEN = text("closed_at IS NULL")


class AnomalyMemory(Base):
    """`owner` is a worker (`memory` is a `model.Memory`) or `pool:3`, one shard of everybody (a `model.Pool`). Bounded: the
    last fifty answers."""

    __tablename__ = "anomaly_memories"
    __table_args__ = (Index("ix_anomaly_memories_updated_at", "updated_at"),)

    task_type: Mapped[str] = mapped_column(Text, primary_key=True)
    environment: Mapped[str] = mapped_column(Text, primary_key=True)
    owner: Mapped[str] = mapped_column(Text, primary_key=True)
    memory: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[int] = mapped_column(BigInteger)


class AnswerSignal(Base):
    """What the form noticed while an answer was given (`model.Device`); `device` is a digest of the browser's cookie."""

    __tablename__ = "answer_signals"
    __table_args__ = (Index("ix_answer_signals_device", "device", "worker_id"),)

    assignment_id: Mapped[str] = mapped_column(ForeignKey("assignments.id"), primary_key=True)
    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"))
    device: Mapped[str | None] = mapped_column(Text)
    noticed: Mapped[dict[str, Any]] = mapped_column(JsonText)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WorkerPair(Base):
    """Two workers, the smaller id first, over the questions that both answered (`pairs.Sums`)."""

    __tablename__ = "worker_pairs"
    __table_args__ = (Index("ix_worker_pairs_updated_at", "updated_at"),)

    first: Mapped[str] = mapped_column(Text, primary_key=True)
    second: Mapped[str] = mapped_column(Text, primary_key=True)
    environment: Mapped[str] = mapped_column(Text, primary_key=True)
    common: Mapped[int] = mapped_column(Integer)
    agreed: Mapped[int] = mapped_column(Integer)
    expected: Mapped[float] = mapped_column(Float)
    variance: Mapped[float] = mapped_column(Float)
    updated_at: Mapped[int] = mapped_column(BigInteger)


class WorkerMark(Base):
    """One odd thing about a worker, in words, open until an operator closes it. At most one of a kind at a task type
    (empty: all of them) is open; `confirmed_at`: an operator found it true; `times` counts how often it was found again."""

    __tablename__ = "worker_marks"
    __table_args__ = (
        Index(
            "uq_worker_marks_open",
            "worker_id",
            "kind",
            "task_type",
            unique=True,
            postgresql_where=_OPEN,
            sqlite_where=_OPEN,
        ),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"))
    kind: Mapped[str] = mapped_column(Text)
    task_type: Mapped[str] = mapped_column(Text)
    words: Mapped[str] = mapped_column(Text)
    evidence: Mapped[dict[str, Any]] = mapped_column(JsonText)
    p_value: Mapped[float] = mapped_column(Float)
    times: Mapped[int] = mapped_column(Integer)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)


class AnomalyProgress(Base):
    """How far the review has read the ended tasks: those up to `at`, and of that millisecond up to `subject`."""

    __tablename__ = "anomaly_progress"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[int] = mapped_column(BigInteger)
    subject: Mapped[str] = mapped_column(Text)
