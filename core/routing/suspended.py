"""What a suspended worker was offered and has not accepted goes to somebody else at once; what is in their hands they may
finish. Topic `worker.suspended`, emitted by `core/workers/suspensions.py`."""

from __future__ import annotations

from core.db.unit_of_work import Transaction, UnitOfWork
from core.outbox.rows import Lease
from core.routing import queries
from core.routing.actions import settle
from core.routing.assignments import leave, task_for_update
from core.routing.states import AssignmentState
from core.routing.tables import Assignment
from core.workers.availability import suspension_of

SUSPENDED = "suspended"  # the reason of an offer that was taken back


async def withdraw(work: UnitOfWork, lease: Lease) -> int:
    """Each offer in a transaction of its own, because tasks are locked before workers. How many were taken back."""
    async with work.read() as session:
        offered = [turn.assignment.id for turn in await queries.offers(session, lease.subject)]
    gone = 0
    for assignment_id in offered:
        async with work.fenced(lease, "routing.withdraw") as tx:
            gone += await _withdrawn(tx, assignment_id)
    async with work.finishing(lease, "routing.withdraw"):
        return gone


async def _withdrawn(tx: Transaction, assignment_id: str) -> bool:
    turn = await tx.session.get_one(Assignment, assignment_id)
    task = await task_for_update(tx, turn.task_id)
    await tx.session.refresh(turn)
    if turn.state != AssignmentState.OFFERED or await suspension_of(tx.session, turn.worker_id) is None:
        return False  # accepted, or lifted, meanwhile
    await leave(tx, turn, AssignmentState.LAPSED, reason=SUSPENDED)
    await settle(tx, task)
    return True
