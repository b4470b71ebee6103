"""A minute of eight routers on one database, some of which are killed with kill -9 all the time, while people accept,
answer, decline, give back, pause and come back: no slot has two living holders, nobody holds more than they can, and what
is counted as in somebody's hands is what is there. Then the killing stops and everything that was asked is offered."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core import clock
from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict
from core.routing import actions
from core.routing.states import HOLDS_CAPACITY, LIVE
from core.routing.tables import Assignment
from core.tasks.tables import Task
from core.workers import actions as workers
from core.workers.tables import Worker
from tests.conftest import new_postgres_database
from tests.factories_routing import a_task, a_type, a_worker, an_organisation
from tests.wait import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

ROUTERS, PEOPLE, SECONDS = 8, 40, 60
KIND = a_type(offer_seconds=3)


class Routers:
    def __init__(self, url: str, folder: Path):
        self._url, self._log = url, (folder / "routers.log").open("ab")
        self.running = [self._start() for _ in range(ROUTERS)]
        self.killed = 0

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.chaos.router_process", self._url]
        return subprocess.Popen(command, stdout=self._log, stderr=self._log, cwd=Path(__file__).parents[2])

    def kill_one(self, number: int) -> None:
        os.kill(self.running[number].pid, signal.SIGKILL)
        self.running[number].wait()
        self.running[number] = self._start()
        self.killed += 1

    def stop(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()
        self._log.close()


async def test_eight_routers_some_killed_give_no_slot_twice_and_nobody_too_much(
    tmp_path: Path, postgres_server: str, postgres_template: str
) -> None:
    url = await new_postgres_database(postgres_server, postgres_template)
    work, chance = UnitOfWork(Database(url)), random.Random(5)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        ids = [
            await a_worker(tx, capacity=chance.randint(1, 3), reliability=chance.uniform(0.5, 1))
            for _ in range(PEOPLE)
        ]
    routers = Routers(url, tmp_path)
    try:
        start = clock.monotonic()
        end, next_kill = start + SECONDS, start + 8
        while clock.monotonic() < end or not await _enough(
            work, routers
        ):  # a slow machine takes longer for as much
            async with work.begin("test.ask") as tx:
                for _ in range(chance.randrange(4)):
                    await a_task(tx, organisation, sla_seconds=chance.choice([20, 600]), kind=KIND)
            for _ in range(6):
                await _something(work, chance, ids)
            assert await _broken(work) == []
            if clock.monotonic() > next_kill:
                routers.kill_one(chance.randrange(ROUTERS))
                next_kill += chance.uniform(2, 5)
        async with work.begin("test.ask") as tx:
            for worker_id in ids:
                await workers.resume(tx, worker_id, actor="hub")
            last = [await a_task(tx, organisation, sla_seconds=3600, kind=KIND) for _ in range(5)]
        await wait_until(lambda: _offered(work, last), timeout=90, every=0.5)
        assert await _broken(work) == []
    finally:
        routers.stop()
        await work.database.close()


async def _enough(work: UnitOfWork, routers: Routers) -> bool:
    async with work.read() as session:
        offers = await session.scalar(select(func.count()).select_from(Assignment)) or 0
    return routers.killed >= 10 and offers >= 100


async def _something(work: UnitOfWork, chance: random.Random, ids: list[str]) -> None:
    """One person does something with what they have, or with themselves."""
    worker_id = chance.choice(ids)
    with contextlib.suppress(Conflict):
        async with work.begin("test.deed") as tx:
            mine = select(Assignment).where(
                Assignment.worker_id == worker_id, Assignment.state.in_([str(s) for s in HOLDS_CAPACITY])
            )
            held = list(await tx.session.scalars(mine))
            if not held:
                deed = workers.pause if chance.random() < 0.05 else workers.resume
                await deed(tx, worker_id, actor="hub")
                return
            one = chance.choice(held)
            if one.state == "offered":
                deed = actions.accept if chance.random() < 0.7 else actions.decline
                await deed(tx, one.id, worker_id)
            elif chance.random() < 0.7:
                await actions.submit(tx, one.id, worker_id, {"answer": "yes"})
            else:
                await actions.release(tx, one.id, worker_id)


async def _offered(work: UnitOfWork, task_ids: list[str]) -> bool:
    async with work.read() as session:
        held = select(func.count(Assignment.task_id.distinct())).where(Assignment.task_id.in_(task_ids))
        return await session.scalar(held) == len(task_ids)


async def _broken(work: UnitOfWork) -> list[str]:
    """What the rows say against the rules, read in one snapshot."""
    async with work.begin("test.look") as tx:
        await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        people = (await tx.session.scalars(select(Worker))).all()
        rows = (await tx.session.scalars(select(Assignment))).all()
        tasks = {one.id: one.status for one in await tx.session.scalars(select(Task))}
    held = Counter(one.worker_id for one in rows if one.state in HOLDS_CAPACITY)
    slots = Counter((one.task_id, one.slot) for one in rows if one.state in LIVE)
    turns = Counter((one.task_id, one.worker_id) for one in rows)
    holders = Counter(one.task_id for one in rows if one.state in LIVE)
    return [
        *(f"{one.id} holds {held[one.id]}, counted {one.load} of {one.capacity}" for one in people
          if not one.load == held[one.id] <= one.capacity),
        *(f"slot {slot} has {count} holders" for slot, count in slots.items() if count > 1),
        *(f"turn {turn} came {count} times" for turn, count in turns.items() if count > 1),
        *(f"task {name} is {status} with {holders[name]} holders" for name, status in tasks.items()
          if (status == "assigned") != (holders[name] > 0) and status in ("assigned", "posted")),
    ]  # fmt: skip
