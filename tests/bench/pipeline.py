"""`pipeline`: processor time of everything that one answer sets off (the stages with their evidence, the decision, what is
learnt, the payout and the jobs that follow, both transactions), with 100,000 answers of history in the database, on SQLite
and on PostgreSQL. Beside it, in turn, bare `json`, `jsonschema` and the same rows inserted bare."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import jsonschema
from sqlalchemy.engine import make_url

from core.billing import actions as billing
from core.db.engine import Database
from core.db.metadata import metadata
from core.db.migrate import upgrade
from core.db.unit_of_work import Transaction, UnitOfWork
from core.outbox import rows
from core.tasks.model import Environment
from hub.frozen import freeze
from tests.bench import servers
from tests.bench.harness import median, percentile, say
from tests.factories_routing import (
    FEE_MSAT,
    PAYOUT_MSAT,
    SCHEMA,
    Hub,
    a_task,
    a_type,
    a_worker,
    an_organisation,
)

HISTORY, AUDITS, ANSWERS, WARM, WORKERS = 100_000, 2_000, 300, 20, 10
AIM_MS = 20
LIVE = str(Environment.LIVE)
WORDS = [
    "parcel",
    "late",
    "damaged",
    "refund",
    "rule",
    "shop",
    "customer",
    "insurance",
    "letter",
    "invoice",
    "paid",
    "double",
    "address",
    "moved",
    "item",
]
# Where the rows of one answer are, and how the rows of one task are found in each.
_TASK = "task_id = '{task}'"
_RUNS = "SELECT id FROM verification_runs WHERE task_id = '{task}'"
HISTORIC = {
    "tasks": "id = '{task}'",
    "assignments": _TASK,
    "submissions": _TASK,
    "verification_runs": _TASK,
    "verdicts": f"run_id IN ({_RUNS})",
    "verification_decisions": _TASK,
    "task_events": _TASK,
}
WRITTEN = {
    "verification_runs": _TASK,
    "verdicts": f"run_id IN ({_RUNS})",
    "verification_decisions": _TASK,
    "task_events": "task_id = '{task}' AND type = 'task.verified'",
    "payouts": _TASK,
    "ledger_transfers": "subject IN (SELECT id FROM payouts WHERE task_id = '{task}') OR (subject = '{task}' AND kind <> 'reserve')",
    "outbox": "subject IN (SELECT id FROM payouts WHERE task_id = '{task}') OR (subject = '{task}' AND topic <> 'task.posted')",
}
_Rows = dict[str, list[tuple[Any, ...]]]
_Insert = Callable[[_Rows], Awaitable[None]]


def run() -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    with servers.folder() as where:
        found["sqlite"] = asyncio.run(_run(f"sqlite:///{where}/hub.db"))
        with servers.postgres(where) as url:
            found["postgresql"] = asyncio.run(_run(url))
    worst = max(found.values(), key=lambda one: one["p99_ms"])
    return {
        "name": "pipeline",
        "value": worst["p99_ms"],
        "unit": "ms of processor time for one answer, p99, the slower database",
        "reference": worst["bare_p99_ms"],
        "ratio": worst["p50_ms"] / worst["bare_p50_ms"],
        "aim": f"< {AIM_MS} ms",
        "within_aim": worst["p99_ms"] < AIM_MS,
        "history": HISTORY,
        "databases": found,
        "method": f"{ANSWERS} live answers one after the other through verification.advance (schema, rules, anomaly, the decision, "
        f"payout), process time of the process that verifies, with SQLite's own; after each the reference: json.loads, jsonschema and "
        "the rows that the answer left, inserted into tables of the same columns without indexes in one transaction on the bare driver; "
        f"the ratio is that of the medians; {AUDITS} audits of the type",
    }


async def _run(url: str) -> dict[str, Any]:
    database = Database(url)
    await upgrade(database)
    work = UnitOfWork(database)
    hub = Hub(work, a_type(stages=["schema", "rules", "anomaly"]))
    async with work.begin("bench.seed") as tx:
        owner = await an_organisation(tx)
        await billing.credit(tx, owner, LIVE, (ANSWERS + WARM + 2) * (PAYOUT_MSAT + FEE_MSAT), "all", "bench")
        for _ in range(WORKERS):
            await a_worker(tx, capacity=5, environment=Environment.LIVE)
        first = await a_task(tx, owner, environment=LIVE)
    await hub.drain()
    await hub.answer(first, _answer(-1))
    await hub.drain()
    async with work.begin("bench.history") as tx:
        await _history(tx, first)
    say(f"{database.dialect}: {HISTORY} answers of history")
    freeze()  # as each process of the hub does when it is ready
    took, bare = await _answers(hub, owner, await _bare(database))
    await database.close()
    say(f"p50 {median(took):.1f}, p99 {percentile(took, 99):.1f}, bare p50 {median(bare):.1f} ms")
    return {
        "p50_ms": median(took),
        "p99_ms": percentile(took, 99),
        "worst_ms": max(took),
        "bare_p50_ms": median(bare),
        "bare_p99_ms": percentile(bare, 99),
    }


async def _answers(hub: Hub, owner: str, insert: _Insert) -> tuple[list[float], list[float]]:
    took: list[float] = []
    bare: list[float] = []
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for number in range(WARM + ANSWERS):
        async with hub.work.begin("bench.task") as tx:
            task = await a_task(tx, owner, environment=LIVE)
        await hub.drain()
        output = _answer(number)
        await hub.answer(task, output)
        await _took_a_minute(hub, task)
        spent = await _judged(hub)
        if (await hub.task(task)).status != "verified":
            raise AssertionError(f"answer {number} was not verified: {await hub.task(task)}")
        text, left = json.dumps(output), await _left(hub, task)
        began = time.process_time()
        validator.validate(json.loads(text))
        await insert(left)
        bare.append((time.process_time() - began) * 1000)
        took.append(spent)
        await hub.drain()
    return took[WARM:], bare[WARM:]


def _answer(number: int) -> dict[str, str]:
    """Some twenty words that nobody has said in this order."""
    dice = random.Random(number)
    return {"answer": " ".join(f"{dice.choice(WORDS)}{dice.randrange(1000)}" for _ in range(20))}


async def _took_a_minute(hub: Hub, task_id: str) -> None:
    """Otherwise it would rightly be found too fast."""
    async with hub.work.begin("bench.time") as tx:
        await tx.execute(
            f"UPDATE assignments SET accepted_at = accepted_at - 60000 WHERE task_id = '{task_id}'"
        )


async def _judged(hub: Hub) -> float:
    """Milliseconds for the job of the answer that waits."""
    async with hub.work.begin("bench.due") as tx:
        found = await tx.execute(
            "SELECT id FROM outbox WHERE topic = 'submission.received' AND state = 'pending'"
        )
        job = found.scalar_one()
        lease = await rows.lease(tx, job)
    if lease is None:
        raise AssertionError("the answer's job is gone")
    began = time.process_time()
    await hub.handle(lease)
    return (time.process_time() - began) * 1000


async def _history(tx: Transaction, task_id: str) -> None:
    """Copies of the first task with its assignment, answer, run, verdicts, decision and events, under other ids; audits of
    some of them, one in a hundred wrong."""
    if tx.dialect == "postgresql":
        await tx.execute("SET LOCAL statement_timeout = 0")
        await tx.execute("SET LOCAL transaction_timeout = 0")
    numbers = f"n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {HISTORY})"
    for table, condition in HISTORIC.items():
        renamed = {"id", "task_id", "assignment_id", "submission_id", "run_id", "idempotency_key"}
        columns = [column.name for column in metadata.tables[table].columns]
        values = [f"\"{name}\" || '-' || i" if name in renamed else f'"{name}"' for name in columns]
        names = ", ".join(f'"{name}"' for name in columns)
        await tx.execute(
            f"WITH RECURSIVE {numbers} INSERT INTO {table} ({names}) "
            f"SELECT {', '.join(values)} FROM {table}, n WHERE {condition.format(task=task_id)}"
        )
    await tx.execute(
        "INSERT INTO verification_audits (id, task_type, environment, task_id, confidence, chance, right_answer, created_at) "
        "SELECT id, task_type, environment, id, 0.9, 1.0, CASE WHEN id LIKE '%77' THEN 0 ELSE 1 END, created_at "
        f"FROM tasks WHERE id LIKE '%-%0' AND id <> '{task_id}' ORDER BY id LIMIT {AUDITS}"
    )


async def _left(hub: Hub, task_id: str) -> _Rows:
    """What the judgement of the task's answer has written, as the driver gives it."""
    found: _Rows = {}
    async with hub.work.begin("bench.left") as tx:
        for table, condition in WRITTEN.items():
            result = await tx.execute(f"SELECT * FROM {table} WHERE {condition.format(task=task_id)}")
            found[table] = [tuple(row) for row in result]
    if empty := [table for table, left in found.items() if not left]:
        raise AssertionError(f"nothing was written to {empty}")
    return found


async def _bare(database: Database) -> _Insert:
    """Inserts such rows on the bare driver, one transaction each time."""
    names = list(WRITTEN)
    sizes = {table: len(metadata.tables[table].columns) for table in names}
    if database.dialect == "sqlite":
        path = str(database.engine.url.database)
        return _sqlite(path, sizes)
    parsed = make_url(database.engine.url.render_as_string(hide_password=False))
    connection: Any = await asyncpg.connect(
        parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    )
    for table in names:
        await connection.execute(f"CREATE TABLE bare_{table} (LIKE {table})")

    async def insert(left: _Rows) -> None:
        async with connection.transaction():
            for table, found in left.items():
                marks = ", ".join(f"${n + 1}" for n in range(sizes[table]))
                await connection.executemany(f"INSERT INTO bare_{table} VALUES ({marks})", found)

    return insert


def _sqlite(path: str, sizes: dict[str, int]) -> _Insert:
    connection = sqlite3.connect(Path(path), isolation_level=None)
    for table in sizes:
        connection.execute(f"CREATE TABLE bare_{table} AS SELECT * FROM {table} WHERE 0")

    async def insert(left: _Rows) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for table, found in left.items():
            marks = ", ".join("?" * sizes[table])
            connection.executemany(f"INSERT INTO bare_{table} VALUES ({marks})", found)
        connection.execute("COMMIT")

    return insert
