"""Connections that the quick lanes (`quick.py`) hand on among themselves: taking one from SQLAlchemy's pool and giving it back
costs as much as two statements on it. Held by `core/db/engine.py`, one for each database."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core import clock

_KEEP_SECONDS = 300.0  # then it goes back to the pool, which closes what has grown old


class Drawn(NamedTuple):
    """A connection of the pool, its driver, and when it was taken."""

    connection: AsyncConnection
    driver: Any
    since: float


class Idle:
    """At most `most` of the pool's connections, between two uses. They count as taken there: the rest of the pool is for
    whoever else asks, so `most` is less than the pool gives out."""

    def __init__(self, engine: AsyncEngine, most: int):
        self._engine = engine
        self._most = most
        self._free: list[Drawn] = []

    async def draw(self) -> Drawn:
        """The one that was used last, or a new one. Raises what the pool raises."""
        while self._free:
            drawn = self._free.pop()
            if not drawn.driver.is_closed():
                return drawn
            await self.lost(drawn, None)
        connection = await self._engine.connect()
        try:
            driver = (await connection.get_raw_connection()).driver_connection
        except BaseException:  # cancelled in between: nobody else would give it back
            await asyncio.shield(asyncio.ensure_future(connection.close()))
            raise
        return Drawn(connection, driver, clock.monotonic())

    async def put(self, drawn: Drawn) -> None:
        """After a use that ended well."""
        if len(self._free) < self._most and clock.monotonic() - drawn.since < _KEEP_SECONDS:
            self._free.append(drawn)
        else:
            await self.back(drawn)

    async def back(self, drawn: Drawn) -> None:
        """To the pool, which cleans it up. Not cut short: that would lose the connection to both."""
        await asyncio.shield(asyncio.ensure_future(drawn.connection.close()))

    async def lost(self, drawn: Drawn, error: BaseException | None) -> None:
        """Its server has gone: the pool makes another."""
        await drawn.connection.invalidate(error)
        await self.back(drawn)

    async def close(self) -> None:
        while self._free:
            await self.back(self._free.pop())
