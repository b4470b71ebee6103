"""A worker's row under its lock, and the word that somebody may be free. Used by every action on workers."""

from __future__ import annotations

from core.db.unit_of_work import Transaction
from core.errors import NotFound
from core.workers.tables import Worker


async def locked(tx: Transaction, worker_id: str) -> Worker:
    """The row, held until the end of the transaction. The ORM writes only the columns that changed, so a load that
    routing counts meanwhile is never overwritten. Raises NotFound."""
    worker = await tx.session.get(
        Worker, worker_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if worker is None:
        raise NotFound("unknown_worker", "There is no such worker")
    return worker


def announce_free(tx: Transaction, environment: str) -> None:
    """Somebody may be able to take a waiting task now: `routing.actions.offer_waiting` looks. Once a transaction."""
    if not any(
        job.topic == "worker.free" and job.subject == environment and not job.delay_ms for job in tx.jobs
    ):
        tx.emit("worker.free", environment)
