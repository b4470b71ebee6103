"""A SQLite connection whose statements cross to the driver's thread and back once. aiosqlite crosses for the cursor, the
statement, its rows and the closing each, which was most of what a transaction cost. Opened by `core/db/engine.py`."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Self

import aiosqlite

READ_AHEAD = 1000  # rows that come with the statement; the ledger's check streams more than fit into memory


def connect(database: str, **options: Any) -> aiosqlite.Connection:
    """Not open yet; whoever awaits it opens it (SQLAlchemy's `async_creator_fn`)."""
    return OneHop(lambda: sqlite3.connect(database, **options))


class OneHop(aiosqlite.Connection):
    """Only the cursor is another one."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]):
        super().__init__(connector, READ_AHEAD)
        self._thread.daemon = (
            True  # as SQLAlchemy does: a connection that nobody closed must not keep the process
        )

    def cursor(self) -> Any:
        return _Cursor(self)

    async def hop(self, work: Callable[..., None], *arguments: Any) -> None:
        """`work(*arguments)` in the thread of the connection."""
        await self._execute(work, *arguments)  # pyright: ignore[reportUnknownMemberType] - aiosqlite leaves it untyped

    def raw_cursor(self) -> sqlite3.Cursor:
        """Called in the thread of the connection."""
        return self._conn.cursor()


class _Cursor:
    """What SQLAlchemy's adapter asks of a cursor of aiosqlite."""

    def __init__(self, connection: OneHop):
        self._connection = connection
        self._raw: sqlite3.Cursor | None = None
        self._rows: deque[Any] = deque()
        self._all_read = True
        self.arraysize = 1
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> Self:
        await self._connection.hop(self._run, sql, parameters, False)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Any]) -> Self:
        await self._connection.hop(self._run, sql, parameters, True)
        return self

    async def fetchone(self) -> Any:
        await self._at_least(1)
        return self._rows.popleft() if self._rows else None

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        wanted = size or self.arraysize
        await self._at_least(wanted)
        return [self._rows.popleft() for _ in range(min(wanted, len(self._rows)))]

    async def fetchall(self) -> list[Any]:
        while not self._all_read:
            await self._connection.hop(self._read, READ_AHEAD)
        rows, self._rows = self._rows, deque()
        return list(rows)

    async def close(self) -> None:
        self._rows.clear()
        if not self._all_read:
            self._all_read = True
            await self._connection.hop(self._end)

    async def _at_least(self, count: int) -> None:
        while len(self._rows) < count and not self._all_read:
            await self._connection.hop(self._read, max(READ_AHEAD, count))

    def _run(self, sql: str, parameters: Any, many: bool) -> None:
        self._raw = raw = self._connection.raw_cursor()
        self._rows.clear()
        if many:
            raw.executemany(sql, parameters)
        else:
            raw.execute(sql, parameters)
        self.description, self.lastrowid, self._all_read = raw.description, raw.lastrowid, False
        self._read(READ_AHEAD)

    def _read(self, count: int) -> None:
        if self._raw is None:
            return
        rows = self._raw.fetchmany(count) if self.description else []
        self._rows.extend(rows)
        self.rowcount = self._raw.rowcount  # complete once all rows that it returns are read
        if len(rows) < count:
            self._end()

    def _end(self) -> None:
        self._all_read = True
        if self._raw is not None:
            self._raw.close()
            self._raw = None
