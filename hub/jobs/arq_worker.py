"""The worker process: arq's Worker with its dangers switched off, the one-second sweep beside it, and a loop that
builds a new Worker when one dies. One process per queue, so that a busy page never delays money.

What is switched off, and why (arq 0.28 read and made to fail): pickle; kept results (`keep_result=0`, else an id
stays blocked for an hour); arq's own retries (the outbox has them); crons (they run twice when clocks differ);
the settings class (inherited attributes are ignored); death by a lost connection."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Mapping
from typing import Any

from arq.worker import Worker, func

from core.db.unit_of_work import UnitOfWork
from core.errors import Unavailable
from core.outbox import rows
from hub.jobs.queue import FUNCTION, deserialize, queue_name, redis_settings, serialize
from hub.jobs.run import Runner

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
POLL_SECONDS = 0.01  # arq's default of 0.5 s is the whole latency of a job
JOB_TIMEOUT = 60  # the same for all functions: arq re-runs a lost job after the longest one


async def work_forever(url: str, work: UnitOfWork, runners: Mapping[str, Runner]) -> None:
    """Run until SIGTERM or SIGINT; then finish what is in hand."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    tasks = [
        asyncio.create_task(task)
        for queue, runner in runners.items()
        for task in (_sweep(queue, work, runner), _keep_working(queue, url, runner))
    ]
    await stopping.wait()
    # arq calls every job that a stop cuts short an error
    logging.getLogger("arq.worker").setLevel(logging.CRITICAL)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(runner.finish() for runner in runners.values()))


async def _keep_working(queue: str, url: str, runner: Runner) -> None:
    async def run(ctx: dict[Any, Any], ids: list[str]) -> None:
        runner.start(
            ids
        )  # not awaited: arq cancels what it waits for, and a cancelled transaction is nobody's

    while True:
        worker: Any = None
        try:
            worker = Worker(
                functions=[func(run, name=FUNCTION, timeout=JOB_TIMEOUT, keep_result=0, max_tries=1)],
                redis_settings=redis_settings(url, patient=True),
                queue_name=queue_name(queue),
                handle_signals=False,
                max_jobs=200,
                poll_delay=POLL_SECONDS,
                keep_result=0,
                job_timeout=JOB_TIMEOUT,
                job_serializer=serialize,
                job_deserializer=deserialize,
                health_check_interval=10,
                health_check_key=f"{queue_name(queue)}:health",
                log_results=False,
                retry_jobs=False,
            )
            await worker.async_run()
        except asyncio.CancelledError:
            if worker is not None:
                await _close(worker)
            raise
        except Exception as error:  # noqa: BLE001 - whatever killed arq, the next Worker starts afresh
            log.warning("the arq worker died of %r; building a new one", error)
            if worker is not None:
                await _close(worker)
            await asyncio.sleep(0.5)


async def _close(worker: Any) -> None:
    try:
        await asyncio.wait_for(worker.close(), 10)
    except Exception as error:  # noqa: BLE001 - a connection that is gone cannot be closed
        log.info("closing the arq worker: %r", error)


async def _sweep(queue: str, work: UnitOfWork, runner: Runner) -> None:
    """Every second: jobs that came due, whose nudge was lost, or whose holder died. They run here and not through arq,
    which silently drops an id that a dead worker still holds (70 s), and so the queue's absence costs a second only.
    A job that arq brings at the same time is leased once."""
    while True:
        try:
            async with work.begin("outbox.sweep") as tx:
                due = await rows.due(tx, queue)
            runner.start(due)
        except Unavailable as error:
            log.warning("sweep: %s", error.message)
        except Exception:
            log.exception("the sweep failed; trying again")
        await asyncio.sleep(SWEEP_SECONDS)
