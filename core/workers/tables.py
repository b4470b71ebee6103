"""Workers and what routing asks of them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Float, ForeignKey, Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, UtcDateTime


class Worker(Base):
    """`load` counts the assignments in hand and never exceeds `capacity`, by constraint. `price_floor_msat` is the
    least this worker works for. `environment` test: a simulated worker, paid in test money, shown no live task.
    A changed `payout_address` is paid from `payout_address_usable_at` on."""

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


class WorkerSkill(Base):
    """One skill that a worker has."""

    __tablename__ = "worker_skills"
    __table_args__ = (Index("ix_worker_skills_skill", "skill", "worker_id"),)

    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"), primary_key=True)
    skill: Mapped[str] = mapped_column(Text, primary_key=True)
