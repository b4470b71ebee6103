"""One round of work for all who ask for it while another goes on. Used by `actions.offer_waiting`: when many hands become free
at once, each announces it with a job of its own, and every one of them would read the same waiting tasks.

Who comes while a round runs is not served by it, which may have read before they were there: they share the next one. So
nothing that was announced is lost, and there are two rounds in place of a hundred."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

Of = TypeVar("Of")
Result = TypeVar("Result")


class Rounds(Generic[Of]):
    """Of each `of` (a database, and what name under it) one round at a time in this process."""

    def __init__(self) -> None:
        self._by_place: WeakKeyDictionary[Of, dict[str, _Place]] = WeakKeyDictionary()

    async def joined(self, of: Of, name: str, act: Callable[[], Awaitable[Result]]) -> Result | None:
        """What `act` gave; None when somebody else's round, begun after this call, did it. One that failed is its own caller's
        fault to hear of: the others have another."""
        place = self._by_place.setdefault(of, {}).setdefault(name, _Place())
        while place.next is not None:
            if await place.next.well():
                return None
        mine = place.next = _Round()
        try:
            async with place.lock:
                place.next = None  # who comes from here on is for another
                result = await act()
                mine.good = True
                return result
        finally:
            if place.next is mine:  # stopped while it waited for the one before
                place.next = None
            mine.over.set()


class _Round:
    def __init__(self) -> None:
        self.good = False
        self.over = asyncio.Event()

    async def well(self) -> bool:
        """Once it is over, whether it went well."""
        await self.over.wait()
        return self.good


class _Place:
    """The round that goes on holds the lock; `next` waits for it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.next: _Round | None = None
