"""Long polls: `GET /v1/tasks/{id}?wait=30`. One loop for the process asks the database for all who wait in one query,
while somebody waits. Made by `hub/app.py`, used by `hub/api/tasks.py`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from core.db.unit_of_work import UnitOfWork
from core.errors import Unavailable
from core.tasks import queries

log = logging.getLogger(__name__)

EVERY_SECONDS = 0.05
AWAY_SECONDS = 1.0


class TaskWatch:
    """Wakes those who wait for a task's version to grow."""

    def __init__(self, work: UnitOfWork):
        self._work = work
        self._waiting: dict[str, set[tuple[int, asyncio.Event]]] = {}
        self._loop: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many wait now."""
        return sum(map(len, self._waiting.values()))

    async def changed(
        self, task_id: str, version: int, seconds: float, gone: Callable[[], Awaitable[Any]]
    ) -> None:
        """Returns when the task is past `version`, after `seconds`, or when `gone()` (the client left) returns."""
        event = asyncio.Event()
        ticket = (version, event)
        self._waiting.setdefault(task_id, set()).add(ticket)
        if self._loop is None or self._loop.done():
            self._loop = asyncio.create_task(self._poll())
        waits = {asyncio.ensure_future(event.wait()), asyncio.ensure_future(gone())}
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            others = self._waiting[task_id]
            others.discard(ticket)
            if not others:
                del self._waiting[task_id]

    async def close(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop

    async def _poll(self) -> None:
        while self._waiting:  # noqa: ASYNC110 -- what we wait for happens in the database, which sets no Event
            await asyncio.sleep(await self._ask())

    async def _ask(self) -> float:
        """Seconds until the next question."""
        try:
            async with self._work.read() as session:
                found = await queries.versions(session, list(self._waiting))
        except Unavailable as error:
            log.warning("long polls cannot ask the database: %s", error.message)
            return AWAY_SECONDS
        for task_id, version in found.items():
            for known, event in self._waiting.get(task_id, ()):
                if version > known:
                    event.set()
        return EVERY_SECONDS
