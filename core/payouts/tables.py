"""Payouts and their attempts, what holds payouts back, and what looks at the rails' own books found. The attempt row is
committed before the first byte leaves."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, DecimalText, JsonText, UtcDateTime

_HELD = text("ended_at IS NULL")
_LIVE = text("state IN ('ready', 'sending', 'unknown')")


class Payout(Base):
    """What one worker earned with one answer. `amount` in `currency` was converted to `amount_msat` with
    `usd_per_btc` (of `rate_source`, at `rate_at`, from `rate_samples`) when it was earned; 0 while it waits for a rate.
    `remainder_msat` is what a payment in whole cents left in the worker's account. `invoice` is the worker's own, for
    exactly this payout."""

    __tablename__ = "payouts"
    __table_args__ = (
        UniqueConstraint("task_id", "worker_id", "reason"),
        Index("ix_payouts_worker_id", "worker_id", "id"),
        Index("ix_payouts_state", "state", "id"),
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
    rate_samples: Mapped[Any | None] = mapped_column(JsonText)
    spread_msat: Mapped[int] = mapped_column(BigInteger, server_default="0")
    remainder_msat: Mapped[int] = mapped_column(BigInteger, server_default="0")
    invoice: Mapped[str | None] = mapped_column(Text)
    rail: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PayoutAttempt(Base):
    """One invoice on one rail. A payment hash is used once, for ever; a payout has one living attempt. `reference` is
    the rail's own name of it. On a rail that pays banks `cents` leave for `bank_account_id`, in the file `batch_id`."""

    __tablename__ = "payout_attempts"
    __table_args__ = (
        UniqueConstraint("payout_id", "number"),
        Index(
            "uq_payout_attempts_live", "payout_id", unique=True, postgresql_where=_LIVE, sqlite_where=_LIVE
        ),
        Index("ix_payout_attempts_state", "state", "id"),
        Index("ix_payout_attempts_reference", "rail", "reference"),
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
    reference: Mapped[str] = mapped_column(Text, server_default=text("''"))
    cents: Mapped[int] = mapped_column(BigInteger, server_default="0")
    bank_account_id: Mapped[str | None] = mapped_column(Text)
    batch_id: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sends: Mapped[int] = mapped_column(Integer, server_default="0")
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


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


class PayoutHold(Base):
    """A payout that waits until somebody has looked at its worker, at most until `until`. `why` is for operators;
    `outcome` is a `holds.Outcome`, with who ended it and what they said."""

    __tablename__ = "payout_holds"
    __table_args__ = (Index("ix_payout_holds_open", "worker_id", postgresql_where=_HELD, sqlite_where=_HELD),)

    payout_id: Mapped[str] = mapped_column(ForeignKey("payouts.id"), primary_key=True)
    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"))
    why: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_by: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)


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


class RailFunds(Base):
    """What a rail's node holds of the operator's own: between `low_msat` and `high_msat`, as every look so far allows.
    `disputed`: the last look did not fit, and an item waits for the operator."""

    __tablename__ = "rail_funds"

    rail: Mapped[str] = mapped_column(Text, primary_key=True)
    low_msat: Mapped[int] = mapped_column(BigInteger)
    high_msat: Mapped[int] = mapped_column(BigInteger)
    disputed: Mapped[bool] = mapped_column(Boolean)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ExplainedPayment(Base):
    """What a rail's history says about a payment, and the operator's word for why that is right. `kinds`: the findings
    that were explained, with commas between; a later one of another kind is news."""

    __tablename__ = "explained_payments"

    rail: Mapped[str] = mapped_column(Text, primary_key=True)
    payment_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    kinds: Mapped[str] = mapped_column(Text, server_default=text("''"))
    note: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
