"""Workers and what routing asks of them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Float,
    ForeignKey,
    Index,
    Integer,
    Text,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, JsonText, UtcDateTime


class Worker(Base):
    """`load` counts the assignments in hand and never exceeds `capacity`, by constraint. `price_floor_msat` is the
    least this worker works for. `environment` test: a simulated worker, paid in test money, shown no live task.
    A changed `payout_address` is paid from `payout_address_usable_at` on. `cluster_id` names the one person (or group)
    that several accounts seem to be; `expert` is a member of the pool of experts; no offers come before
    `cool_off_until`; `usual_seconds` is the time within which nine of ten answers of theirs come, as last predicted.
    `offers_taken`, `offers_missed` (declined or run out) and `answers` are counted by routing.

    Triggers (`core/db/routing_triggers.py`) note every change here for the routers: a migration that builds the table
    anew has to create them again."""

    __tablename__ = "workers"
    __table_args__ = (
        CheckConstraint("load >= 0 AND load <= capacity", name="capacity"),
        CheckConstraint("reliability >= 0 AND reliability <= 1", name="reliability"),
        Index("ix_workers_routing", "environment", "available"),
    )

    id: Mapped[str] = mapped_column(ForeignKey("people.id"), primary_key=True)
    environment: Mapped[str] = mapped_column(Text)
    tier: Mapped[int] = mapped_column(Integer)
    reliability: Mapped[float] = mapped_column(Float)
    price_floor_msat: Mapped[int] = mapped_column(BigInteger)
    capacity: Mapped[int] = mapped_column(Integer)
    load: Mapped[int] = mapped_column(Integer, server_default="0")
    available: Mapped[bool] = mapped_column(Boolean)
    payout_address: Mapped[str | None] = mapped_column(Text)
    payout_address_usable_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    idle_since: Mapped[datetime] = mapped_column(UtcDateTime)
    languages: Mapped[list[str]] = mapped_column(JsonText, server_default=text("'[]'"), default=list)
    cluster_id: Mapped[str | None] = mapped_column(Text)
    expert: Mapped[bool] = mapped_column(Boolean, server_default=false(), default=False)
    cool_off_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    usual_seconds: Mapped[int | None] = mapped_column(Integer)
    offers_taken: Mapped[int] = mapped_column(Integer, server_default="0", default=0)
    offers_missed: Mapped[int] = mapped_column(Integer, server_default="0", default=0)
    answers: Mapped[int] = mapped_column(Integer, server_default="0", default=0)


class WorkerSkill(Base):
    """One skill that a worker has."""

    __tablename__ = "worker_skills"
    __table_args__ = (Index("ix_worker_skills_skill", "skill", "worker_id"),)

    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"), primary_key=True)
    skill: Mapped[str] = mapped_column(Text, primary_key=True)
