"""A money worker, or its Lightning node, as a process of its own that can be killed. `python -m tests.chaos.payout_process`
imports everything once and forks a child for each order on stdin; that it lives and how it ended goes to stdout, a line
each. Started by `payout_children.py`."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import select
import sqlite3
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec
from sqlalchemy import event
from sqlalchemy import select as query

from connectors.rails import RAILS, RailConfig
from connectors.rails.lightning_address import LightningAddresses
from core import clock, crash
from core.billing.plans import Plans
from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.errors import Retryable, Unavailable
from core.outbox.rows import Lease
from core.outbox.tables import OutboxRow
from core.payouts import actions as payouts
from core.payouts.limits import PayoutLimits
from core.payouts.prepare import Means
from core.payouts.rail import PayoutAddress, Rail
from core.payouts.tables import Payout
from core.tasks.types import TaskType, TaskTypes
from core.verification import actions as verification
from hub.jobs.run import Runner
from tests import factories
from tests.chaos import payout_node

LOOK_SECONDS = 0.05
PATIENCE_SECONDS = 560
TOPICS = (
    "submission.received",
    "payout.reserved",
    "payout.check",
)  # the road to a payment; others go their own way
KIND = TaskType(name="refund_eligibility", title="Refund", stages=["schema"])


class NodeOrder(msgspec.Struct, frozen=True, kw_only=True, tag="node"):
    """Serve the node whose file lies in `folder` on `socket`, until killed."""

    number: int
    folder: str
    socket: str
    clock_ms: int = 0
    invoice_seconds: int = 3600


class WorkerOrder(msgspec.Struct, frozen=True, kw_only=True, tag="worker"):
    """Bring the answer `submission_id` of `task_id` to its payment by `rail`; be struck at `crash_at` (empty: nowhere),
    killed or `stop`ped. `clock_ms` moves this process's clock, `machine` the database's too (SQLite alone). It ends after
    `seconds`, or when nothing is left to do."""

    number: int
    database_url: str
    task_id: str
    submission_id: str
    rail: str
    options: dict[str, Any]
    address_url: str
    crash_at: str
    lease_seconds: int
    grace_seconds: int
    stop: bool = False
    clock_ms: int = 0
    machine: bool = False
    seconds: float = 0.0


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """`pid` when a child has begun; `stopped` when it froze; `status` when it ended: 0, or minus the signal that killed it."""

    number: int
    pid: int
    stopped: bool = False
    status: int | None = None


Order = NodeOrder | WorkerOrder


async def work_for(order: WorkerOrder) -> None:
    """What `hub work --queue money` does with the jobs of this payout, and the step before that earns it."""
    database = Database(order.database_url, pool_size=2)
    if order.clock_ms:
        _shift(order.clock_ms)
    if order.machine:
        _shift_database(order.clock_ms, database)
    ends = time.monotonic() + (order.seconds or PATIENCE_SECONDS)
    work = UnitOfWork(database)
    rail = RAILS[order.rail](RailConfig(name=order.rail, data_dir=Path(), options=order.options))
    rails: dict[str, Rail] = {order.rail: rail}
    addresses: PayoutAddress = LightningAddresses(
        fetch, network=rail.capabilities.network, domains={"sandbox.test": order.address_url}
    )
    # one database sees the doubts of many cells: the breaker would stop the rail, which is another test
    limits = PayoutLimits(grace_seconds=order.grace_seconds, breaker_unknowns=1_000_000)
    types = TaskTypes([KIND])

    async def verify(lease: Lease) -> None:
        await verification.advance(work, lease, types, Plans([factories.PLAN]), lambda: factories.RATE)

    async def pay(lease: Lease) -> None:
        await payouts.pay(work, lease, Means(rails=rails, addresses=addresses), limits)

    async def check(lease: Lease) -> None:
        await payouts.check(work, lease, Means(rails=rails, addresses=addresses), limits)

    runner = Runner(
        work, dict(zip(TOPICS, (verify, pay, check), strict=True)), lease_seconds=order.lease_seconds
    )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while time.monotonic() < ends and (due := await _next_job(work, order)) is not None:
                job_id, wait = due
                if wait > 0:
                    await asyncio.sleep(min(max(wait, LOOK_SECONDS), 1.0))
                else:
                    await runner.run(job_id)
    finally:
        await database.close()


async def _next_job(work: UnitOfWork, order: WorkerOrder) -> tuple[str, float] | None:
    """The job of this payout that is due first, and in how many seconds by the database's clock; None when none is left."""
    try:
        async with work.read() as session:
            mine = query(Payout.id).where(Payout.task_id == order.task_id)
            now = (await session.connection()).exec_driver_sql(f"SELECT {work.database.now_sql}")
            now_ms = int((await now).scalar_one())
            rows = await session.execute(
                query(OutboxRow.id, OutboxRow.due_at, OutboxRow.lease_until, OutboxRow.state)
                .where(OutboxRow.state.in_(["pending", "leased"]), OutboxRow.topic.in_(TOPICS))
                .where((OutboxRow.subject == order.submission_id) | OutboxRow.subject.in_(mine))
            )
            found = [
                (job, (until if state == "leased" and until else clock.to_ms(due_at)) - now_ms)
                for job, due_at, until, state in rows
            ]
    except Unavailable:
        return "", 0.2  # as the sweep: it asks again
    if not found:
        return None
    job, wait = min(found, key=lambda one: one[1])
    return job, wait / 1000


def _shift(moved_ms: int) -> None:
    """This process gets a clock that is wrong, as the operating system would give it."""
    right = time.time_ns
    time.time_ns = lambda: right() + moved_ms * 1_000_000


def _shift_database(moved_ms: int, database: Database) -> None:
    """SQLite has no clock but its process's: its word for now is moved as well."""
    days = moved_ms / 86_400_000
    plain = sqlite3.connect(":memory:", check_same_thread=False)

    def julianday(*asked: str) -> float:
        found = plain.execute(f"SELECT julianday({', '.join('?' * len(asked))})", asked).fetchone()[0]
        return found + (days if asked == ("now",) else 0)

    def prepare(connection: Any, record: Any) -> None:
        connection.create_function("julianday", -1, julianday)

    event.listen(database.engine.sync_engine, "connect", prepare)


async def fetch(url: str) -> bytes:
    try:
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return await answer.read()
    except (aiohttp.ClientError, OSError) as error:
        raise Retryable("wallet_away", f"{url}: {error}", after=0.5) from error


def child(order: Order) -> None:
    """Never returns."""
    status = 1
    try:
        if isinstance(order, NodeOrder):
            _shift(order.clock_ms)
            asyncio.run(payout_node.serve(Path(order.folder), Path(order.socket), order.invoice_seconds))
        else:
            os.environ["HUB_CRASH_AT"] = order.crash_at
            os.environ["HUB_CRASH_BY"] = "stop" if order.stop else ""
            importlib.reload(crash)  # it reads the environment when it is imported
            asyncio.run(work_for(order))
        status = 0
    except BaseException:  # the parent sees the status alone
        sys.stderr.write(f"order {order.number}\n")
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Fork for each line of stdin until it ends and the last child is gone."""
    for module in ("anyio._backends._asyncio", "zoneinfo", "aiosqlite", "asyncpg"):
        importlib.import_module(module)
    gc.freeze()
    running: dict[int, int] = {}
    state = SimpleNamespace(pending=b"", over=False)
    while running or not state.over:
        if not state.over and select.select([0], [], [], 0.01)[0]:
            read = os.read(0, 65536)
            state.over = not read
            *lines, state.pending = (state.pending + read).split(b"\n")
            for line in lines:
                order: Order = msgspec.json.decode(line, type=NodeOrder | WorkerOrder)
                if (pid := os.fork()) == 0:
                    child(order)
                running[pid] = order.number
                _tell(Told(number=order.number, pid=pid))
        elif state.over:
            select.select([], [], [], 0.01)
        _reap(running)


def _tell(told: Told) -> None:
    os.write(1, msgspec.json.encode(told) + b"\n")


def _reap(running: dict[int, int]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
        if pid == 0:
            return
        if os.WIFSTOPPED(status):
            _tell(Told(number=running[pid], pid=pid, stopped=True))
        else:
            _tell(Told(number=running.pop(pid), pid=pid, status=os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
    main()
