"""What arq itself needs from enqueue to start, with the hub's own settings for it and a function that does nothing: the
reference of `assign`. `python -m tests.bench.arq_reference URL` is the worker, `measured` the other end."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from typing import Any

from arq.connections import create_pool
from arq.worker import Worker, func

from hub.jobs.arq_worker import JOB_TIMEOUT, POLL_SECONDS
from hub.jobs.queue import deserialize, queue_name, redis_settings, serialize

QUEUE = queue_name("bench")
RESULTS = "bench:started"


async def noop(ctx: dict[str, Any], enqueued: float) -> None:
    """CLOCK_MONOTONIC is one clock for all processes of a machine."""
    await ctx["redis"].rpush(RESULTS, f"{time.monotonic() - enqueued:.6f}")


async def measured(url: str, count: int) -> list[float]:
    """Seconds from before the enqueue to the start, one job at a time."""
    pool = await create_pool(
        redis_settings(url, patient=False), job_serializer=serialize, job_deserializer=deserialize
    )
    found: list[float] = []
    try:
        for number in range(count):
            await pool.enqueue_job("noop", time.monotonic(), _job_id=f"bench-{number}", _queue_name=QUEUE)
            answer: Any = await pool.blpop(RESULTS, 10)
            found.append(float(answer[1]))
            await asyncio.sleep(random.uniform(0.005, 0.03))
    finally:
        await pool.aclose(close_connection_pool=True)
    return found


def main(url: str) -> None:
    Worker(
        functions=[func(noop, name="noop", timeout=JOB_TIMEOUT, keep_result=0, max_tries=1)],
        redis_settings=redis_settings(url, patient=True),
        queue_name=QUEUE,
        max_jobs=200,
        poll_delay=POLL_SECONDS,
        keep_result=0,
        job_timeout=JOB_TIMEOUT,
        job_serializer=serialize,
        job_deserializer=deserialize,
        log_results=False,
    ).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
