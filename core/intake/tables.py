"""The raw inbox: every verified delivery as it came, so that nothing is lost to a bad mapping."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Integer, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, JsonText, UtcDateTime


class InboundEvent(Base):
    """`connector` is the id of the configured connector. `body` is binary: no payload can poison a text column."""

    __tablename__ = "inbound_events"
    __table_args__ = (
        UniqueConstraint("connector", "delivery_id"),
        Index("ix_inbound_events_received_at", "received_at"),
        Index("ix_inbound_events_task_id", "task_id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    connector: Mapped[str] = mapped_column(Text)
    delivery_id: Mapped[str] = mapped_column(Text)
    event_type: Mapped[str] = mapped_column(Text)
    headers: Mapped[dict[str, str]] = mapped_column(JsonText)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    verified_by: Mapped[int] = mapped_column(Integer)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    task_id: Mapped[str | None] = mapped_column(Text)
