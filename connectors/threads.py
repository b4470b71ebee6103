"""A bounded pool of threads for vendor libraries that block, with a deadline on every call.
Owned by the hub's wiring, used by `connectors/<name>/client.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class NeverStarted(Exception):
    """The deadline passed while the call still waited for a thread: nothing was sent."""


class StillRunning(Exception):
    """The deadline passed in the middle of the call. A thread cannot be stopped: it may yet do its work."""


class Threads:
    """At most `size` calls at a time, the others wait in line. A deadline counts from the moment of asking."""

    def __init__(self, size: int = 4, name: str = "vendor"):
        self._pool = ThreadPoolExecutor(size, thread_name_prefix=name)

    async def run(self, work: Callable[[], T], *, deadline: float) -> T:
        """The result of `work()` in a thread, or its exception. `deadline` is in seconds.

        Raises NeverStarted or StillRunning when it passes."""
        job = self._pool.submit(work)
        waiter = asyncio.wrap_future(job)
        try:
            done, _ = await asyncio.wait({waiter}, timeout=deadline)
            if done:
                return waiter.result()
            raise NeverStarted if job.cancel() else StillRunning
        finally:
            waiter.cancel()  # no-op when done; else the thread's late answer has nowhere to go, which is meant

    def close(self) -> None:
        """Drop what has not started, wait for what has (the vendor clients' own time-outs bound that)."""
        self._pool.shutdown(wait=True, cancel_futures=True)
