"""One statement on the driver of a connection of SQLAlchemy's pool, past its cursors, results and greenlets, which cost
three times what the statement itself costs the process. Errors are those that SQLAlchemy would raise. Used by
`Transaction.execute` alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, cast

from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.one_hop import OneHop

PREPARED = 300  # statements that a connection to PostgreSQL keeps prepared
_COUNT = re.compile(r"(?:SELECT|UPDATE|DELETE|INSERT \d+) (\d+)")

Row = tuple[Any, ...]


class Found:
    """What a statement gave: all of its rows, as tuples, and how many it read or wrote (-1: not known)."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: Sequence[Row], rowcount: int):
        self._rows = rows
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def all(self) -> Sequence[Row]:
        return self._rows

    def first(self) -> Row | None:
        return self._rows[0] if self._rows else None

    def one_or_none(self) -> Row | None:
        """Raises ValueError for more than one row."""
        if len(self._rows) > 1:
            raise ValueError(f"one row was expected, {len(self._rows)} were found")
        return self.first()

    def one(self) -> Row:
        """Raises ValueError unless there is exactly one row."""
        row = self.one_or_none()
        if row is None:
            raise ValueError("one row was expected, none was found")
        return row

    def scalar(self) -> Any:
        """The first column of the first row; None without a row."""
        return self._rows[0][0] if self._rows else None

    def scalar_one(self) -> Any:
        """Raises ValueError unless there is exactly one row."""
        return self.one()[0]

    def scalar_one_or_none(self) -> Any:
        row = self.one_or_none()
        return None if row is None else row[0]

    def scalars(self) -> list[Any]:
        """The first column of every row."""
        return [row[0] for row in self._rows]


class Straight:
    """The driver behind one connection, for the time of one transaction that has begun on it."""

    def __init__(self, connection: AsyncConnection, pooled: Any):
        self._connection = connection
        self._driver: Any = pooled.driver_connection
        self._adapter: Any = pooled.dbapi_connection
        self._prepared: dict[str, Any] = pooled.info.setdefault("straight", {})  # goes with the connection

    @classmethod
    async def on(cls, connection: AsyncConnection) -> Straight:
        """SQLAlchemy sends PostgreSQL's BEGIN before a first statement of its own alone; SQLite's is sent already."""
        made = cls(connection, await connection.get_raw_connection())
        if connection.dialect.name == "postgresql" and made._adapter._transaction is None:
            try:
                await made._adapter._start_transaction()
            except BaseException as error:  # noqa: BLE001 - as in `execute`
                await made._refused(error, "BEGIN", ())
        return made

    async def execute(self, sql: str, parameters: Any = ()) -> Found:
        """A list of tuples runs the statement for each of them. Raises what SQLAlchemy raises."""
        try:
            if isinstance(self._driver, OneHop):
                return await self._sqlite(sql, parameters)
            return await self._postgres(sql, parameters)
        except BaseException as error:  # noqa: BLE001 - a cancelled statement leaves a connection that nobody may use
            await self._refused(error, sql, parameters)

    async def _sqlite(self, sql: str, parameters: Any) -> Found:
        found: list[Found] = []

        def run() -> None:
            cursor = cast("OneHop", self._driver).raw_cursor()
            try:
                if isinstance(parameters, list):
                    cursor.executemany(sql, cast("list[Row]", parameters))
                else:
                    cursor.execute(sql, parameters)
                rows = cursor.fetchall() if cursor.description else ()
                found.append(Found(rows, cursor.rowcount))
            finally:
                cursor.close()

        await cast("OneHop", self._driver).hop(run)
        return found[0]

    async def _postgres(self, sql: str, parameters: Any) -> Found:
        prepared = self._prepared.get(sql)
        if prepared is None:
            if len(self._prepared) >= PREPARED:  # the oldest: which are asked for often come back, once
                del self._prepared[next(iter(self._prepared))]
            prepared = self._prepared[sql] = await self._driver.prepare(sql)
        if isinstance(parameters, list):
            await prepared.executemany(parameters)
            return Found((), -1)
        rows = await prepared.fetch(*parameters)
        counted = _COUNT.match(prepared.get_statusmsg() or "")
        return Found([tuple(row) for row in rows], int(counted.group(1)) if counted else -1)

    async def _refused(self, error: BaseException, sql: str, parameters: Any) -> NoReturn:
        """Has SQLAlchemy make its error of the driver's and throw a broken connection away."""
        if not str(getattr(error, "sqlstate", "")).startswith(
            "23"
        ):  # what a migration outdated is prepared anew
            self._prepared.clear()

        def judge(connection: Any) -> None:  # in a greenlet of its own, where no error is being handled yet
            try:
                if not isinstance(error, Exception) or isinstance(error, TimeoutError):
                    raise error
                self._adapter._handle_exception(error)  # translates and raises
            except BaseException as raised:
                ended = not isinstance(raised, Exception) or isinstance(raised, TimeoutError)
                if not ended and not isinstance(raised, connection.dialect.loaded_dbapi.Error):
                    raise  # a value that no column takes, a bug, a network that is gone
                connection._handle_dbapi_exception(raised, sql, parameters, None, None)

        await self._connection.run_sync(judge)
        raise AssertionError("a refused statement raises")
