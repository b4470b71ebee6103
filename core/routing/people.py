"""Reads workers for routing as they are in the database now: a scan of who could take a task, and those whom a directory
has named. As text for the driver, in both dialects. Used by `candidates.py`, `shortlist.py` and `at_once.py`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.hot import for_dialect
from core.routing.model import Candidate, Question

_SKILLS_OF = {
    "postgresql": "(SELECT json_agg(s.skill)::text FROM worker_skills s WHERE s.worker_id = w.id)",
    "sqlite": "(SELECT json_group_array(s.skill) FROM worker_skills s WHERE s.worker_id = w.id)",
}
_AMONG = {"postgresql": "= ANY({}::text[])", "sqlite": "IN (SELECT value FROM json_each({}))"}


def _columns(dialect: str) -> str:
    """$1 is the organisation whose word is wanted."""
    return f"""
        w.id, w.environment, w.available AND p.blocked_at IS NULL, w.tier, w.reliability, w.price_floor_msat, w.capacity,
        w.load, w.payout_address, w.idle_since, {_SKILLS_OF[dialect]}, w.languages, w.expert, w.cluster_id,
        w.cool_off_until, (SELECT o.kind FROM organisation_workers o WHERE o.organisation_id = $1 AND o.worker_id = w.id),
        w.usual_seconds, w.offers_taken, w.offers_missed, w.answers"""  # noqa: S608 - text of ours


_WORD = (
    "SELECT 1 FROM organisation_workers o WHERE o.organisation_id = $1 AND o.worker_id = w.id AND o.kind ="
)
# The rules of `eligible.py` that do not pass by themselves. $1 organisation, $2 environment, $3 tier, $4 payout, $5 the
# task, $6 language, $7 tier of experts, $8 whether only the organisation's own people are asked.
_LASTING = f"""
    w.environment = $2 AND p.blocked_at IS NULL AND w.tier >= $3::int AND w.price_floor_msat <= $4::bigint
    AND ($6::text IS NULL OR w.languages LIKE '%"' || $6::text || '"%')
    AND ($7::int IS NULL OR w.expert OR w.tier >= $7::int)
    AND NOT EXISTS ({_WORD} 'block') AND (NOT $8::boolean OR EXISTS ({_WORD} 'allow'))"""


def _skilled(dialect: str, skills: int) -> str:
    """Who has all of the skills: the parameters `skills` and, how many they are, `skills` + 1."""
    return f"""
        AND w.id IN (SELECT worker_id FROM worker_skills WHERE skill {_AMONG[dialect].format(f"${skills}")}
                     GROUP BY worker_id HAVING count(*) = ${skills + 1}::bigint)"""  # noqa: S608 - text of ours


def _asked(question: Question) -> tuple[Any, ...]:
    """$1 to $8 of `_LASTING`."""
    return (
        question.organisation_id,
        question.environment,
        question.minimum_tier,
        question.payout_msat,
        question.task_id,
        question.language,
        question.experts_from,
        question.allow_listed,
    )


def _wanted(question: Question, dialect: str) -> tuple[Any, ...]:
    return (names(sorted(question.skills), dialect), len(question.skills)) if question.skills else ()


@functools.cache
def _free(dialect: str, skilled: bool) -> str:
    """Who has a hand free and may take the task as far as a few comparisons tell, the most reliable first. `_LASTING`, $9
    now, $10 how many, then the skills."""
    sql = f"""
        SELECT {_columns(dialect)}
        FROM workers w JOIN people p ON p.id = w.id
        WHERE {_LASTING} AND w.available AND w.load < w.capacity
          AND NOT EXISTS (SELECT 1 FROM assignments a WHERE a.task_id = $5 AND a.worker_id = w.id)
          AND (w.cool_off_until IS NULL OR w.cool_off_until <= $9::bigint)
          {_skilled(dialect, 11) if skilled else ""}
        ORDER BY w.reliability DESC, w.id LIMIT $10::bigint"""  # noqa: S608 - text of ours
    return for_dialect(sql, dialect)


def free_of(question: Question, now_ms: int, limit: int, dialect: str) -> tuple[str, tuple[Any, ...]]:
    """The text and its parameters; rows for `candidate_of`."""
    parameters = (*_asked(question), now_ms, limit, *_wanted(question, dialect))
    return _free(dialect, bool(question.skills)), parameters


async def free_workers(session: AsyncSession, question: Question, now_ms: int, limit: int) -> list[Candidate]:
    """Who can take something now and may take the task, but for the finer rules; the most reliable."""
    connection = await session.connection()
    sql, parameters = free_of(question, now_ms, limit, connection.dialect.name)
    return [candidate_of(row, now_ms) for row in await connection.exec_driver_sql(sql, parameters)]


@functools.cache
def _anybody(dialect: str, skilled: bool) -> str:
    """Whether somebody may take the task at all, now or as soon as they are back and have a hand free. `_LASTING`, then the
    skills."""
    sql = f"""
        SELECT w.id FROM workers w JOIN people p ON p.id = w.id
        WHERE {_LASTING}
          AND NOT EXISTS (
              SELECT 1 FROM assignments a JOIN workers h ON h.id = a.worker_id
              WHERE a.task_id = $5
                AND (h.id = w.id OR h.cluster_id = w.cluster_id OR h.payout_address = w.payout_address))
          AND NOT EXISTS (SELECT 1 FROM suspensions x WHERE x.worker_id = w.id AND x.state = 'in_force')
          {_skilled(dialect, 9) if skilled else ""}
        LIMIT 1"""  # noqa: S608 - text of ours
    return for_dialect(sql, dialect)


async def anybody(session: AsyncSession, question: Question) -> bool:
    """False when all who may take the task have had it: to wait for somebody is to wait for a person to join."""
    connection = await session.connection()
    dialect = connection.dialect.name
    sql = _anybody(dialect, bool(question.skills))
    parameters = (*_asked(question), *_wanted(question, dialect))
    return (await connection.exec_driver_sql(sql, parameters)).first() is not None


@functools.cache
def _named(dialect: str) -> str:
    sql = f"""SELECT {_columns(dialect)} FROM workers w JOIN people p ON p.id = w.id
        WHERE w.id {_AMONG[dialect].format("$2")}"""  # noqa: S608 - text of ours
    return for_dialect(sql, dialect)


async def named_workers(
    session: AsyncSession, question: Question, worker_ids: list[str], now_ms: int
) -> list[Candidate]:
    """These workers, whether they may take the task or not."""
    connection = await session.connection()
    dialect = connection.dialect.name
    parameters = (question.organisation_id, names(worker_ids, dialect))
    return [
        candidate_of(row, now_ms) for row in await connection.exec_driver_sql(_named(dialect), parameters)
    ]


@functools.cache
def _everybody(dialect: str) -> str:
    sql = f"""SELECT {_columns(dialect)} FROM workers w JOIN people p ON p.id = w.id
        ORDER BY w.reliability DESC, w.id LIMIT $2::bigint"""  # noqa: S608 - text of ours
    return for_dialect(sql, dialect)


async def everybody(session: AsyncSession, question: Question, now_ms: int, limit: int) -> list[Candidate]:
    """All workers, for telling why nobody may take the task where there is no directory."""
    connection = await session.connection()
    parameters = (question.organisation_id, limit)
    rows = await connection.exec_driver_sql(_everybody(connection.dialect.name), parameters)
    return [candidate_of(row, now_ms) for row in rows]


def candidate_of(row: Sequence[Any], now_ms: int) -> Candidate:
    (
        name, environment, available, tier, reliability, floor, capacity, load, address, idle_since, skills, languages,
        expert, cluster, cool_off, word, usual, taken, missed, answers,
    ) = row  # fmt: skip
    return Candidate(
        worker_id=name,
        environment=environment,
        available=bool(available),
        skills=_set(skills),
        tier=tier,
        reliability=reliability,
        price_floor_msat=floor,
        capacity=capacity,
        load=load,
        payout_address=address,
        idle_seconds=(now_ms - idle_since) / 1000,
        languages=_set(languages),
        expert=bool(expert),
        cluster_id=cluster,
        cooling=cool_off is not None and cool_off > now_ms,
        word=word,
        usual_seconds=usual,
        offers_taken=taken,
        offers_missed=missed,
        answers=answers,
    )


def _set(listed: str | None) -> frozenset[str]:
    return frozenset(msgspec.json.decode(listed, type=list[str])) if listed else frozenset()


def names(values: list[str], dialect: str) -> Any:
    """A list as one parameter of a statement."""
    return values if dialect == "postgresql" else msgspec.json.encode(values).decode()
