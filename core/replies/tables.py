"""What goes back into tickets: one row per task and step, sent once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, JsonText, UtcDateTime


class Reply(Base):
    """`step` numbers the outbound step of the connector's YAML (`verified.0`), `position` the order within the task:
    the next one goes when this one is through. `actions` is what to do, rendered ({kind, body} each); `vendor_id` is
    the vendor's id of what we wrote, by which its echo is known."""

    __tablename__ = "replies"
    __table_args__ = (
        UniqueConstraint("task_id", "step"),
        Index("ix_replies_ticket", "connector", "ticket_id", "state"),
        Index("ix_replies_vendor_id", "connector", "vendor_id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"))
    step: Mapped[str] = mapped_column(Text)
    position: Mapped[int] = mapped_column(Integer, server_default="0")
    connector: Mapped[str] = mapped_column(Text)
    ticket_id: Mapped[str] = mapped_column(Text)
    marker: Mapped[str] = mapped_column(Text, unique=True)
    actions: Mapped[list[dict[str, Any]]] = mapped_column(JsonText, server_default="[]")
    state: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    vendor_id: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
