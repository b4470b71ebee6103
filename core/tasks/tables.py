"""Tasks, the events of their lives, and the idempotency records of the API."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, DecimalText, JsonText, UtcDateTime


class Task(Base):
    """One question. Money columns: `payout_amount` in `payout_currency` is the most a worker gets,
    `reserved_msat` what lies in the organisation's reserved account for this task, `fee_msat` what of it is our fee,
    at least `fee_minimum_msat`, `spread_msat` what the exchange of dollars costs (for one answer, as `payout_msat`).
    `answers_wanted` people are asked now, `answers_max` are paid for at most. `p50_at`, `p90_at`: when the answer of
    whoever has it now is expected."""

    __tablename__ = "tasks"
    __table_args__ = (
        UniqueConstraint("organisation_id", "environment", "idempotency_key"),
        UniqueConstraint("connector", "ticket_id", "escalation_key"),
        Index("ix_tasks_listing", "organisation_id", "environment", "id"),
        Index(
            "ix_tasks_open",
            "status",
            "id",
            postgresql_where=text("status IN ('posted', 'assigned', 'submitted')"),
            sqlite_where=text("status IN ('posted', 'assigned', 'submitted')"),
        ),
        Index(
            "ix_tasks_unfunded",
            "organisation_id",
            "environment",
            "id",
            postgresql_where=text("funded = false"),
            sqlite_where=text("funded = 0"),
        ),
        Index(
            "ix_tasks_waiting",
            "environment",
            "expires_at",
            postgresql_where=text("status = 'posted'"),
            sqlite_where=text("status = 'posted'"),
        ),
        Index("ix_tasks_usage", "organisation_id", "environment", "created_at"),
        Index(
            "ix_tasks_ended_at",
            "ended_at",
            "id",
            postgresql_where=text("ended_at IS NOT NULL"),
            sqlite_where=text("ended_at IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    environment: Mapped[str] = mapped_column(Text)
    idempotency_key: Mapped[str] = mapped_column(Text)
    request_digest: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    task_type: Mapped[str] = mapped_column(Text)
    risk_tier: Mapped[str] = mapped_column(Text)
    sla_seconds: Mapped[int] = mapped_column(Integer)
    payload: Mapped[dict[str, Any]] = mapped_column(JsonText)
    output_schema: Mapped[dict[str, Any]] = mapped_column(JsonText)
    skills: Mapped[list[str]] = mapped_column(JsonText)
    payout_currency: Mapped[str] = mapped_column(Text)
    payout_amount: Mapped[Decimal] = mapped_column(DecimalText)
    callback_url: Mapped[str | None] = mapped_column(Text)
    task_metadata: Mapped[dict[str, Any] | None] = mapped_column("metadata", JsonText)
    connector: Mapped[str | None] = mapped_column(Text)
    ticket_id: Mapped[str | None] = mapped_column(Text)
    escalation_key: Mapped[str | None] = mapped_column(Text)
    funded: Mapped[bool] = mapped_column(Boolean)
    reserved_msat: Mapped[int] = mapped_column(BigInteger)
    fee_msat: Mapped[int] = mapped_column(BigInteger)
    fee_minimum_msat: Mapped[int] = mapped_column(BigInteger, server_default="0")
    spread_msat: Mapped[int] = mapped_column(BigInteger, server_default="0")
    payout_msat: Mapped[int] = mapped_column(BigInteger)
    reroutes: Mapped[int] = mapped_column(Integer, server_default="0")
    answers_wanted: Mapped[int] = mapped_column(Integer, server_default="1")
    answers_max: Mapped[int] = mapped_column(Integer, server_default="1")
    output: Mapped[dict[str, Any] | None] = mapped_column(JsonText)
    payout_result: Mapped[dict[str, Any] | None] = mapped_column(JsonText)
    payout_results: Mapped[list[Any] | None] = mapped_column(JsonText)
    correction: Mapped[dict[str, Any] | None] = mapped_column(JsonText)
    verification: Mapped[dict[str, Any] | None] = mapped_column(JsonText)
    failure_reason: Mapped[str | None] = mapped_column(Text)
    receipt_id: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    hard_stop_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    p50_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    p90_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    language: Mapped[str | None] = mapped_column(Text)


class TaskEvent(Base):
    """One step of a task's life with the task as the API showed it then: what callbacks send and the trail shows."""

    __tablename__ = "task_events"
    __table_args__ = (UniqueConstraint("task_id", "version"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"))
    version: Mapped[int] = mapped_column(Integer)
    type: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    snapshot: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class IdempotencyRecord(Base):
    """The answer that a header `Idempotency-Key` got, written in the transaction of its effect."""

    __tablename__ = "idempotency_records"
    __table_args__ = (Index("ix_idempotency_records_created_at", "created_at"),)

    organisation_id: Mapped[str] = mapped_column(Text, primary_key=True)
    environment: Mapped[str] = mapped_column(Text, primary_key=True)
    method: Mapped[str] = mapped_column(Text, primary_key=True)
    path: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    digest: Mapped[str] = mapped_column(Text)
    status_code: Mapped[int] = mapped_column(Integer)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
