"""Group commit: many waiting requests, one transaction. While one batch is being written the next one gathers, so
there is no added wait; a fsync is shared by all who came meanwhile. Used for intake and for task creation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from core.errors import HubError

Item = TypeVar("Item")
Result = TypeVar("Result")

BATCH = 200


class GroupCommit(Generic[Item, Result]):
    """`apply` writes a list of items in one transaction and gives one result each, in order; an exception among the
    results is raised to the one who submitted that item. When a batch as a whole fails for a reason of one item,
    every item is tried alone, so that one poisoned request does not take its neighbours along. With several `lanes` so many
    batches are in flight at a time: the next goes when a full batch waits, for a batch costs less for each the more there are in it."""

    def __init__(
        self,
        apply: Callable[[list[Item]], Awaitable[Sequence[Result | Exception]]],
        batch: int = BATCH,
        lanes: int = 1,
    ):
        self._apply = apply
        self._batch = batch
        self._lanes = lanes
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._runners: set[asyncio.Task[None]] = set()
        self._running = 0

    @property
    def waiting(self) -> int:
        """How many are not on their way yet."""
        return len(self._waiting)

    async def submit(self, item: Item) -> Result:
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if not self._running or (self._running < self._lanes and len(self._waiting) >= self._batch):
            self._running += 1
            runner = asyncio.create_task(self._run())
            self._runners.add(runner)
            runner.add_done_callback(self._runners.discard)
        return await future  # a caller who goes away does not undo what a batch may already have written

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
                await self._write(batch)
        finally:
            self._running -= 1

    async def _write(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results: Sequence[Result | Exception] = await self._apply([item for item, _ in batch])
        except HubError as error:
            results = [error] * len(batch)  # the database is away, or full: true of all of them
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for it
            if len(batch) > 1:
                for one in batch:
                    await self._write([one])
                return
            results = [error]
        for (_, future), result in zip(batch, results, strict=True):
            if future.cancelled():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
