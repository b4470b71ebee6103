"""Forgetting the kept answers of idempotency keys. Called by the daily upkeep."""

from __future__ import annotations

from sqlalchemy import delete

from core import clock
from core.db.unit_of_work import Transaction
from core.tasks.tables import IdempotencyRecord

KEPT_DAYS = 30


async def forget_answers(tx: Transaction, *, days: int = KEPT_DAYS) -> None:
    """Answers older than `days` go. The keys of tasks themselves stay with the tasks."""
    before = clock.from_ms(await tx.now_ms() - days * 86_400_000)
    await tx.session.execute(delete(IdempotencyRecord).where(IdempotencyRecord.created_at < before))
