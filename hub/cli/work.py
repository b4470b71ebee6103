"""`hub work`: one worker process."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator

import click

from core.db.unit_of_work import UnitOfWork
from core.outbox.rows import WORKERS

FIRST_READ_SECONDS = (
    60.0  # a million workers take half of it; whoever cannot read them by then begins without
)


@contextlib.asynccontextmanager
async def _directory(work: UnitOfWork, *, here: bool) -> AsyncGenerator[None]:
    """The directory of workers, where offers are made; nobody else loads what it needs."""
    if not here:
        yield
        return
    from core.routing.directory.follow import following

    async with following(work) as follower:
        # Who routes without a directory scans the workers for every task; under load those scans keep the database from
        # giving the directory, and the process would begin with a backlog that it works off for minutes.
        await follower.first_read(FIRST_READ_SECONDS)
        yield


@click.command("work")
@click.option("--queue", type=click.Choice(list(WORKERS)), default="default", show_default=True)
def command(queue: str) -> None:
    """One worker process. Money has its own, so that nothing else can delay it."""
    from setproctitle import setproctitle

    from hub.cli.common import hub
    from hub.frozen import freeze
    from hub.jobs import payout_watch, upkeep
    from hub.jobs.arq_worker import work_forever
    from hub.jobs.run import AT_ONCE, Runner
    from hub.jobs.sealing import sealing
    from hub.jobs.topics import topics
    from hub.observe.logging import configure

    async def act() -> None:
        async with hub() as wiring:
            configure("INFO", os.environ.get("HUB_LOG", wiring.settings.log))
            handlers = topics(wiring)
            await upkeep.start(wiring.services.work)
            await payout_watch.start(wiring.services.work, wiring.services.rails)
            runners = {
                name: Runner(
                    wiring.services.work, handlers, wiring.settings.jobs.lease_seconds, AT_ONCE[name]
                )
                for name in WORKERS[queue]
            }
            watch = wiring.services.watch_connectors
            watching = asyncio.create_task(watch()) if watch else None
            money = queue == "money"
            async with (
                wiring.services.rates.running(keeper=money),
                sealing(wiring.services.work, here=money),
                _directory(wiring.services.work, here=not money),
            ):
                freeze()
                await work_forever(wiring.queue_url, wiring.services.work, runners)
            if watching:
                watching.cancel()

    setproctitle(f"hub work {queue}")
    asyncio.run(act())
