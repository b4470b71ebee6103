"""One job of several answers or of gold, in a process of its own that is killed where `HUB_CRASH_AT` says
(`test_verification_jobs.py`). `python -m tests.chaos.job_process URL JOB CASE`."""

from __future__ import annotations

import asyncio
import sys

from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.outbox import rows
from core.tasks.model import RiskTier
from core.tasks.types import TaskTypes
from core.verification.policy import Checks, Level
from tests.factories_routing import Hub, a_type
from tests.integration.verification.test_gold import ALWAYS, SCHEMA
from tests.integration.verification.test_several_answers import three

CHECKS = {
    "one": three(least=1, most=1),
    "more": three(least=3),
    "decide": three(),
    "gold": Checks(risk={RiskTier.LOW: Level(gold_floor=1.0, spot_check=0.0)}, gold=ALWAYS),
}


async def main(url: str, job_id: str, case: str) -> None:
    work = UnitOfWork(Database(url, pool_size=2))
    hub = Hub(work)
    hub.types = TaskTypes([a_type(output_schema=SCHEMA) if case == "gold" else a_type()], CHECKS[case])
    async with work.begin("test.lease") as tx:
        lease = await rows.lease(tx, job_id)
    assert lease is not None, "the job is not due"
    await hub.handle(lease)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
