"""Counts what `backups.py` decides on. A skill's row is locked while it is looked at, so that two who want the last backup of
a skill do not both get it; its figures are counted anew when they are older than `COUNTED_FOR_MS`. Called by `sla.py`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.routing.backups import Backups, Budget
from core.tasks.types import TaskTypes

COUNTED_FOR_MS = 10_000
MOST_WORKERS = 1_000  # of a skill's people so many are looked at, the oldest accounts first
MOST_WAITING = 100
ANY_SKILL = ""  # the bucket of tasks that ask for none

_OPEN = """
    INSERT INTO backup_budgets (environment, skill, counted_at, assigned, backups, load, capacity)
    VALUES ($1, $2, 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING"""
_LOCK = {
    "postgresql": """
        SELECT counted_at, assigned, backups, load, capacity FROM backup_budgets WHERE environment = $1 AND skill = $2
        FOR UPDATE""",
    "sqlite": """
        SELECT counted_at, assigned, backups, load, capacity FROM backup_budgets WHERE environment = ?1 AND skill = ?2""",
}
_KEEP = """
    UPDATE backup_budgets SET counted_at = $3::bigint, assigned = $4::int, backups = $5::int, load = $6::bigint,
           capacity = $7::bigint WHERE environment = $1 AND skill = $2"""
_SPEND = "UPDATE backup_budgets SET assigned = assigned + 1, backups = backups + 1 WHERE environment = $1 AND skill = $2"
# Ids of assignments sort by time, so the window is the end of the primary key.
_OF_SKILL = {
    "postgresql": "(t.task_type = ANY($3::text[]) OR position($4 IN t.skills) > 0)",
    "sqlite": "(t.task_type IN (SELECT value FROM json_each(?3)) OR instr(t.skills, ?4) > 0)",
}
_COUNT = """
    SELECT count(*), coalesce(sum(CASE WHEN a.kind = 'backup' THEN 1 ELSE 0 END), 0)
    FROM assignments a JOIN tasks t ON t.id = a.task_id WHERE a.id >= $1 AND t.environment = $2 AND {of_skill}"""
_BUSY = """
    SELECT coalesce(sum(load), 0), coalesce(sum(capacity), 0) FROM (
        SELECT w.load, w.capacity FROM workers w{skilled} WHERE w.environment = $1 AND w.available LIMIT $2::bigint) few"""
_SKILLED = " JOIN worker_skills s ON s.worker_id = w.id AND s.skill = $3"
_WAITING = """
    SELECT count(*) FROM (SELECT 1 FROM tasks t WHERE t.environment = $2 AND t.status = 'posted' AND t.funded
        AND {of_skill} LIMIT $1::bigint) few"""


async def budgets(
    tx: Transaction, environment: str, skills: Iterable[str], types: TaskTypes, rules: Backups
) -> list[Budget]:
    """One for each skill, in their order, each row held until the end of the transaction."""
    return [await _budget(tx, environment, skill, types, rules) for skill in _buckets(skills)]


async def spend(tx: Transaction, environment: str, skills: Iterable[str]) -> None:
    """A backup was given. The caller holds the rows (`budgets`)."""
    for skill in _buckets(skills):
        await tx.execute(for_dialect(_SPEND, tx.dialect), (environment, skill))


async def waiting(tx: Transaction, environment: str, skills: Iterable[str], types: TaskTypes) -> int:
    """How many tasks that ask for one of these skills nobody has; at most `MOST_WAITING` a skill."""
    found = 0
    for skill in _buckets(skills):
        sql = for_dialect(_WAITING.replace("{of_skill}", _OF_SKILL[tx.dialect]), tx.dialect)
        parameters = (MOST_WAITING, environment, *_of(skill, types, tx.dialect))
        found = max(found, int((await tx.execute(sql, parameters)).scalar_one()))
    return found


async def _budget(tx: Transaction, environment: str, skill: str, types: TaskTypes, rules: Backups) -> Budget:
    now = await tx.now_ms()
    await tx.execute(for_dialect(_OPEN, tx.dialect), (environment, skill))
    row: Any = (await tx.execute(_LOCK[tx.dialect], (environment, skill))).one()
    counted_at, *figures = row
    if not 0 <= now - counted_at < COUNTED_FOR_MS:  # a clock that was set back counts anew too
        figures = await _counted(tx, environment, skill, types, now - rules.window_seconds * 1000)
        await tx.execute(for_dialect(_KEEP, tx.dialect), (environment, skill, now, *figures))
    assigned, backups, load, capacity = figures
    return Budget(assigned=assigned, backups=backups, load=load, capacity=capacity)


async def _counted(
    tx: Transaction, environment: str, skill: str, types: TaskTypes, since_ms: int
) -> list[int]:
    sql = for_dialect(_COUNT.replace("{of_skill}", _OF_SKILL[tx.dialect]), tx.dialect)
    oldest = f"asg_{max(0, since_ms):012x}"
    turns: Any = (await tx.execute(sql, (oldest, environment, *_of(skill, types, tx.dialect)))).one()
    skilled = skill != ANY_SKILL
    busy = for_dialect(_BUSY.replace("{skilled}", _SKILLED if skilled else ""), tx.dialect)
    people: Any = (await tx.execute(busy, (environment, MOST_WORKERS, *([skill] if skilled else [])))).one()
    return [int(value) for value in (*turns, *people)]


def _of(skill: str, types: TaskTypes, dialect: str) -> tuple[Any, str]:
    """The task types that ask for the skill, and the skill as it stands in a task's own list. Without a skill: the types
    that ask for none, and the empty list."""
    if skill == ANY_SKILL:
        names, own = [kind.name for kind in types if not kind.skills], "[]"
    else:
        names, own = (
            [kind.name for kind in types if skill in kind.skills],
            msgspec.json.encode(skill).decode(),
        )
    return (names if dialect == "postgresql" else msgspec.json.encode(names).decode()), own


def _buckets(skills: Iterable[str]) -> list[str]:
    return sorted(set(skills)) or [ANY_SKILL]
