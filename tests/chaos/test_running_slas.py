"""A thousand running SLAs: the worker process is killed in the middle of them, twice, and the clock set forward and back while
nobody works. Each task is taken back at most once; each hard stop ends its task, tells it and gives its money back, once."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from core import clock, ids
from core.billing.reserve import reserve
from core.db.unit_of_work import UnitOfWork
from core.ledger.post import post
from core.ledger.tables import LedgerAccount
from core.outbox.tables import OutboxRow
from core.routing.offering import timer_jobs
from core.routing.tables import Assignment
from core.tasks.tables import Task, TaskEvent
from core.tasks.types import TaskType
from hub.embedded import valkey
from tests.factories_routing import PAYOUT_MSAT, SCHEMA, a_worker, an_organisation
from tests.stack.processes import ROOT, Processes, free_port
from tests.wait import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

TASKS, WORKERS, SLA_MS = 1_000, 10, 60_000
LEFT = 10  # every tenth has its hard stop far away: it must come back to the queue, and stay
KIND = TaskType(name="gone_type", title="Gone")
# All that has an instant, later by so many ms: what a clock that is set back by them looks like to it.
SHIFTS = {
    "postgresql": (
        "UPDATE tasks SET created_at = created_at + {0}, expires_at = expires_at + {0}, hard_stop_at = hard_stop_at + {0}",
        (
            "UPDATE assignments SET offered_at = offered_at + {0}, expires_at = expires_at + {0}, due_at = due_at + {0}, "
            "accepted_at = accepted_at + {0}"
        ),
        "UPDATE outbox SET due_at = due_at + {0}",
        (
            "UPDATE outbox SET body = json_build_object('at_ms', (body::json->>'at_ms')::bigint + {0})::text "
            "WHERE body LIKE '%at_ms%'"
        ),
    ),
    "sqlite": (
        "UPDATE tasks SET created_at = created_at + {0}, expires_at = expires_at + {0}, hard_stop_at = hard_stop_at + {0}",
        (
            "UPDATE assignments SET offered_at = offered_at + {0}, expires_at = expires_at + {0}, due_at = due_at + {0}, "
            "accepted_at = accepted_at + {0}"
        ),
        "UPDATE outbox SET due_at = due_at + {0}",
        "UPDATE outbox SET body = json_object('at_ms', json_extract(body, '$.at_ms') + {0}) WHERE body LIKE '%at_ms%'",
    ),
}


def a_row(organisation: str, number: int, now: int) -> dict[str, Any]:
    """Its deadline lies 4 to 10 seconds ahead, so 80 % of it is over; its hard stop 5 to 15 seconds later."""
    expires = now + 4_000 + 6 * number
    stop = expires + (600_000 if number % LEFT == 0 else 5_000 + 10 * (number * 7 % TASKS))
    return {
        "id": ids.uuid7(),
        "organisation_id": organisation,
        "environment": "test",
        "idempotency_key": f"key{number}",
        "request_digest": "digest",
        "status": "assigned",
        "task_type": KIND.name,
        "risk_tier": "low",
        "sla_seconds": SLA_MS // 1000,
        "payload": {},
        "output_schema": SCHEMA,
        "skills": [],
        "payout_currency": "SATS",
        "payout_amount": Decimal(PAYOUT_MSAT // 1000),
        "funded": True,
        "reserved_msat": 1,
        "fee_msat": 0,
        "payout_msat": 1,
        "created_at": clock.from_ms(expires - SLA_MS),
        "updated_at": clock.from_ms(now),
        "expires_at": clock.from_ms(expires),
        "hard_stop_at": clock.from_ms(stop),
    }


def a_turn(task: dict[str, Any], worker: str, now: int) -> dict[str, Any]:
    return {
        "id": ids.new("asg"),
        "task_id": task["id"],
        "worker_id": worker,
        "slot": 0,
        "kind": "primary",
        "state": "accepted",
        "score": 0.0,
        "offered_at": clock.from_ms(now),
        "expires_at": task["expires_at"],
        "due_at": task["expires_at"],
        "accepted_at": clock.from_ms(now),
    }


async def seed(work: UnitOfWork) -> str:
    """The organisation. The workers are paused, so nobody takes what comes back."""
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        share = TASKS // WORKERS
        workers = [await a_worker(tx, capacity=share, available=False) for _ in range(WORKERS)]
        now = await tx.now_ms()
        tasks = [a_row(organisation, number, now) for number in range(TASKS)]
        await tx.session.execute(insert(Task), tasks)
        turns = [a_turn(task, workers[n % WORKERS], now) for n, task in enumerate(tasks)]
        await tx.session.execute(insert(Assignment), turns)
        await tx.execute("UPDATE workers SET load = capacity")
        await post(tx, [reserve(task["id"], organisation, "test", 1) for task in tasks])
        for row in tasks:
            tx.jobs.extend(timer_jobs(Task(**row, reroutes=0), KIND, now))
    return organisation


async def set_clock(work: UnitOfWork, seconds: int) -> None:
    """Forward by so many seconds, or back."""
    async with work.begin("test.clock") as tx:
        for sql in SHIFTS[tx.dialect]:
            await tx.execute(sql.format(-1000 * seconds))


async def figures(work: UnitOfWork) -> tuple[int, int]:
    """How many turns are over, and how many tasks ended."""
    async with work.read() as session:
        back = await session.scalar(
            select(func.count()).select_from(Assignment).where(Assignment.state == "lapsed")
        )
        ended = await session.scalar(select(func.count()).select_from(Task).where(Task.status == "expired"))
        return back or 0, ended or 0


async def test_kills_and_jumps_of_the_clock_in_the_middle_of_a_thousand_slas(
    work: UnitOfWork, database_url: str, tmp_path: Path
) -> None:
    organisation = await seed(work)
    server = await asyncio.to_thread(valkey.start, tmp_path / "valkey")
    env = {
        "HUB_DATA_DIR": str(tmp_path),
        "HUB_DATABASE_URL": database_url,
        "HUB_CONFIG_DIR": str(ROOT / "config"),
        "HUB__JOBS__LEASE_SECONDS": "15",
    }
    hub = Processes(tmp_path, env, free_port())

    async def reached(back: int, ended: int) -> None:
        async def there() -> bool:
            found = await figures(work)
            return found[0] >= back and found[1] >= ended

        await wait_until(there, timeout=300, every=0.5)

    try:
        hub.start("worker")
        await reached(TASKS // 10, 0)
        hub.kill("worker")
        before = await figures(work)
        await set_clock(work, 3)  # a machine that slept
        hub.start("worker")
        await reached(before[0] + TASKS // 10, TASKS // 10)
        hub.kill("worker")
        middle = await figures(work)
        await set_clock(work, -2)
        hub.start("worker")
        await reached(TASKS, TASKS - TASKS // LEFT)
        # alarms that came too late to find anything left to do ring all the same, before the books are judged
        await wait_until(lambda: _all_rung(work), timeout=300, every=0.5)
    finally:
        await asyncio.to_thread(hub.stop_all)
        await asyncio.to_thread(server.stop)
    assert before[0] < TASKS
    assert middle[1] < TASKS - TASKS // LEFT
    await _judge(work, organisation)


async def _all_rung(work: UnitOfWork) -> bool:
    """Every hard stop that has come has rung, and who is told of an end has been."""
    async with work.read() as session:
        done = await session.scalar(
            select(func.count())
            .select_from(OutboxRow)
            .where(OutboxRow.topic == "task.hard_stop", OutboxRow.state == "done")
        )
    return done == TASKS - TASKS // LEFT


async def _judge(work: UnitOfWork, organisation: str) -> None:
    async with work.read() as session:
        tasks = list(await session.scalars(select(Task)))
        turns = {one.task_id: one for one in await session.scalars(select(Assignment))}
        events = Counter(await session.scalars(select(TaskEvent.task_id)))
        loads = set(await session.scalars(select(func.count()).where(Assignment.state != "lapsed")))
        rung = set(
            await session.scalars(
                select(OutboxRow.key).where(OutboxRow.topic == "task.hard_stop", OutboxRow.state == "done")
            )
        )
        account = await session.get_one(LedgerAccount, f"{organisation}:test:reserved")
    ended = {task.id for task in tasks if task.status == "expired"}
    back = [task for task in tasks if task.id not in ended]
    assert Counter(task.status for task in tasks) == {
        "posted": TASKS // LEFT,
        "expired": TASKS - TASKS // LEFT,
    }
    assert {(task.reroutes, turns[task.id].reason) for task in back} == {(1, "taken_back")}
    # whom a busy machine let come to the hard stop first was not taken back before, and ended all the same
    assert {(task.reroutes, turns[task.id].reason) for task in tasks if task.id in ended} <= {
        (1, "taken_back"),
        (0, "task_expired"),
    }
    assert (len(turns), loads) == (TASKS, {0})
    assert events == dict.fromkeys(ended, 1)  # each end was told once
    assert rung == {f"task:{name}:stop" for name in ended}
    assert account.credits_msat - account.debits_msat == TASKS - len(ended)  # given back once each
