"""Payouts and their attempts. The attempt row is committed before the first byte leaves."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, DecimalText, UtcDateTime

_LIVE = text("state IN ('ready', 'sending', 'unknown')")


class Payout(Base):
    """What one worker earned with one answer. `amount` in `currency` was converted to `amount_msat` with
    `usd_per_btc` (of `rate_source`, at `rate_at`) when it was earned."""

    __tablename__ = "payouts"
    __table_args__ = (
        UniqueConstraint("task_id", "worker_id", "reason"),
        Index("ix_payouts_worker_id", "worker_id", "id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"))
    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"))
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    environment: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    amount: Mapped[Decimal] = mapped_column(DecimalText)
    currency: Mapped[str] = mapped_column(Text)
    amount_msat: Mapped[int] = mapped_column(BigInteger)
    usd_per_btc: Mapped[Decimal | None] = mapped_column(DecimalText)
    rate_source: Mapped[str | None] = mapped_column(Text)
    rate_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    rail: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PayoutAttempt(Base):
    """One invoice on one rail. A payment hash is used once, for ever; a payout has one living attempt."""

    __tablename__ = "payout_attempts"
    __table_args__ = (
        UniqueConstraint("payout_id", "number"),
        Index(
            "uq_payout_attempts_live", "payout_id", unique=True, postgresql_where=_LIVE, sqlite_where=_LIVE
        ),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    payout_id: Mapped[str] = mapped_column(ForeignKey("payouts.id"))
    number: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(Text)
    rail: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    invoice: Mapped[str] = mapped_column(Text)
    payment_hash: Mapped[str] = mapped_column(Text, unique=True)
    amount_msat: Mapped[int] = mapped_column(BigInteger)
    max_fee_msat: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    preimage: Mapped[str | None] = mapped_column(Text)
    fee_msat: Mapped[int] = mapped_column(BigInteger, server_default="0")
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
