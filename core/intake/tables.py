"""The raw inbox: every verified delivery as it came, so that nothing is lost to a bad mapping. Beside it the bounded
quarantine of those that no secret verified, and what is known of each ticket and connector."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, Text, UniqueConstraint
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


class QuarantinedDelivery(Base):
    """A delivery with a signature that no secret of ours made: perhaps our secret is stale, perhaps it is forged. Kept
    as it came, few and not for long, so that it can be verified again when the secret is mended."""

    __tablename__ = "quarantined_deliveries"
    __table_args__ = (Index("ix_quarantined_deliveries_connector", "connector", "id"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    connector: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    client_ip: Mapped[str] = mapped_column(Text)
    path_token: Mapped[str] = mapped_column(Text)
    headers: Mapped[dict[str, str]] = mapped_column(JsonText)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    reason: Mapped[str] = mapped_column(Text)


class TicketRevision(Base):
    """The newest revision of a ticket that a delivery has told us of; senders do not keep order."""

    __tablename__ = "ticket_revisions"

    connector: Mapped[str] = mapped_column(Text, primary_key=True)
    ticket_id: Mapped[str] = mapped_column(Text, primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger)


class ConnectorRecord(Base):
    """A connector that this hub has ever been configured with: tells a deleted one from one that never was.
    `reconciled_to` is up to when the vendor's changes are known to us."""

    __tablename__ = "connector_records"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    vendor: Mapped[str] = mapped_column(Text)
    first_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reconciled_to: Mapped[datetime | None] = mapped_column(UtcDateTime)


class TaskSource(Base):
    """What a connector's task came from, beside its ticket and key: the route that made it, and sealed what was
    redacted from it (JSON of placeholder -> text), to be turned back where the answer goes."""

    __tablename__ = "task_sources"

    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"), primary_key=True)
    route: Mapped[str] = mapped_column(Text)
    ticket_url: Mapped[str | None] = mapped_column(Text)
    ticket_summary: Mapped[str | None] = mapped_column(Text)
    redacted: Mapped[str | None] = mapped_column(Text)


class TaskMessage(Base):
    """What somebody said about the ticket after the task was made; the worker reads it beside the question."""

    __tablename__ = "task_messages"
    __table_args__ = (UniqueConstraint("task_id", "item_id"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"))
    item_id: Mapped[str] = mapped_column(Text)
    author: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
