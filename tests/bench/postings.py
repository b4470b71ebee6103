"""`postings`: the ledger's postings a second on PostgreSQL beside bare inserts of the same rows on the bare driver, and how
long `hub ledger check` needs for a million transfers with their chain."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url

from core.db.engine import Database
from core.db.migrate import upgrade
from core.db.unit_of_work import UnitOfWork
from core.ledger import accounts
from core.ledger.check import check
from core.ledger.post import Transfer, open_accounts, post
from tests.bench import ledger_rows, servers
from tests.bench.harness import interleaved, median, say

AT_ONCE = 8
SECONDS = 4.0
REPETITIONS = 3
OWNERS = 64
MILLION = 1_000_000
AIM_SECONDS = 30.0

_BARE = """
    CREATE TABLE bare_transfers (LIKE ledger_transfers INCLUDING DEFAULTS INCLUDING INDEXES)"""
_INSERT = """
    INSERT INTO bare_transfers (id, debit_account, credit_account, amount_msat, kind, subject, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)"""


def run() -> dict[str, Any]:
    with servers.folder() as where, servers.postgres(where) as url:
        return asyncio.run(_run(url))


async def _run(maintenance: str) -> dict[str, Any]:
    url = await _fresh(maintenance, "bench_postings")
    database = Database(url, pool_size=AT_ONCE)
    work = UnitOfWork(database)
    await _ready(work)
    pool: Any = await asyncpg.create_pool(
        make_url(url).set(drivername="postgresql").render_as_string(hide_password=False),
        min_size=AT_ONCE,
        max_size=AT_ONCE,
    )
    await pool.execute(_BARE)
    arms: dict[str, Callable[[str], Awaitable[None]]] = {
        "hub": lambda name: _post(work, name),
        "bare": lambda name: _insert(pool, name),
    }
    rates: dict[str, list[float]] = {name: [] for name in arms}
    plan = interleaved(list(arms), REPETITIONS, lambda arm, number: (arm, number))
    for number in range(REPETITIONS):
        for arm, _ in sorted(one[number] for one in plan.values()):
            rates[arm].append(await _measure(arms[arm], f"{arm}{number}"))
            say(f"{arm}: {rates[arm][-1]:.0f} a second")
    await pool.close()
    await _right(work)
    await database.close()
    million = await _million(await _fresh(maintenance, "bench_million"))
    hub, bare = median(rates["hub"]), median(rates["bare"])
    return {
        "name": "postings",
        "value": hub,
        "unit": "ledger transfers a second, each a transaction of its own with both accounts locked and added up",
        "reference": bare,
        "ratio": hub / bare,
        "at_once": AT_ONCE,
        "repetitions": REPETITIONS,
        "check_million": million,
        "aim": f"the check of a million transfers in under {AIM_SECONDS:.0f} s",
        "method": f"{AT_ONCE} tasks of one process on PostgreSQL with every commit flushed, {OWNERS} organisations, "
        f"{SECONDS:.0f} s an arm, arms in turn; the reference inserts the same row into a table of the same columns "
        "and indexes without triggers or foreign keys, one autocommitted statement on asyncpg",
    }


async def _fresh(maintenance: str, name: str) -> str:
    connection: Any = await asyncpg.connect(maintenance)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    url = make_url(maintenance).set(database=name).render_as_string(hide_password=False)
    database = Database(url)
    await upgrade(database)
    await database.close()
    return url


async def _ready(work: UnitOfWork) -> None:
    owners = [
        make(f"org_{number}", "live")
        for number in range(OWNERS)
        for make in (accounts.prefund, accounts.reserved)
    ]
    async with work.begin("bench.accounts") as tx:
        await open_accounts(tx, [*owners, accounts.capital("live")])


async def _measure(once: Callable[[str], Awaitable[None]], name: str) -> float:
    end = time.monotonic() + SECONDS
    done = [0] * AT_ONCE

    async def one(task: int) -> None:
        while time.monotonic() < end:
            await once(f"{name}:{task}:{done[task]}")
            done[task] += 1

    began = time.monotonic()
    await asyncio.gather(*(one(task) for task in range(AT_ONCE)))
    return sum(done) / (time.monotonic() - began)


def _row(name: str) -> Transfer:
    """Capital of one owner's own: the floor-less account, so that an arm's length decides nothing."""
    owner = f"org_{hash(name) % OWNERS}"
    return Transfer(
        id=f"credit:{name}",
        debit=accounts.rail(owner),
        credit=accounts.prefund(owner, "live"),
        amount_msat=1_000,
        kind="credit",
        subject=owner,
    )


async def _post(work: UnitOfWork, name: str) -> None:
    async with work.begin("bench.post") as tx:
        await post(tx, [_row(name)])


async def _insert(pool: Any, name: str) -> None:
    one = _row(name)
    now_ms = time.time_ns() // 1_000_000
    await pool.execute(
        _INSERT, one.id, one.debit.id, one.credit.id, one.amount_msat, one.kind, one.subject, now_ms
    )


async def _right(work: UnitOfWork) -> None:
    """Every posting is in both sums; raises RuntimeError else."""
    async with work.read() as session:
        broken = [one for one in await check(session) if one.rule not in ("rail", "unsealed")]
    if broken:
        raise RuntimeError(f"the books are broken after the run: {broken[:3]}")


async def _million(url: str) -> dict[str, Any]:
    """In a process of its own, as `hub ledger check` is; what it says is the proof that it looked."""
    database = Database(url)
    began = time.monotonic()
    await ledger_rows.write(database, MILLION)
    say(f"{MILLION} transfers written in {time.monotonic() - began:.0f} s")
    await database.close()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    child = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.bench.postings", url],
        cwd=Path(__file__).parents[2],
        env={**os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if child.returncode or not child.stdout.startswith("0 problems"):
        raise RuntimeError(f"the check of a million said: {child.stdout[-500:]} {child.stderr[-2000:]}")
    peak_mb = int(child.stdout.split()[2])
    say(f"checked in {seconds:.1f} s, {peak_mb} MB")
    return {
        "transfers": MILLION,
        "seconds": seconds,
        "cpu_seconds_of_the_checker": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mb": peak_mb,
    }


async def _check(url: str) -> None:
    database = Database(url)
    async with UnitOfWork(database).read() as session:
        found = await check(session)
    await database.close()
    # Not ru_maxrss, which a child inherits from the process that started it.
    status = Path("/proc/self/status").read_text()
    peak = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) // 1024
    sys.stdout.write(f"{len(found)} problems {peak}\n{found[:3]}\n")


if __name__ == "__main__":
    asyncio.run(_check(sys.argv[1]))
