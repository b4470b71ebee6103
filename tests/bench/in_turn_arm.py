"""One checkout's side of `in_turn`, run by path with that checkout as the working directory: it uses that checkout's code and
`tests/bench/claim.py`. `prepare URL FOLDER WORKERS` fills a database; `run URL ROUNDS CLIENTS EACH` answers every line on stdin with
one round of offers: processor time of this process and of its backends in ms for each offer, then how long each took."""

from __future__ import annotations

import asyncio
import sys
import time
from itertools import chain
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

import asyncpg

from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.outbox.rows import Lease, lease_at_once
from core.routing import actions
from core.routing.directory.follow import Follower
from core.routing.directory.registry import followers
from core.routing.model import Policy
from core.tasks.types import TaskTypes
from hub.frozen import freeze
from tests.bench import claim, many_workers
from tests.bench.seed import seed

_BACKENDS = """
    SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'
    AND pid <> pg_backend_pid()"""
_POSTED = """
    SELECT o.id FROM outbox o WHERE o.topic = 'task.posted' AND o.state = 'pending' ORDER BY o.id"""


def _spent(pids: list[int]) -> float:
    """Milliseconds of processor time, which Linux counts in nanoseconds (proc(5), schedstat)."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e6


async def _run(url: str, rounds: int, clients: int, each: int) -> None:
    await claim._tasks(url, rounds * clients * each, False)  # pyright: ignore[reportPrivateUsage] - the two are one benchmark
    database = Database(url)
    work = UnitOfWork(database)
    followers[database] = follower = Follower(work)
    await follower.rebuild()
    stop = asyncio.Event()
    following = asyncio.create_task(follower.run(stop))
    watching = await asyncpg.connect(url)
    leases: list[Lease] = []
    for row in await watching.fetch(_POSTED):
        lease = await lease_at_once(work, row[0], 3_600_000)
        assert lease is not None
        leases.append(lease)
    types, policy = TaskTypes([claim.KIND]), Policy()
    freeze()
    _say("ready")
    for number in range(rounds):
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        mine = leases[number * clients * each : (number + 1) * clients * each]
        pids = [row[0] for row in await watching.fetch(_BACKENDS)]
        server, own = _spent(pids), time.process_time()
        took = await asyncio.gather(
            *(_client(work, mine[client::clients], types, policy) for client in range(clients))
        )
        own = (time.process_time() - own) * 1000
        server = _spent([row[0] for row in await watching.fetch(_BACKENDS)]) - server
        _say(" ".join(map(str, (own / len(mine), server / len(mine), *chain.from_iterable(took)))))
    stop.set()
    await following
    await watching.close()
    await database.close()


async def _client(work: UnitOfWork, leases: list[Lease], types: TaskTypes, policy: Policy) -> list[float]:
    took: list[float] = []
    for lease in leases:
        began = time.perf_counter()
        await actions.offer_posted(work, lease, types, policy)
        took.append((time.perf_counter() - began) * 1000)
    return took


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    what, url, *rest = sys.argv[1:]
    if what == "prepare":
        folder = Path(rest[0])
        folder.mkdir()
        seed(url, folder)
        asyncio.run(many_workers.grow(url, 0, int(rest[1])))
    else:
        asyncio.run(_run(url, *(int(one) for one in rest)))
