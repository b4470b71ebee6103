"""A hub's worker for one ticket, as a process of its own that can be killed. `python -m tests.chaos.write_once_process`
imports everything once and forks a child for each order on stdin; how a child ended goes to stdout, a line each.
Started by `write_once_matrix.py`."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import select
import sys
import traceback

import msgspec
from sqlalchemy import select as query

from connectors import config as connector_files
from connectors.config import ConnectorConfig
from connectors.connector import Tools
from connectors.intercom.calling import library
from connectors.pauses import Pauses
from connectors.threads import Threads
from connectors.vendor_http import VendorHttp
from core import clock, crash
from core.access.sealing import Sealer, new_key
from core.billing.plans import Plans
from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.outbox.tables import OutboxRow
from core.replies import actions as replies
from core.replies import compose as composing
from core.replies.tables import Reply
from core.tasks.types import TaskTypes
from hub.jobs.run import Runner
from hub.understanding import Connectors
from tests.chaos.write_once_vendors import SECRETS, vendors

LOOK_SECONDS = 0.05
PATIENCE_SECONDS = 150


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Bring the answer of `task_id` into its ticket at `url`; die at `crash_at` (empty: nowhere). `lease_seconds` is the
    hub's setting of that name: what a crash costs before the next process may go on."""

    number: int
    vendor: str
    connector: str
    url: str
    database_url: str
    task_id: str
    crash_at: str
    lease_seconds: int


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How the process of an order ended: 0, or minus the signal that killed it."""

    number: int
    status: int


async def work_for(order: Order, loaded: ConnectorConfig, http: VendorHttp) -> None:
    """What `hub work` does with the jobs of this task: compose, deliver, again when it is told to come later."""
    settings = msgspec.structs.replace(loaded.settings, id=order.connector, test_base_url=order.url)
    configs = {order.connector: msgspec.structs.replace(loaded, settings=settings)}
    database = Database(order.database_url, pool_size=1)
    threads = Threads(1)
    tools = Tools(threads=threads, http=http.client, pauses=Pauses())
    work = UnitOfWork(database)
    connectors = Connectors(configs, TaskTypes([]), Plans([]), tools, Sealer([new_key()]))
    topics = {
        "task.ended": lambda lease: composing.compose(work, lease, connectors.plan),
        "task.corrected": lambda lease: composing.correct(work, lease, connectors.plan),
        "reply.send": lambda lease: replies.deliver(work, lease, connectors.delivery),
    }
    runner = Runner(work, topics, lease_seconds=order.lease_seconds)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (due := await next_job(work, order.task_id)) is not None:
                job_id, wait = due
                if wait > 0:
                    await asyncio.sleep(max(wait, LOOK_SECONDS))
                else:
                    await runner.run(job_id)
    finally:
        await http.close()
        threads.close()
        await database.close()


async def next_job(work: UnitOfWork, task_id: str) -> tuple[str, float] | None:
    """The job of this task that is due first, and in how many seconds; None when none is left."""
    async with work.read() as session:
        replies_of_it = query(Reply.id).where(Reply.task_id == task_id)
        rows = await session.execute(
            query(OutboxRow.id, OutboxRow.due_at, OutboxRow.lease_until, OutboxRow.state)
            .where(OutboxRow.state.in_(["pending", "leased"]))
            .where((OutboxRow.subject == task_id) | OutboxRow.subject.in_(replies_of_it))
        )
        now = clock.now_ms()
        found = [
            (job, (until if state == "leased" and until else clock.to_ms(due_at)) - now)
            for job, due_at, until, state in rows
        ]
    if not found:
        return None
    job, wait = min(found, key=lambda one: one[1])
    return job, wait / 1000


def prepared(loaded: list[ConnectorConfig]) -> VendorHttp:
    """What costs a process most, done once for all: libraries that are imported with the first call, and an HTTP client
    (its list of certificate authorities) that has not called anybody yet."""
    for module in ("anyio._backends._asyncio", "httpcore", "zoneinfo"):
        importlib.import_module(module)
    library()
    http, threads = VendorHttp(), Threads(1)
    http.client()
    for one in loaded:
        one.connector.writer(one.settings, Tools(threads=threads, http=http.client, pauses=Pauses()))
    threads.close()
    gc.freeze()
    return http


def child(order: Order, loaded: ConnectorConfig, http: VendorHttp) -> None:
    """Never returns."""
    status = 1
    try:
        os.environ["HUB_CRASH_AT"] = order.crash_at
        # It reads the environment when it is imported, which the parent did without an order.
        importlib.reload(crash)
        asyncio.run(work_for(order, loaded, http))
        status = 0
    except BaseException:  # the parent sees the status alone
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Fork for each line of stdin until it ends and the last child is gone."""
    loaded = {one.name: connector_files.load(one.file, f"{one.name}.yaml", SECRETS) for one in vendors()}
    http = prepared(list(loaded.values()))
    running: dict[int, int] = {}
    pending, over = b"", False
    while running or not over:
        if not over and select.select([0], [], [], 0.01)[0]:
            read = os.read(0, 65536)
            over = not read
            *lines, pending = (pending + read).split(b"\n")
            for line in lines:
                order = msgspec.json.decode(line, type=Order)
                if (pid := os.fork()) == 0:
                    child(order, loaded[order.vendor], http)
                running[pid] = order.number
        elif over:
            select.select([], [], [], 0.01)
        _reap(running)


def _reap(running: dict[int, int]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        ended = Ended(number=running.pop(pid), status=os.waitstatus_to_exitcode(status))
        os.write(1, msgspec.json.encode(ended) + b"\n")


if __name__ == "__main__":
    main()
