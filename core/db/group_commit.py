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
    every item is tried alone, so that one poisoned request does not take its neighbours along."""

    def __init__(
        self, apply: Callable[[list[Item]], Awaitable[Sequence[Result | Exception]]], batch: int = BATCH
    ):
        self._apply = apply
        self._batch = batch
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._runner: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        # A caller who goes away does not undo what a batch may already have written.
        return await asyncio.shield(future)

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
            await self._write(batch)

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
