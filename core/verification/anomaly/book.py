"""Loads what the stage looks at and remembers what it saw, in the transaction of the judgement. Called by
`core/verification/actions.py` around the stages, and by the routes that take an answer in."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.db.hot import for_dialect
from core.db.together import Part
from core.db.unit_of_work import Transaction
from core.routing.tables import Assignment, Submission
from core.tasks.model import Environment
from core.tasks.tables import Task
from core.verification.anomaly import detect
from core.verification.anomaly.marks import MILD
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
# The two memories that an answer changes, held, and all else that is known around it: what it is, two words of it, an order.
_HELD = """
    SELECT owner, memory FROM anomaly_memories
    WHERE task_type = $1 AND environment = $2 AND owner IN ($7, $8) ORDER BY owner"""
_AROUND = f"""
    SELECT 'held' AS what, owner, memory, '' FROM held
    UNION ALL SELECT 'pool', owner, memory, '' FROM anomaly_memories
    WHERE task_type = $1 AND environment = $2 AND owner >= 'pool:' AND owner < 'pool;'
    UNION ALL SELECT 'mark', kind, '', '' FROM worker_marks WHERE worker_id = $3 AND closed_at IS NULL
    UNION ALL SELECT 'device', '', noticed, '' FROM answer_signals WHERE assignment_id = $4
    UNION ALL SELECT 'other', worker_id, output, id FROM (
        SELECT worker_id, output, id FROM submissions WHERE task_id = $5 AND id <> $6 ORDER BY id LIMIT {OTHERS}) o"""  # noqa: S608 - a number of ours
_READ = {
    "postgresql": f"WITH held AS MATERIALIZED ({_HELD} FOR UPDATE) {_AROUND}",
    "sqlite": for_dialect(f"WITH held AS ({_HELD}) {_AROUND}", "sqlite"),
}
_KEEP = {
    "postgresql": """
        UPDATE anomaly_memories m SET memory = x.memory, updated_at = $3::bigint FROM unnest($4::text[], $5::text[]) AS x (owner, memory)
        WHERE m.task_type = $1 AND m.environment = $2 AND m.owner = x.owner""",
    "sqlite": """
        UPDATE anomaly_memories SET memory = ?5, updated_at = ?3 WHERE task_type = ?1 AND environment = ?2 AND owner = ?4""",
}


async def behaviour(
    tx: Transaction, task: Task, submission: Submission, assignment: Assignment, *, timed: bool = False
) -> Behaviour:
    """What is known around one answer. The worker's memory and their part of the pool stay locked until the commit.
    `timed`: the seconds are a person's, in the test environment too."""
    key, worker = (task.task_type, task.environment), submission.worker_id
    shard = _shard(worker)
    asked = (*key, worker, assignment.id, task.id, submission.id, *sorted((worker, shard)))
    around = await _around(tx, asked)
    if len(around["held"]) < 2:
        now = await tx.now_ms()
        await tx.execute(for_dialect(_OPEN, tx.dialect), [(*key, owner, now) for owner in asked[-2:]])
        around = await _around(tx, asked)
    held = {owner: memory for owner, memory, _ in around["held"]}
    pools = {owner: msgspec.json.decode(memory, type=Pool) for owner, memory, _ in around["pool"]}
    pools[shard] = msgspec.json.decode(held[shard], type=Pool)
    began = assignment.accepted_at
    return Behaviour(
        given=Given(
            worker=worker,
            answer=submission.output,
            seconds=(submission.created_at - began).total_seconds() if began else None,
            device=next((msgspec.json.decode(one[1], type=Device) for one in around["device"]), None),
        ),
        memory=msgspec.json.decode(held[worker], type=Memory),
        pool=detect.merged(pools),
        shard=pools[shard],
        others=[
            Given(worker=other, answer=None if output is None else msgspec.json.decode(output))
            for other, output, _ in sorted(around["other"], key=lambda one: one[2])
        ],
        live=task.environment == Environment.LIVE,
        timed=timed or task.environment == Environment.LIVE,
        marked=sorted({kind for kind, *_ in around["mark"]} - MILD),
    )


def remembered(task: Task, seen: Behaviour, now_ms: int, dialect: str) -> Part:
    """The write by which the answer becomes part of what is remembered. A gold answer teaches the pool as well: it looks like
    any other."""
    memory = detect.remembered(seen.memory, seen, detect.found(task.payload, seen))
    kept = {
        owner: msgspec.json.encode(value).decode()
        for owner, value in (
            (seen.given.worker, memory),
            (_shard(seen.given.worker), detect.pooled(seen.shard, seen)),
        )
    }
    where = (task.task_type, task.environment, now_ms)
    if dialect == "sqlite":
        return _KEEP[dialect], [(*where, *one) for one in kept.items()]
    return _KEEP[dialect], (*where, list(kept), list(kept.values()))


def _shard(worker: str) -> str:
    return f"pool:{int(hashlib.sha256(worker.encode()).hexdigest(), 16) % SHARDS}"


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


async def _around(tx: Transaction, asked: tuple[Any, ...]) -> dict[str, list[Any]]:
    """The two memories are locked in one order for all."""
    found: dict[str, list[Any]] = {"held": [], "pool": [], "mark": [], "device": [], "other": []}
    for what, *words in await tx.execute(_READ[tx.dialect], asked):
        found[what].append(words)
    return found
