"""Where an organisation wants its events, and every delivery of one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, JsonText, UtcDateTime


class CallbackEndpoint(Base):
    """An organisation's own endpoint; `events` empty means the published seven. `secret` is sealed with the hub's key."""

    __tablename__ = "callback_endpoints"
    __table_args__ = (Index("ix_callback_endpoints_organisation_id", "organisation_id", "environment"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    environment: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(JsonText)
    secret: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_reason: Mapped[str | None] = mapped_column(Text)


class CallbackDelivery(Base):
    """One event to one address. `target` is the endpoint's id, or `task` for the task's own callback URL."""

    __tablename__ = "callback_deliveries"
    __table_args__ = (
        UniqueConstraint("event_id", "target"),
        Index("ix_callback_deliveries_organisation_id", "organisation_id", "id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    event_id: Mapped[str] = mapped_column(ForeignKey("task_events.id"))
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    target: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    status_code: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
