"""Waiting for something to become true, in place of sleeping and hoping."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any


async def wait_until(
    predicate: Callable[[], Any | Awaitable[Any]], timeout: float = 10.0, every: float = 0.02
) -> Any:
    """Call `predicate` until it gives something true and return that; AssertionError after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = predicate()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not true within {timeout} s: {inspect.getsource(predicate).strip()}")
        await asyncio.sleep(every)
