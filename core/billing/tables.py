"""Money that organisations pay in over Lightning, their monthly statements, and the counts that decide a fee."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, JsonText, UtcDateTime


class TopUp(Base):
    """One invoice of ours to an organisation. What arrives is credited once, under the payment hash."""

    __tablename__ = "top_ups"
    __table_args__ = (Index("ix_top_ups_organisation_id", "organisation_id", "environment", "id"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    environment: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    rail: Mapped[str] = mapped_column(Text)
    invoice: Mapped[str] = mapped_column(Text)
    payment_hash: Mapped[str] = mapped_column(Text, unique=True)
    amount_msat: Mapped[int] = mapped_column(BigInteger)
    received_msat: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    paid_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class VerifiedCount(Base):
    """Verified live tasks of an organisation in one month (`2026-11`, UTC)."""

    __tablename__ = "verified_counts"

    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), primary_key=True)
    month: Mapped[str] = mapped_column(Text, primary_key=True)
    tasks: Mapped[int] = mapped_column(Integer)


class BillingStatement(Base):
    """A closed month (`2026-11`) of one organisation, as it was when it was closed."""

    __tablename__ = "billing_statements"
    __table_args__ = (UniqueConstraint("organisation_id", "environment", "month"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    environment: Mapped[str] = mapped_column(Text)
    month: Mapped[str] = mapped_column(Text)
    body: Mapped[Any] = mapped_column(JsonText)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
