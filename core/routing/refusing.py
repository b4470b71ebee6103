"""Declining offers, with what it means for who declines again and again: after so many in a row they are paused, and
told so. A release is no refusal. Called by the worker's pages and API."""

from __future__ import annotations

from core import clock
from core.db.unit_of_work import Transaction
from core.routing import actions
from core.routing.tables import Assignment
from core.workers import availability


async def decline(tx: Transaction, assignment_id: str, worker_id: str, most: int) -> tuple[Assignment, bool]:
    """As `actions.decline`; True beside it when this made `most` in a row and the worker was paused. Declining twice
    counts once."""
    found = await actions.decline(tx, assignment_id, worker_id)
    just_now = found.ended_at == clock.from_ms(await tx.now_ms())
    return found, just_now and await availability.declined(tx, worker_id, most)
