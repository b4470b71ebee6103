"""One router of the storm (`test_routing_storm.py`): a directory of its own, and the jobs of routing as they come due, with
short leases. `python -m tests.chaos.router_process URL`; runs until it is killed."""

from __future__ import annotations

import asyncio
import sys

from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict, LeaseLost, Unavailable
from core.outbox import rows
from core.routing.directory.follow import following
from tests.factories_routing import Hub, a_type

LEASE_MS = 2_000
AT_ONCE = 4


async def main(url: str) -> None:
    work = UnitOfWork(Database(url, pool_size=AT_ONCE))
    hub, room = Hub(work, a_type(offer_seconds=3)), asyncio.Semaphore(AT_ONCE)

    async def run(job_id: str) -> None:
        async with room:
            try:
                lease = await rows.lease_at_once(work, job_id, LEASE_MS)
                if lease is not None:
                    await hub.handle(lease)
            except (Conflict, LeaseLost, Unavailable):
                return  # the lease runs out, and somebody tries again

    async with following(work):
        while True:
            async with work.begin("test.due") as tx:
                due = await rows.due(tx, "default")
            await asyncio.gather(*(run(job_id) for job_id in due))
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
