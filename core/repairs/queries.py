"""Reads of repair items, for the jobs that must hold back and for the operator."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.repairs.actions import STOPPING
from core.repairs.tables import Repair


async def still_open(session: AsyncSession, subject: str | None = None) -> Sequence[Repair]:
    """The open items, of one subject or of all, oldest first."""
    statement = select(Repair).where(Repair.closed_at.is_(None)).order_by(Repair.id)
    if subject is not None:
        statement = statement.where(Repair.subject == subject)
    return (await session.scalars(statement)).all()


async def stopped(session: AsyncSession, subject: str) -> Repair | None:
    """The open item that holds the subject back, None when it may go on."""
    return await session.scalar(
        select(Repair)
        .where(
            Repair.subject == subject,
            Repair.closed_at.is_(None),
            Repair.kind.in_([str(kind) for kind in STOPPING]),
        )
        .limit(1)
    )
