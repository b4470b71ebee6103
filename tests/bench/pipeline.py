"""`pipeline`: processor time of everything that one answer sets off (the stages with their evidence, the decision, what is
learnt, payout and receipts' jobs, both transactions), on SQLite with 100,000 answers of history. Beside it the bare `json` and
`jsonschema` on the same answer."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import jsonschema

from core import clock
from core.db.engine import Database
from core.db.metadata import metadata
from core.db.migrate import upgrade
from core.db.unit_of_work import Transaction, UnitOfWork
from core.outbox import rows
from tests.bench.harness import median, percentile, say
from tests.factories_routing import SCHEMA, Hub, a_task, a_type, a_worker, an_organisation

HISTORY, ANSWERS, WORKERS = 2_000, 40, 10
AIM_MS = 20
OUTPUT = {
    "answer": "The parcel arrived late and damaged, so that the refund is due by the second rule of the shop."
}


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        took = asyncio.run(_run(Path(folder)))
    bare = _bare()
    return {
        "name": "pipeline",
        "value": percentile(took, 99),
        "unit": "ms of processor time for one answer, p99",
        "reference": median(bare),
        "ratio": percentile(took, 99) / median(bare),
        "aim": f"< {AIM_MS} ms",
        "within_aim": percentile(took, 99) < AIM_MS,
        "p50_ms": median(took),
        "worst_ms": max(took),
        "history": HISTORY,
        "method": f"{ANSWERS} answers one after the other through verification.advance (schema, rules, anomaly, consensus; "
        "process time with SQLite's own); the reference is the median of json.loads and jsonschema on the same answer",
    }


async def _run(folder: Path) -> list[float]:
    database = Database(f"sqlite:///{folder}/hub.db")
    await upgrade(database)
    work = UnitOfWork(database)
    hub = Hub(work, a_type(stages=["schema", "rules", "anomaly"]))
    async with work.begin("bench.seed") as tx:
        owner = await an_organisation(tx)
        for _ in range(WORKERS):
            await a_worker(tx, capacity=5)
        first = await a_task(tx, owner)
    await hub.drain()
    await hub.answer(first, OUTPUT)
    await hub.drain()
    async with work.begin("bench.history") as tx:
        await _history(tx, first)
    say(f"{HISTORY} answers of history")
    took: list[float] = []
    for number in range(ANSWERS):
        async with work.begin("bench.task") as tx:
            task = await a_task(tx, owner)
        await hub.drain()
        await hub.answer(task, {"answer": f"{OUTPUT['answer']} Case {number} of {clock.now_ms()}."})
        took.append(await _judged(hub))
        await hub.drain()
        if (await hub.task(task)).status != "verified":
            raise AssertionError(f"answer {number} was not verified")
    await database.close()
    return took


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
    """Copies of the first task with its assignment, answer, run and verdicts, under other ids."""
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {HISTORY}) "
    for table, condition in (
        ("tasks", f"id = '{task_id}'"),
        ("assignments", f"task_id = '{task_id}'"),
        ("submissions", f"task_id = '{task_id}'"),
        ("verification_runs", f"task_id = '{task_id}'"),
        ("verdicts", f"run_id IN (SELECT id FROM verification_runs WHERE task_id = '{task_id}')"),
    ):
        renamed = {"id", "task_id", "assignment_id", "submission_id", "run_id", "idempotency_key"}
        columns = [column.name for column in metadata.tables[table].columns]
        values = [f"\"{name}\" || '-' || i" if name in renamed else f'"{name}"' for name in columns]
        names = ", ".join(f'"{name}"' for name in columns)
        await tx.execute(
            f"{numbers.replace('WITH', f'INSERT INTO {table} ({names}) WITH')}"
            f"SELECT {', '.join(values)} FROM {table}, n WHERE {condition}"
        )


def _bare() -> list[float]:
    text, validator = json.dumps(OUTPUT), jsonschema.Draft202012Validator(SCHEMA)
    found: list[float] = []
    for _ in range(ANSWERS):
        began = time.process_time()
        validator.validate(json.loads(text))
        found.append((time.process_time() - began) * 1000)
    return found
