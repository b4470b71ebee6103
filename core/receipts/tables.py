"""Receipts, append only (triggers of the migration `2026_11_30_06`), and the keys that sign them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, UtcDateTime


class ReceiptKey(Base):
    """`id` is the RFC 7638 thumbprint, `public` the JWK's `x`. `sealed` is the private half, gone once the key is retired:
    whoever steals the database later signs nothing in its name."""

    __tablename__ = "receipt_keys"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    public: Mapped[str] = mapped_column(Text)
    sealed: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ReceiptRow(Base):
    """`text` is what was signed, in its canonical form; `hash` its SHA-256, and `previous` that of receipt `number - 1`.
    `subject` says what it is about (`verified:TASK`, `settled:PAYOUT`): once each."""

    __tablename__ = "receipts"
    __table_args__ = (Index("ix_receipts_task_id", "task_id", "number"),)

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(Text, unique=True)
    subject: Mapped[str] = mapped_column(Text, unique=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"))
    key_id: Mapped[str] = mapped_column(ForeignKey("receipt_keys.id"))
    text: Mapped[str] = mapped_column(Text)
    signature: Mapped[str] = mapped_column(Text)
    previous: Mapped[str] = mapped_column(Text, unique=True)
    hash: Mapped[str] = mapped_column(Text, unique=True)
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
