"""The statements of an offer as text for the driver, in both dialects: they run for every task, while a person waits for
it. Used by `candidates.py` and `assignments.py`, which decide on what comes back."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.routing.model import Question
from core.routing.tables import Assignment
from core.tasks.tables import Task

TASK = [column.name for column in Task.__table__.columns]
_HELD_TASK = {
    dialect: for_dialect(
        f"SELECT {', '.join(TASK)} FROM tasks WHERE id = $1"  # noqa: S608 - names are ours
        + (" FOR NO KEY UPDATE" if dialect == "postgresql" else ""),
        dialect,
    )
    for dialect in ("postgresql", "sqlite")
}
_PROPERTIES = [Task.__mapper__.get_property_by_column(column).key for column in Task.__table__.columns]
_READERS = [
    getattr(column.type, "process_result_value", None) or (bool if column.name == "funded" else None)
    for column in Task.__table__.columns
]


async def held_task(tx: Transaction, task_id: str) -> Task | None:
    """The task as it is now, held until the end of the transaction; a copy that the session does not watch."""
    row = (await tx.execute(_HELD_TASK[tx.dialect], (task_id,))).first()
    return None if row is None else task_of(row)


def task_of(row: Iterable[Any]) -> Task:
    """From the columns `TASK`, not watched by any session."""
    values = zip(_PROPERTIES, _READERS, row, strict=True)
    return Task(**{name: value if read is None else _read(read, value) for name, read, value in values})


def _read(read: Any, value: Any) -> Any:
    return read(value) if read is bool else read(value, None)


# Who had each of these tasks: task, worker, where they are paid, slot, state.
TURNS = {
    "postgresql": """
        SELECT a.task_id, a.worker_id, w.payout_address, a.slot, a.state
        FROM assignments a JOIN workers w ON w.id = a.worker_id WHERE a.task_id = ANY($1::text[])""",
    "sqlite": """
        SELECT a.task_id, a.worker_id, w.payout_address, a.slot, a.state FROM assignments a
        JOIN workers w ON w.id = a.worker_id WHERE a.task_id IN (SELECT value FROM json_each(?1))""",
}


async def turns(session: AsyncSession, task_ids: list[str]) -> Sequence[Any]:
    connection = await session.connection()
    dialect = connection.dialect.name
    return (await connection.exec_driver_sql(TURNS[dialect], (_list(task_ids, dialect),))).all()


_SKILLS_OF = {
    "postgresql": "(SELECT json_agg(s.skill)::text FROM worker_skills s WHERE s.worker_id = w.id)",
    "sqlite": "(SELECT json_group_array(s.skill) FROM worker_skills s WHERE s.worker_id = w.id)",
}
_AMONG = {"postgresql": "= ANY($5::text[])", "sqlite": "IN (SELECT value FROM json_each(?5))"}


@functools.cache
def _free(dialect: str, skilled: bool) -> str:
    """Who has a hand free, the most reliable first. $1 environment, $2 tier, $3 payout, $4 a task whose people are left
    out, $5 and $6 the skills and how many they are, $7 how many workers."""
    sql = f"""
        SELECT w.id, w.environment, w.available, w.tier, w.reliability, w.price_floor_msat, w.capacity, w.load,
               w.payout_address, w.idle_since, {_SKILLS_OF[dialect]}
        FROM workers w JOIN people p ON p.id = w.id
        WHERE w.environment = $1 AND w.available AND w.load < w.capacity AND p.blocked_at IS NULL
          AND w.tier >= $2 AND w.price_floor_msat <= $3
          AND NOT EXISTS (SELECT 1 FROM assignments a WHERE a.task_id = $4 AND a.worker_id = w.id)"""  # noqa: S608 - text of ours
    if skilled:
        sql += f"""
          AND w.id IN (SELECT worker_id FROM worker_skills WHERE skill {_AMONG[dialect]}
                       GROUP BY worker_id HAVING count(*) = $6::bigint)"""  # noqa: S608 - text of ours
    limit = "$7" if skilled else "$5"
    return for_dialect(f"{sql} ORDER BY w.reliability DESC, w.id LIMIT {limit}::bigint", dialect)


def free_of(question: Question, limit: int, dialect: str) -> tuple[str, tuple[Any, ...]]:
    """The text and its parameters. Rows of id, environment, available, tier, reliability, price floor, capacity, load,
    payout address, idle since (ms), skills as JSON (None without any)."""
    wanted: tuple[Any, ...] = ()
    if question.skills:
        wanted = (_list(sorted(question.skills), dialect), len(question.skills))
    first = (question.environment, question.minimum_tier, question.payout_msat, question.task_id)
    return _free(dialect, bool(question.skills)), (*first, *wanted, limit)


async def free_workers(session: AsyncSession, question: Question, limit: int) -> Sequence[Any]:
    connection = await session.connection()
    return (await connection.exec_driver_sql(*free_of(question, limit, connection.dialect.name))).all()


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


async def claim(tx: Transaction, assignment: Assignment) -> bool:
    """See `core/routing/assignments.py`."""
    row = assignment_row(assignment)
    if tx.dialect == "sqlite":  # the one writer; nobody comes between the two
        if (await tx.execute(_GIVE, row)).rowcount != 1:
            return False
        await tx.execute(_COUNT, (assignment.worker_id,))
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


def _list(values: list[str], dialect: str) -> Any:
    return values if dialect == "postgresql" else msgspec.json.encode(values).decode()
