"""The ledger: accounts with their running sums, and transfers that nobody can change. The triggers that add every
transfer to both accounts and refuse UPDATE and DELETE are in `core/db/ledger_phases.py`, for both databases."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, UtcDateTime


class LedgerAccount(Base):
    """`credits_msat - debits_msat` is the balance of what we owe (organisations, workers), its negative the balance
    of what we own (rails). The pending sums are of pends that are still open. `floor_msat` is the least that
    `credits - debits - pending debits` may be; None for no floor."""

    __tablename__ = "ledger_accounts"
    __table_args__ = (
        CheckConstraint("floor_msat IS NULL OR credits_msat - debits_msat >= floor_msat", name="floor"),
        CheckConstraint("debits_msat >= 0 AND credits_msat >= 0", name="sums"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    floor_msat: Mapped[int | None] = mapped_column(BigInteger)
    debits_msat: Mapped[int] = mapped_column(BigInteger, server_default="0")
    credits_msat: Mapped[int] = mapped_column(BigInteger, server_default="0")
    debits_pending_msat: Mapped[int] = mapped_column(BigInteger, server_default="0")
    credits_pending_msat: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LedgerTransfer(Base):
    """One movement: it takes `amount_msat` from `debit_account` and gives it to `credit_account`, so the books
    sum to zero by form. `id` is made by the caller from what it is for (`payout:pay_…:settle`). `phase` is one of
    `core.ledger.post.Phase`; `pending_id` names the pend that a `post` or `void` resolves."""

    __tablename__ = "ledger_transfers"
    __table_args__ = (
        CheckConstraint("amount_msat > 0", name="amount"),
        CheckConstraint("debit_account <> credit_account", name="two_sides"),
        Index("ix_ledger_transfers_debit_account", "debit_account", "created_at", "id"),
        Index("ix_ledger_transfers_credit_account", "credit_account", "created_at", "id"),
        Index("ix_ledger_transfers_subject", "subject"),
        Index("ix_ledger_transfers_created_at", "created_at", "id"),
        Index("uq_ledger_transfers_pending_id", "pending_id", unique=True),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    debit_account: Mapped[str] = mapped_column(ForeignKey("ledger_accounts.id"))
    credit_account: Mapped[str] = mapped_column(ForeignKey("ledger_accounts.id"))
    amount_msat: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    phase: Mapped[str] = mapped_column(Text, server_default="single")
    pending_id: Mapped[str | None] = mapped_column(Text)


class ChainLink(Base):
    """Transfer number `number` (from 1) of the chain: `hash` is over the link before it and the transfer's content, so
    that nothing can be changed, left out or put in later. Written by `core/ledger/seal.py`, a moment after the commit."""

    __tablename__ = "ledger_chain"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    transfer_id: Mapped[str] = mapped_column(Text, unique=True)
    hash: Mapped[str] = mapped_column(Text)
