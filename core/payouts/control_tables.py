"""What holds payouts back, and what the nightly look at the rails' own books found."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, JsonText, UtcDateTime


class PayoutControl(Base):
    """`subject` (`hub`, `rail:lnd`) sends nothing new while a row is here; `cause` is who put it there: operator,
    breaker, reconciliation. `until` None: until somebody takes it away."""

    __tablename__ = "payout_controls"

    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    cause: Mapped[str] = mapped_column(Text, primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Reconciliation(Base):
    """One rail's history held against our attempts, from `since` on. `findings` is empty when they agree."""

    __tablename__ = "reconciliations"
    __table_args__ = (Index("ix_reconciliations_rail", "rail", "id"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    rail: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime] = mapped_column(UtcDateTime)
    payments: Mapped[int] = mapped_column(Integer)
    findings: Mapped[list[Any]] = mapped_column(JsonText)


class ExplainedPayment(Base):
    """A payment on a rail that is none of ours, and the operator's word for why that is right."""

    __tablename__ = "explained_payments"

    rail: Mapped[str] = mapped_column(Text, primary_key=True)
    payment_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    note: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
