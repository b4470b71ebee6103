"""The statements of an offer as text for the driver, in both dialects: they run for every task, while a person waits for
it. Used by `candidates.py` and `assignments.py`, which decide on what comes back; workers are read by `people.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.db.copies import Copies
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.routing.people import names
from core.routing.tables import Assignment
from core.tasks.tables import Task

TASKS = Copies(Task)
_HELD_TASK = {
    dialect: for_dialect(
        f"SELECT {TASKS.select('t')} FROM tasks t WHERE t.id = $1"  # noqa: S608 - names are ours
        + (" FOR NO KEY UPDATE" if dialect == "postgresql" else ""),
        dialect,
    )
    for dialect in ("postgresql", "sqlite")
}


async def held_task(tx: Transaction, task_id: str) -> Task | None:
    """The task as it is now, held until the end of the transaction; a copy that the session does not watch."""
    row = (await tx.execute(_HELD_TASK[tx.dialect], (task_id,))).first()
    return None if row is None else TASKS.of(row)


# Who had each of these tasks: task, worker, where they are paid, their cluster, slot, state.
_TURNS = {
    dialect: f"""
        SELECT a.task_id, a.worker_id, w.payout_address, w.cluster_id, a.slot, a.state
        FROM assignments a JOIN workers w ON w.id = a.worker_id WHERE a.task_id {among}"""  # noqa: S608 - text of ours
    for dialect, among in (
        ("postgresql", "= ANY($1::text[])"),
        ("sqlite", "IN (SELECT value FROM json_each(?1))"),
    )
}
# What routing reads of organisations: id, plan, whether they take only people whom they have named.
ALLOW_LISTED = (
    "EXISTS (SELECT 1 FROM organisation_workers l WHERE l.organisation_id = o.id AND l.kind = 'allow')"
)
_ASKERS = {
    "postgresql": f"SELECT o.id, o.plan, {ALLOW_LISTED} FROM organisations o WHERE o.id = ANY($1::text[])",  # noqa: S608 - text of ours
    "sqlite": f"""SELECT o.id, o.plan, {ALLOW_LISTED} FROM organisations o
        WHERE o.id IN (SELECT value FROM json_each(?1))""",  # noqa: S608 - text of ours
}


async def turns(session: AsyncSession, task_ids: list[str]) -> Sequence[Any]:
    return await _read_of(session, _TURNS, task_ids)


async def askers(session: AsyncSession, organisation_ids: list[str]) -> Sequence[Any]:
    return await _read_of(session, _ASKERS, organisation_ids)


async def _read_of(session: AsyncSession, sql: dict[str, str], ids: list[str]) -> Sequence[Any]:
    connection = await session.connection()
    dialect = connection.dialect.name
    return (await connection.exec_driver_sql(sql[dialect], (names(ids, dialect),))).all()


ASSIGNMENT = "id, task_id, worker_id, slot, kind, state, score, offered_at, expires_at, due_at"
_CLAIM = f"""
    WITH taken AS (
        UPDATE workers SET load = load + 1 WHERE id = $3 AND load < capacity AND available RETURNING id)
    INSERT INTO assignments ({ASSIGNMENT})
    SELECT $1, $2, id, $4::int, $5, $6, $7::float8, $8::bigint, $9::bigint, $10::bigint FROM taken
    ON CONFLICT DO NOTHING"""  # noqa: S608 - text of ours
_GIVE = f"""
    INSERT INTO assignments ({ASSIGNMENT}) SELECT ?1, ?2, id, ?4, ?5, ?6, ?7, ?8, ?9, ?10
    FROM workers WHERE id = ?3 AND load < capacity AND available ON CONFLICT DO NOTHING"""  # noqa: S608 - text of ours
_COUNT = "UPDATE workers SET load = load + 1 WHERE id = ?1"


# The first of several workers who is free still and whom nobody else holds at this moment. $3 are the workers, best first,
# $7 what each scores; the rest as ASSIGNMENT.
_CLAIM_FIRST = f"""
    WITH pick AS (
        SELECT w.id, c.score FROM unnest($3::text[], $7::float8[]) WITH ORDINALITY AS c (worker, score, n)
        JOIN workers w ON w.id = c.worker WHERE w.load < w.capacity AND w.available
        ORDER BY c.n LIMIT 1 FOR NO KEY UPDATE OF w SKIP LOCKED),
    taken AS (UPDATE workers SET load = workers.load + 1 FROM pick WHERE workers.id = pick.id RETURNING workers.id),
    given AS (
        INSERT INTO assignments ({ASSIGNMENT})
        SELECT $1, $2, pick.id, $4::int, $5, $6, pick.score, $8::bigint, $9::bigint, $10::bigint
        FROM pick JOIN taken ON taken.id = pick.id ON CONFLICT DO NOTHING RETURNING worker_id)
    SELECT worker_id FROM given"""  # noqa: S608 - text of ours


async def claim_first(
    tx: Transaction, assignment: Assignment, scored: Sequence[tuple[str, float]]
) -> str | None:
    """See `core/routing/assignments.py`."""
    row = list(assignment_row(assignment))
    if tx.dialect == "postgresql":
        row[2], row[6] = [worker for worker, _ in scored], [score for _, score in scored]
        await tx.execute("SAVEPOINT claim")
        given = (await tx.execute(_CLAIM_FIRST, tuple(row))).scalar()
        if given is not None:
            return str(given)
        # who was looked at and found full stays locked: with that no transaction may wait for somebody else
        await tx.execute("ROLLBACK TO SAVEPOINT claim")
    for worker_id, score in scored:
        row[2], row[6] = worker_id, score
        if await _claim_one(tx, tuple(row)):
            return worker_id
    return None


async def claim(tx: Transaction, assignment: Assignment) -> bool:
    """See `core/routing/assignments.py`."""
    return await _claim_one(tx, assignment_row(assignment))


async def _claim_one(tx: Transaction, row: tuple[Any, ...]) -> bool:
    if tx.dialect == "sqlite":  # the one writer; nobody comes between the two
        if (await tx.execute(_GIVE, row)).rowcount != 1:
            return False
        await tx.execute(_COUNT, (row[2],))
        return True
    await tx.execute("SAVEPOINT claim")
    if (await tx.execute(_CLAIM, row)).rowcount == 1:
        return True
    await tx.execute("ROLLBACK TO SAVEPOINT claim")
    return False


def assignment_row(assignment: Assignment) -> tuple[Any, ...]:
    """The columns `ASSIGNMENT`."""
    return (
        assignment.id,
        assignment.task_id,
        assignment.worker_id,
        assignment.slot,
        assignment.kind,
        assignment.state,
        assignment.score,
        *(clock.to_ms(at) for at in (assignment.offered_at, assignment.expires_at, assignment.due_at)),
    )
