"""Workers' bank accounts, and the batches in which an operator pays them by hand."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, UtcDateTime

_OPEN = text("removed_at IS NULL")


class BankAccountRow(Base):
    """A worker has at most one account in use. `sealed` holds the details, `label` what may be shown ("•••• 6789").
    Nothing is sent to it before `usable_at`."""

    __tablename__ = "bank_accounts"
    __table_args__ = (
        Index(
            "uq_bank_accounts_worker", "worker_id", unique=True, postgresql_where=_OPEN, sqlite_where=_OPEN
        ),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"))
    kind: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(Text)
    sealed: Mapped[str] = mapped_column(Text)
    usable_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class BankBatch(Base):
    """Attempts on the rail `bank` in one file. `made_by` freezes it, somebody else confirms; `digest` is of the file."""

    __tablename__ = "bank_batches"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    payments: Mapped[int] = mapped_column(Integer)
    cents: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(Text)
    made_by: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    confirmed_by: Mapped[str | None] = mapped_column(Text)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
