"""Repair items: an alarm that stays until it is closed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Integer, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, UtcDateTime

_OPEN = text("closed_at IS NULL")


class Repair(Base):
    """`subject` is what is broken (`connector:acme`), `kind` how (`credentials`); one open item for the pair, however
    often it is met: `times` counts, `seen_at` is the last."""

    __tablename__ = "repairs"
    __table_args__ = (
        Index("uq_repairs_open", "subject", "kind", unique=True, postgresql_where=_OPEN, sqlite_where=_OPEN),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    times: Mapped[int] = mapped_column(Integer)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by: Mapped[str | None] = mapped_column(Text)
