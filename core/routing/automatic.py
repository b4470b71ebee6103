"""Auto-assignment: who has switched it on, in a tier that the file of the tiers allows, has what they are offered in hand at
once, in the transaction of the offer. Called by whoever has just claimed somebody for a task (`offering.py`, gold), and
by `sla.py` for who let such a task run out."""

from __future__ import annotations

from sqlalchemy import select, update

from core import clock
from core.audit.record import record
from core.db.unit_of_work import Transaction
from core.routing.assignments import leave
from core.routing.model import Policy
from core.routing.promise import promise
from core.routing.states import AssignmentState
from core.routing.tables import Assignment
from core.tasks.tables import Task
from core.workers import availability
from core.workers.tables import Worker


async def accept_at_once(tx: Transaction, task: Task, offered: Assignment, policy: Policy) -> bool:
    """The offer as accepted, when its worker wants that and may; else False, and it waits for them. The capacity was counted
    with the offer, the clock of the work runs from now on. `task` and `offered` may be copies that no session watches:
    what changes is set on them too. The caller holds the task's row and has just claimed the worker, whose row is locked."""
    if not policy.auto_assigned:
        return False
    wanted = await tx.session.execute(
        select(Worker.auto_assign, Worker.tier).where(Worker.id == offered.worker_id)
    )
    switched_on, tier = wanted.one()
    if not switched_on or tier not in policy.auto_assigned:
        return False
    turn = await tx.session.get_one(Assignment, offered.id)
    now = clock.from_ms(await tx.now_ms())
    await leave(tx, turn, AssignmentState.ACCEPTED, accepted_at=now)
    watched = await tx.session.get_one(Task, task.id)
    await promise(tx, watched, turn, policy)
    if watched is not task:
        task.p50_at, task.p90_at = watched.p50_at, watched.p90_at
    offered.state, offered.accepted_at = turn.state, now
    await availability.accepted(tx, turn.worker_id)
    await record(tx, actor="hub", action="assignment.auto_accepted", subject=turn.id, task=task.id)
    return True


async def not_there(tx: Transaction, worker_id: str) -> None:
    """A task of theirs was taken back: somebody who is away must not be given the next one unasked."""
    statement = (
        update(Worker)
        .where(Worker.id == worker_id, Worker.auto_assign)
        .values(auto_assign=False)
        .returning(Worker.id)
        .execution_options(synchronize_session=False)
    )
    if (await tx.session.execute(statement)).first() is not None:
        await record(
            tx,
            actor="hub",
            action="worker.auto_assign_changed",
            subject=worker_id,
            to=False,
            why="taken_back",
        )
