"""Loads what the stage looks at and remembers what it saw, in the transaction of the judgement. Called by
`core/verification/actions.py` around the stages, and by the routes that take an answer in."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.routing.tables import Assignment, Submission
from core.tasks.model import Environment
from core.tasks.tables import Task
from core.verification.anomaly import detect
from core.verification.anomaly.marks import doubtful
from core.verification.anomaly.model import (
    SHARDS,
    Behaviour,
    Device,
    Given,
    Memory,
    Pool,
)
from core.verification.anomaly.tables import AnswerSignal

OTHERS = 9  # answers to the same task that are compared

_OPEN = """
    INSERT INTO anomaly_memories (task_type, environment, owner, memory, updated_at) VALUES ($1, $2, $3, '{}', $4::bigint)
    ON CONFLICT DO NOTHING"""
_OWN = "SELECT memory FROM anomaly_memories WHERE task_type = $1 AND environment = $2 AND owner = $3"
_SHARDS = """
    SELECT owner, memory FROM anomaly_memories
    WHERE task_type = $1 AND environment = $2 AND owner >= 'pool:' AND owner < 'pool;'"""
_KEEP = """
    UPDATE anomaly_memories SET memory = $1, updated_at = $2::bigint
    WHERE task_type = $3 AND environment = $4 AND owner = $5"""


async def behaviour(
    tx: Transaction, task: Task, submission: Submission, assignment: Assignment, *, timed: bool = False
) -> Behaviour:
    """What is known around one answer. The worker's memory stays locked until the commit. `timed`: the seconds are a
    person's, in the test environment too."""
    key = (task.task_type, task.environment)
    others = await tx.session.execute(
        select(Submission.worker_id, Submission.output)
        .where(Submission.task_id == task.id, Submission.id != submission.id)
        .order_by(Submission.id)
        .limit(OTHERS)
    )
    began = assignment.accepted_at
    seconds = (submission.created_at - began).total_seconds() if began else None
    return Behaviour(
        given=Given(
            worker=submission.worker_id,
            answer=submission.output,
            seconds=seconds,
            device=await device_of(tx.session, assignment.id),
        ),
        memory=await _locked(tx, key, submission.worker_id, Memory),
        pool=detect.merged(await _shards(tx, key)),
        others=[Given(worker=worker, answer=answer) for worker, answer in others.all()],
        live=task.environment == Environment.LIVE,
        timed=timed or task.environment == Environment.LIVE,
        marked=await doubtful(tx.session, submission.worker_id),
    )


async def remember(tx: Transaction, task: Task, seen: Behaviour) -> None:
    """The answer becomes part of what is remembered. A gold answer teaches the pool as well: it looks like any other."""
    key, worker = (task.task_type, task.environment), seen.given.worker
    odd = detect.found(task.payload, seen)
    await _keep(tx, key, worker, detect.remembered(seen.memory, seen, odd))
    owner = f"pool:{int(hashlib.sha256(worker.encode()).hexdigest(), 16) % SHARDS}"
    shard = await _locked(tx, key, owner, Pool)
    await _keep(tx, key, owner, detect.pooled(shard, seen))


async def notice(tx: Transaction, assignment_id: str, worker_id: str, noticed: Device) -> None:
    """What the form noticed, with the answer; the first word stays."""
    if await tx.session.get(AnswerSignal, assignment_id) is None:
        tx.session.add(
            AnswerSignal(
                assignment_id=assignment_id,
                worker_id=worker_id,
                device=noticed.id,
                noticed=msgspec.to_builtins(noticed),
                created_at=clock.from_ms(await tx.now_ms()),
            )
        )


async def device_of(session: AsyncSession, assignment_id: str) -> Device | None:
    row = await session.get(AnswerSignal, assignment_id)
    return None if row is None else msgspec.convert(row.noticed, Device)


async def _locked(tx: Transaction, key: tuple[str, str], owner: str, kind: type[Any]) -> Any:
    sql = _OWN + (" FOR UPDATE" if tx.dialect == "postgresql" else "")
    found = (await tx.execute(for_dialect(sql, tx.dialect), (*key, owner))).scalar()
    if found is None:
        await tx.execute(for_dialect(_OPEN, tx.dialect), (*key, owner, await tx.now_ms()))
        found = (await tx.execute(for_dialect(sql, tx.dialect), (*key, owner))).scalar_one()
    return msgspec.json.decode(found, type=kind)


async def _shards(tx: Transaction, key: tuple[str, str]) -> dict[str, Pool]:
    rows = await tx.execute(for_dialect(_SHARDS, tx.dialect), key)
    return {owner: msgspec.json.decode(memory, type=Pool) for owner, memory in rows}


async def _keep(tx: Transaction, key: tuple[str, str], owner: str, value: Memory | Pool) -> None:
    text = msgspec.json.encode(value).decode()
    await tx.execute(for_dialect(_KEEP, tx.dialect), (text, await tx.now_ms(), *key, owner))
