"""Gives a task to a worker and ends that again, so that no slot is given twice, nobody holds more than their capacity
and capacity is given back exactly once. Every caller holds the task's row (`task_for_update`): that lock is what puts
all that happens to one task in an order, on both databases. Locks are taken task first, then workers, then ledger."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select, update

from core import clock
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction
from core.errors import NotFound
from core.routing import statements, times
from core.routing.states import HOLDS_CAPACITY, LIVE, TRANSITIONS, AssignmentState
from core.routing.tables import Assignment
from core.tasks.tables import Task
from core.workers.actions import announce_free
from core.workers.tables import Worker

OFFER_EXPIRED = "offer_expired"  # the reason of an offer that nobody answered


async def task_for_update(tx: Transaction, task_id: str) -> Task:
    """The task as it is now, held until the end of the transaction. Raises NotFound."""
    task = await tx.session.get(Task, task_id, with_for_update={"key_share": True}, populate_existing=True)
    if task is None:
        raise NotFound("unknown_task", "There is no such task")
    return task


async def task_to_offer(tx: Transaction, task_id: str) -> Task:
    """`task_for_update` as a copy outside the session, which is all that an offer needs. Raises NotFound."""
    task = await statements.held_task(tx, task_id)
    if task is None:
        raise NotFound("unknown_task", "There is no such task")
    return task


async def claim(tx: Transaction, assignment: Assignment) -> bool:
    """Count one more in the worker's hands and write the assignment, or neither. False when the worker is full or
    paused by now, or the slot taken. A savepoint, because on PostgreSQL a lost race would otherwise keep the
    worker's row locked and end the transaction; the caller goes on with the next candidate."""
    return await statements.claim(tx, assignment)


async def claim_first(
    tx: Transaction, assignment: Assignment, scored: Sequence[tuple[str, float]]
) -> str | None:
    """Give the assignment to the first of several workers (id and score, best first) who is free still, whichever the
    assignment names; who it was. On PostgreSQL one statement, which passes over whoever is held by another transaction;
    only if nobody is left it waits for each of them in turn. None: nobody, or the slot is taken."""
    return await statements.claim_first(tx, assignment, scored)


async def leave(tx: Transaction, assignment: Assignment, to: AssignmentState, **values: Any) -> None:
    """Move the assignment on, with `values`; who stops holding capacity gets it back. Raises Conflict (see `move`)."""
    before, now = assignment.state, await tx.now_ms()
    if to not in LIVE:
        values["ended_at"] = clock.from_ms(now)
    if before in HOLDS_CAPACITY:
        times.ended(tx, await tx.session.get_one(Task, assignment.task_id), assignment, to, now)
    await move(tx, assignment, to, table=TRANSITIONS, **values)
    if before in HOLDS_CAPACITY and to not in HOLDS_CAPACITY:
        missed = to is AssignmentState.DECLINED or values.get("reason") == OFFER_EXPIRED
        await _free_one(
            tx,
            assignment.worker_id,
            offers_taken=int(before == AssignmentState.ACCEPTED),
            offers_missed=int(missed),
            answers=int(to is AssignmentState.SUBMITTED),
        )
        if to is AssignmentState.SUBMITTED:
            await _foretell(tx, assignment)


async def end_all(
    tx: Transaction,
    task_id: str,
    reason: str,
    *,
    states: Collection[AssignmentState] = LIVE,
    but: str | None = None,
    among: Sequence[Assignment] | None = None,
) -> list[Assignment]:
    """Lapse the living assignments of a task that are in `states`, except the one with the id `but`. In the order of
    workers, so that two transactions never wait for each other in a ring. `among`: all of the task's, where the caller has
    read them under its lock."""
    present = await living(tx, task_id) if among is None else among
    ending = [one for one in present if one.state in states and one.id != but]
    for assignment in sorted(ending, key=lambda one: one.worker_id):
        await leave(tx, assignment, AssignmentState.LAPSED, reason=reason)
    return ending


async def living(tx: Transaction, task_id: str) -> list[Assignment]:
    """The assignments of a task that are offered, accepted or submitted now, by slot."""
    statement = (
        select(Assignment)
        .where(Assignment.task_id == task_id, Assignment.state.in_([str(state) for state in LIVE]))
        .order_by(Assignment.slot)
        .execution_options(populate_existing=True)
    )
    return list(await tx.session.scalars(statement))


async def _free_one(tx: Transaction, worker_id: str, **counts: int) -> None:
    """One hand free again, and what it says of them (columns of `Worker`)."""
    counted = {name: getattr(Worker, name) + count for name, count in counts.items() if count}
    statement = (
        update(Worker)
        .where(Worker.id == worker_id)
        .values(load=Worker.load - 1, idle_since=clock.from_ms(await tx.now_ms()), **counted)
        .returning(Worker.environment)
        .execution_options(synchronize_session=False)
    )
    announce_free(tx, (await tx.session.execute(statement)).scalar_one())


async def _foretell(tx: Transaction, assignment: Assignment) -> None:
    """What the directory of workers knows of their speed: the time within which nine of ten answers of theirs come, over
    all types, as it was known before this one."""
    worker = await tx.session.get_one(Worker, assignment.worker_id, populate_existing=True)
    found = await times.predictions(tx.session, worker.environment, "", [worker.id])
    usual = max(1, round(found[worker.id].p90_seconds))
    statement = update(Worker).where(Worker.id == worker.id, Worker.usual_seconds.is_distinct_from(usual))
    await tx.session.execute(
        statement.values(usual_seconds=usual).execution_options(synchronize_session=False)
    )
