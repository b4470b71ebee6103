"""Looks into the hub's database from outside, on a connection of its own, to see when something has been committed; and
measures what one commit costs there."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from sqlalchemy import make_url

POLL_SECONDS = 0.0005
COMMITS = 200


class Observer(Protocol):
    async def value(self, sql: str, argument: str) -> Any:
        """The first column of the first row of a query with one `$1`; None without a row."""
        ...

    async def commits(self) -> list[float]:
        """Seconds of `COMMITS` single inserts, each its own transaction."""
        ...


class PostgresObserver:
    def __init__(self, connection: Any):
        self._connection = connection

    async def value(self, sql: str, argument: str) -> Any:
        return await self._connection.fetchval(sql, argument)

    async def commits(self) -> list[float]:
        await self._connection.execute("CREATE TABLE IF NOT EXISTS bench_commits (n int)")
        found: list[float] = []
        for number in range(COMMITS):
            began = time.perf_counter()
            await self._connection.execute("INSERT INTO bench_commits VALUES ($1)", number)
            found.append(time.perf_counter() - began)
        return found


class SqliteObserver:
    """Commits go to a file of their own beside the hub's, with the hub's settings."""

    def __init__(self, connection: sqlite3.Connection, path: Path):
        self._connection = connection
        self._path = path

    async def value(self, sql: str, argument: str) -> Any:
        row = self._connection.execute(sql.replace("$1", "?"), (argument,)).fetchone()
        return None if row is None else row[0]

    async def commits(self) -> list[float]:
        scratch = sqlite3.connect(self._path.with_name("bench-commits.db"), isolation_level=None)
        scratch.execute("PRAGMA journal_mode = WAL")
        scratch.execute("PRAGMA synchronous = FULL")
        scratch.execute("CREATE TABLE IF NOT EXISTS bench_commits (n int)")
        found: list[float] = []
        for number in range(COMMITS):
            began = time.perf_counter()
            scratch.execute("INSERT INTO bench_commits VALUES (?)", (number,))
            found.append(time.perf_counter() - began)
        scratch.close()
        return found


@asynccontextmanager
async def observer(url: str) -> AsyncGenerator[Observer]:
    if make_url(url).get_backend_name() == "postgresql":
        connection = await asyncpg.connect(url)
        try:
            yield PostgresObserver(connection)
        finally:
            await connection.close()
    else:
        path = Path(str(make_url(url).database))
        file = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        try:
            yield SqliteObserver(file, path)
        finally:
            file.close()


async def until(look: Observer, sql: str, argument: str, seconds: float = 20) -> Any:
    """The value as soon as it is there. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while (found := await look.value(sql, argument)) is None:
            await asyncio.sleep(POLL_SECONDS)
    return found
