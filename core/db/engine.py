"""Opens SQLite (WAL, the embedded default) or PostgreSQL. Used by `hub/wiring.py` and the tests, once per process."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import Connection, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.db import one_hop
from core.db.driver import connect_postgres
from core.db.idle import Idle

# The database's own clock in milliseconds UTC, as an SQL expression. Leases and due times are compared on it alone,
# so that two machines with different clocks agree. julianday keeps 0.04 ms; SQLite 3.40 has no unixepoch('subsec').
NOW_MS = {
    "postgresql": "(extract(epoch from clock_timestamp()) * 1000)::bigint",
    "sqlite": "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)",
}

_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a 2xx means on disk; group commit pays for it
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 10000",
    "PRAGMA temp_store = MEMORY",
)

_POSTGRES_SETTINGS = {
    "application_name": "hub",
    "lock_timeout": "5000",
    "statement_timeout": "15000",
    "idle_in_transaction_session_timeout": "30000",
    "jit": "off",  # our statements are short; compiling them costs more than running them
}

# The first statement of a transaction that may take as long as it must: a migration, a check of years of postings.
UNLIMITED = """
    SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN ('statement_timeout', 'transaction_timeout')
"""


class Database:
    """One engine and what differs between the two databases. `writer` serialises the writers of this process on
    SQLite, whose own busy handler would make them sleep up to 100 ms at a time."""

    def __init__(self, url: str, *, pool_size: int = 8):
        parsed = make_url(url)
        self._url = url
        self._apart: Database | None = None
        self.dialect = parsed.get_backend_name()
        self.now_sql = NOW_MS[self.dialect]
        self.writer: asyncio.Lock | None = None
        if self.dialect == "sqlite":
            self.writer = asyncio.Lock()
            self.engine: AsyncEngine = create_async_engine(
                parsed.set(drivername="sqlite+aiosqlite"),
                connect_args={"isolation_level": None, "timeout": 10, "async_creator_fn": one_hop.connect},
                pool_size=pool_size,
                max_overflow=8,
            )
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)
        else:
            self.engine = create_async_engine(
                parsed.set(drivername="postgresql+asyncpg"),
                connect_args={
                    "server_settings": _POSTGRES_SETTINGS,
                    "timeout": 5,
                    "async_creator_fn": connect_postgres,
                },
                pool_size=pool_size,
                max_overflow=4,
                pool_pre_ping=False,  # a dead connection is an Unavailable and a retry; a ping a request is a tax
                pool_recycle=1800,
            )
        self.idle = Idle(self.engine, most=pool_size // 2)

    def apart(self) -> Database:
        """The same database over connections of its own, for a look that others wait for while they hold theirs: from one
        pool, all could be held by those who wait, and none be left for what they wait for. Closed with this one."""
        if self._apart is None:
            self._apart = Database(self._url, pool_size=2)
        return self._apart

    async def close(self) -> None:
        if self._apart is not None:
            await self._apart.close()
        await self.idle.close()
        await self.engine.dispose()


def _prepare_sqlite(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Writers take the lock at once: a deferred transaction that upgrades can fail with no chance to wait."""
    reading = connection.get_execution_options().get("reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
