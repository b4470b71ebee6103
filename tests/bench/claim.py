"""`claim`: a task given to the best of 1,000 to 1,000,000 workers, from the read of the task to the committed assignment
with its timers, event and reasons (`routing.actions.offer_posted`), by one router for one client and for eight, and by eight
routers; and the same for a task that nobody can take. Beside a bare indexed select and update on the same PostgreSQL in the
same run."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import asyncpg
import psutil

from core import clock, ids
from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.outbox.rows import Lease, lease_at_once
from core.outbox.tables import OutboxRow
from core.routing import actions
from core.routing.directory.bitmaps import Directory
from core.routing.directory.follow import EVERY_SECONDS, Follower, Place
from core.routing.directory.registry import followers
from core.routing.model import Policy
from core.tasks.tables import Task
from core.tasks.types import TaskType, TaskTypes
from hub.frozen import freeze
from tests.bench import many_workers, servers
from tests.bench.harness import median, percentile, pss_mb, say
from tests.bench.seed import count, must_equal, postgres_database, seed

SIZES = tuple(int(size) for size in os.environ.get("CLAIM_SIZES", "1000,10000,100000,1000000").split(","))
ROUNDS, ALONE, EACH_OF_EIGHT, NOBODY, WARM = 5, 300, 50, 150, 20
CLIENTS = 8
KIND = TaskType(name="question", title="A question")


class Way(NamedTuple):
    """`each`: tasks of a client."""

    routers: int
    clients: int
    each: int
    nobody: bool = False


@dataclass
class Router:
    """What one that has read all workers knows; it goes on from `place`."""

    directory: Directory
    place: Place
    built_s: float
    directory_mb: float


class Round(NamedTuple):
    """`took`: wall clock of each offer in ms."""

    took: list[float]
    cpu_ms: float
    server_cpu_ms: float
    fixed_ms: float


WAYS = {
    "one": Way(1, 1, ALONE),
    "eight": Way(1, CLIENTS, EACH_OF_EIGHT),
    "routers": Way(CLIENTS, 1, EACH_OF_EIGHT),
    "nobody": Way(1, 1, NOBODY, nobody=True),
}

_OFFERED = "SELECT count(*) FROM assignments WHERE state = 'offered'"
_NOBODY = """SELECT count(*) FROM tasks t JOIN routing_decisions d ON d.task_id = t.id AND d.assignment_id IS NULL
    WHERE t.status = 'posted'"""
_BROKEN = {
    "slots given twice": """SELECT count(*) FROM (SELECT 1 FROM assignments WHERE state = 'offered'
        GROUP BY task_id, slot HAVING count(*) > 1) x""",
    "workers who hold more or less than is counted": """SELECT count(*) FROM (SELECT worker_id, count(*) AS held
        FROM assignments WHERE state = 'offered' GROUP BY worker_id) h FULL JOIN
        (SELECT id, load, capacity FROM workers WHERE load > 0) w ON w.id = h.worker_id
        WHERE coalesce(h.held, 0) <> coalesce(w.load, 0) OR w.load > w.capacity""",
}


def run() -> dict[str, Any]:
    found: dict[str, Any] = {}
    with servers.folder() as where, servers.postgres(where) as server_url:
        url = postgres_database(server_url, "bench")
        (where / "data").mkdir()
        seed(url, where / "data")
        before = 0
        for size in SIZES:
            asyncio.run(many_workers.grow(url, before, size))
            before = size
            found[f"{size:_}"] = _at(url, size)
            say(f"{size:,} workers: {found[f'{size:_}']}")
    last = found[f"{SIZES[-1]:_}"]
    return {
        "name": "claim",
        "value": last["one"]["p99_ms"],
        "unit": f"ms from reading the task to the committed assignment, p99, one router, {SIZES[-1]:,} workers",
        "reference": last["bare"]["p99_ms"],
        "ratio": last["one"]["p99_ms"] / last["bare"]["p99_ms"],
        "aim": "p99 < 5 ms for one client, < 15 ms for eight, nobody < 5 ms, at a million; growth from 10,000 under 2",
        "growth": _growth(found),
        **found,
        "method": f"{ROUNDS} rounds, in each {ALONE} tasks one after the other (`one`), {CLIENTS} clients of one router with {EACH_OF_EIGHT} tasks each (`eight`), "
        f"{CLIENTS} processes with as many (`routers`), {NOBODY} tasks that nobody "
        "takes (a popular skill, a price below everybody's); each asks 1 or 2 of 64 skills, of the more popular quarter, a tier, a price; reference: one "
        "select and one update by primary key, each its own round trip, on a table as large; slots and loads checked; all rounds together, and the p99 of each; cpu_ms: the router's own processor time for each (of bare: the client's), server_cpu_ms: PostgreSQL's, with all it does beside; fixed: "
        "that of a fixed piece of work before the round, which says how fast the machine is just then",
    }


def _growth(found: dict[str, Any]) -> float | None:
    small, large = found.get("10_000"), found.get("1_000_000")
    return large["one"]["p50_ms"] / small["one"]["p50_ms"] if small and large else None


def _at(url: str, size: int) -> dict[str, Any]:
    """`ROUNDS` times each way, one after the other, so that a slow minute of the machine is seen for what it is."""
    router = asyncio.run(_read(url))
    result: dict[str, Any] = {"built_s": router.built_s, "directory_mb": router.directory_mb}
    result["bare"] = asyncio.run(_bare(url, size))
    rounds: dict[str, list[Round]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name, way in WAYS.items():
            rounds[name].append(_round(url, router, way))
    for name, each in rounds.items():
        took = [one for round_ in each for one in round_.took]
        result[name] = {
            "p50_ms": percentile(took, 50),
            "p99_ms": percentile(took, 99),
            "rounds_p99_ms": [percentile(one.took, 99) for one in each],
            "cpu_ms": median([one.cpu_ms for one in each]),
            "server_cpu_ms": median([one.server_cpu_ms for one in each]),
            "rounds_fixed_ms": [one.fixed_ms for one in each],
        }
    return result


def _round(url: str, router: Router, way: Way) -> Round:
    tasks = way.routers * way.clients * (way.each + WARM)
    jobs = asyncio.run(_tasks(url, tasks, way.nobody))
    before, fixed = asyncio.run(_server_cpu(url)), [_timed(_fixed_work) for _ in range(50)]
    told = _routers(url, router, way, jobs)
    server = asyncio.run(_server_cpu(url)) - before
    for what, sql in _BROKEN.items():
        must_equal(what, count(url, sql), 0)
    must_equal("tasks offered, or to nobody for a reason", count(url, _OFFERED) + count(url, _NOBODY), tasks)
    asyncio.run(_release(url))
    took = [one for each, _ in told for one in each]
    return Round(took, median([spent for _, spent in told]), server * 1000 / tasks, median(fixed) * 1000)


def _routers(url: str, router: Router, way: Way, jobs: list[str]) -> list[tuple[list[float], float]]:
    """One is this process, which has read the workers. Eight are forked from it, so that reading them is paid once; they copy
    each page of memory that they touch."""
    if way.routers == 1:
        return [asyncio.run(_route(url, router, jobs, way.clients, lambda: None))]
    forked: Any = multiprocessing.get_context("fork")
    answers, start = forked.Queue(), forked.Barrier(way.routers)

    def work(jobs: list[str]) -> None:
        answers.put(asyncio.run(_route(url, router, jobs, way.clients, start.wait)))

    processes = [
        forked.Process(target=work, args=(jobs[number :: way.routers],)) for number in range(way.routers)
    ]
    for process in processes:
        process.start()
    told = [answers.get(timeout=600) for _ in processes]
    for process in processes:
        process.join(60)
    return told


async def _read(url: str) -> Router:
    database = Database(url)
    follower = Follower(UnitOfWork(database))
    before, began = pss_mb(os.getpid(), alone=True), time.perf_counter()
    await follower.rebuild()
    took = time.perf_counter() - began
    await database.close()
    assert follower.directory is not None
    return Router(follower.directory, follower.place, took, pss_mb(os.getpid(), alone=True) - before)


async def _route(
    url: str, router: Router, jobs: list[str], clients: int, ready: Callable[[], Any]
) -> tuple[list[float], float]:
    """How long each took, and the processor time of this process for each, both in ms."""
    database = Database(url, pool_size=4)
    work = UnitOfWork(database)
    follower = Follower.with_directory(work, router.directory, router.place)
    followers[database] = follower
    stop = asyncio.Event()
    following = asyncio.create_task(follower.run(stop))
    leases: list[Lease] = []
    for job in jobs:
        lease = await lease_at_once(work, job, 600_000)
        assert lease is not None
        leases.append(lease)
    types, policy = TaskTypes([KIND]), Policy()
    await follower.catch_up()
    await asyncio.sleep(2 * EVERY_SECONDS)
    await asyncio.get_running_loop().run_in_executor(None, ready)
    freeze()

    async def client(leases: list[Lease]) -> list[float]:
        took: list[float] = []
        for lease in leases:
            began = time.perf_counter()
            await actions.offer_posted(work, lease, types, policy)
            took.append((time.perf_counter() - began) * 1000)
        return took[WARM:]

    before = time.process_time()
    took = await asyncio.gather(*(client(leases[number::clients]) for number in range(clients)))
    spent = time.process_time() - before
    stop.set()
    await following
    router.place = follower.place
    await database.close()
    return [one for each in took for one in each], spent * 1000 / len(leases)


def _timed(act: Callable[[], None]) -> float:
    """Seconds of processor time."""
    before = time.process_time()
    act()
    return time.process_time() - before


def _fixed_work() -> None:
    """The same for ever: what it costs says how fast the machine is."""
    seen: dict[int, tuple[int, str]] = {}
    for number in range(1500):
        seen[number % 37] = (number, str(number))


async def _tasks(url: str, number: int, nobody: bool) -> list[str]:
    """The ids of the jobs of so many posted tasks."""
    database, chance = Database(url), random.Random(number)
    jobs: list[str] = []
    async with UnitOfWork(database).begin("bench.tasks") as tx:
        [organisation] = (await tx.execute("SELECT id FROM organisations")).one()
        now = clock.now_ms()
        for _ in range(number):
            task_id, job = ids.uuid7(), ids.new("job")
            tx.session.add(_task(task_id, organisation, now, chance, nobody))
            tx.session.add(
                OutboxRow(
                    id=job, queue="default", topic="task.posted", subject=task_id, body={}, due_at=clock.now(),
                    created_at=clock.now(), state="pending", attempts=0, lease_token=0,
                )
            )  # fmt: skip
            jobs.append(job)
    await database.close()
    return jobs


def _task(task_id: str, organisation: str, now: int, chance: random.Random, nobody: bool) -> Task:
    skills = (
        ["s0"]
        if nobody
        else sorted({f"s{int(16 * chance.random() ** 2)}" for _ in range(chance.choice([1, 1, 2]))})
    )
    return Task(
        id=task_id,
        organisation_id=organisation,
        environment="test",
        idempotency_key=task_id,
        request_digest="digest",
        status="posted",
        task_type="question",
        risk_tier="low" if nobody else chance.choice(["low", "medium", "high"]),
        sla_seconds=3600,
        payload={"question": "Which?"},
        output_schema={"type": "object"},
        skills=skills,
        payout_currency="SATS",
        payout_amount=Decimal(many_workers.PAYOUT_MSAT // 1000),
        funded=True,
        reserved_msat=0,
        fee_msat=0,
        payout_msat=9_999 if nobody else many_workers.PAYOUT_MSAT,
        created_at=clock.from_ms(now),
        updated_at=clock.from_ms(now),
        expires_at=clock.from_ms(now + 3_600_000),
        hard_stop_at=clock.from_ms(now + 7_200_000),
    )


async def _server_cpu(url: str) -> float:
    """Seconds of processor time that PostgreSQL has used, its ended backends included."""
    connection = await asyncpg.connect(url)
    main = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()")).parent()
    await connection.close()
    assert main is not None
    ended = main.cpu_times()
    used = ended.children_user + ended.children_system
    for process in main.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system
    return used


async def _bare(url: str, size: int) -> dict[str, float]:
    connection = await asyncpg.connect(url)
    await connection.execute("DROP TABLE IF EXISTS bench_bare")
    await connection.execute("CREATE TABLE bench_bare (id int PRIMARY KEY, n int NOT NULL)")
    await connection.execute("INSERT INTO bench_bare SELECT n, 0 FROM generate_series(1, $1::int) n", size)
    await connection.execute("VACUUM ANALYZE bench_bare")
    took: list[float] = []
    server, own = await _server_cpu(url), time.process_time()
    for _ in range(ALONE + WARM):
        number = random.randint(1, size)
        began = time.perf_counter()
        await connection.fetchval("SELECT n FROM bench_bare WHERE id = $1", number)
        await connection.execute("UPDATE bench_bare SET n = n + 1 WHERE id = $1", number)
        took.append((time.perf_counter() - began) * 1000)
    own, server = time.process_time() - own, await _server_cpu(url) - server
    await connection.close()
    return {
        "p50_ms": percentile(took[WARM:], 50),
        "p99_ms": percentile(took[WARM:], 99),
        "cpu_ms": own * 1000 / len(took),
        "server_cpu_ms": server * 1000 / len(took),
    }


async def _release(url: str) -> None:
    """Everybody's hands free again, as if each had declined; the rows stay."""
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE assignments SET state = 'declined' WHERE state = 'offered'")
    await connection.execute("UPDATE workers SET load = 0 WHERE load > 0")
    await connection.execute("UPDATE tasks SET status = 'cancelled' WHERE status IN ('posted', 'assigned')")
    await connection.execute("DELETE FROM outbox")
    await connection.close()
