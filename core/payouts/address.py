"""A worker's new payout address, and the payouts that waited for one. Called by the worker's pages and API."""

from __future__ import annotations

from core.db.unit_of_work import Transaction
from core.payouts.actions import retry_for_worker
from core.workers import actions as workers


async def set_address(tx: Transaction, worker_id: str, address: str | None, *, actor: str) -> None:
    """Raises Invalid for a bad shape, NotFound. What is owed and has no living attempt goes on at once."""
    await workers.set_payout_address(tx, worker_id, address, actor=actor)
    if address is not None:
        await retry_for_worker(tx, worker_id)
