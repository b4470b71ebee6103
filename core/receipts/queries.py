"""Reads of receipts: a task's, and all of them in the order of the chain."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.receipts.model import Signed
from core.receipts.tables import ReceiptRow


def shown(row: ReceiptRow) -> Signed:
    return Signed(receipt=msgspec.json.decode(row.text), signature=row.signature)


async def of_task(session: AsyncSession, task_id: str) -> list[Signed]:
    """Oldest first; empty until the first is issued, a moment after `verified`."""
    rows = await session.scalars(
        select(ReceiptRow).where(ReceiptRow.task_id == task_id).order_by(ReceiptRow.number)
    )
    return [shown(row) for row in rows]


async def chain(session: AsyncSession) -> AsyncGenerator[Signed]:
    """Every receipt of the hub, a thousand at a time from the database."""
    stream = await session.stream_scalars(
        select(ReceiptRow).order_by(ReceiptRow.number), execution_options={"yield_per": 1000}
    )
    async for row in stream:
        yield shown(row)
