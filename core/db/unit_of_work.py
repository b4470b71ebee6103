"""The place that commits (single statements of two hot lanes: `quick.py`, opened from here). One `begin` is one transaction: state changes, their jobs (outbox rows) and their
audit entries become true together, then the queue is nudged. Called by every action's caller: API, jobs, pages, CLI."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextvars import ContextVar
from typing import Any, Protocol

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from core import crash
from core.db.engine import UNLIMITED, Database
from core.db.quick import Quick, opened
from core.db.straight import Found, Straight
from core.errors import Unavailable
from core.outbox import rows
from core.outbox.rows import Lease, NewJob

log = logging.getLogger(__name__)

Nudge = Callable[[list[NewJob]], Awaitable[None]]

_open: ContextVar[str | None] = ContextVar("open_transaction", default=None)


def refuse_open_transaction() -> None:
    """Called before every network call: a transaction held across one would hold its locks for as long as a
    stranger likes. Raises RuntimeError, because it is a bug of ours."""
    name = _open.get()
    if name is not None:
        raise RuntimeError(f"network call inside the open transaction {name!r}")


class AtEnd(Protocol):
    """A function whose writes belong at the end of a transaction; see `Transaction.at_end`."""

    __module__: str
    __qualname__: str

    def __call__(self, tx: Transaction, items: list[Any], /) -> Awaitable[None]: ...


class Transaction:
    """What an action writes through. `session` for the ORM, `execute` for the hot statements, `emit` for jobs."""

    def __init__(self, name: str, session: AsyncSession, database: Database):
        self.name = name
        self.session = session
        self.database = database
        self.jobs: list[NewJob] = []
        self._last: dict[AtEnd, list[Any]] = {}
        self._now_ms: int | None = None
        self._connection: AsyncConnection | None = None
        self._straight: Straight | None = None

    @property
    def dialect(self) -> str:
        return self.database.dialect

    async def connection(self) -> AsyncConnection:
        if self._connection is None:
            self._connection = await self.session.connection()
        return self._connection

    async def execute(self, sql: str, parameters: Any = ()) -> Found:
        """One driver statement (`?` or `$1` by dialect); a list of tuples runs it for each."""
        if self._straight is None:
            self._straight = await Straight.on(await self.connection())
        return await self._straight.execute(sql, parameters)

    async def now_ms(self) -> int:
        """The database's clock, read once a transaction."""
        if self._now_ms is None:
            result = await self.execute(f"SELECT {self.database.now_sql}")
            self._now_ms = int(result.scalar_one())
        return self._now_ms

    def saw_now(self, ms: int) -> None:
        """A statement has read the clock on its way; no need to ask for it."""
        if self._now_ms is None:
            self._now_ms = ms

    def emit(
        self,
        topic: str,
        subject: str,
        *,
        body: dict[str, Any] | None = None,
        delay: float = 0,
        queue: str = "default",
        key: str | None = None,
    ) -> None:
        """A job that becomes true with this commit. `delay` is in seconds on the database's clock; a second job
        with the same `key` is dropped in silence, which is how a repeated action stays one job."""
        self.jobs.append(NewJob.make(topic, subject, body=body, delay=delay, queue=queue, key=key))

    def at_end(self, act: AtEnd, item: Any) -> None:
        """Have `act` called once with every item it was given, as the last thing before the jobs and the commit. For rows
        that all transactions share: they are locked for the moment of the commit alone, and after everything else, so
        that nobody who holds one waits for a task, a worker or an account."""
        self._last.setdefault(act, []).append(item)

    async def finish(self) -> None:
        """Called by the unit of work before it commits."""
        for act in sorted(self._last, key=lambda act: f"{act.__module__}.{act.__qualname__}"):
            await act(self, self._last[act])


class UnitOfWork:
    """Opens transactions on one database and nudges the queue after each commit."""

    def __init__(self, database: Database, nudge: Nudge | None = None):
        self.database = database
        self.nudge = nudge

    @contextlib.asynccontextmanager
    async def begin(self, name: str) -> AsyncGenerator[Transaction]:
        """One writing transaction, with the crash points `<name>:before` and `<name>:after`.
        Raises Unavailable when the database is away; nothing is written then (a lost answer to COMMIT included:
        callers carry keys that make a second try harmless)."""
        if _open.get() is not None:
            raise RuntimeError(f"transaction {name!r} inside {_open.get()!r}")
        token = _open.set(name)
        try:
            async with (
                _serialised(self.database),
                AsyncSession(self.database.engine, expire_on_commit=False) as session,
            ):
                tx = Transaction(name, session, self.database)
                with away():
                    yield tx
                    await tx.finish()
                    await rows.insert(tx, tx.jobs)
                    await session.flush()
                    crash.reach(f"{name}:before")
                    await session.commit()
                crash.reach(f"{name}:after")
        finally:
            _open.reset(token)
        await self._nudge([job for job in tx.jobs if job.delay_ms == 0])

    @contextlib.asynccontextmanager
    async def quick(self, name: str) -> AsyncGenerator[Quick]:
        """PostgreSQL only: statements that are transactions of their own, with the crash points and errors of `begin`."""
        if _open.get() is not None:
            raise RuntimeError(f"transaction {name!r} inside {_open.get()!r}")
        with away():
            async with opened(name, self.database.idle) as quick:
                yield quick
        await self._nudge(quick.jobs)

    @contextlib.asynccontextmanager
    async def read(self, *, unlimited: bool = False) -> AsyncGenerator[AsyncSession]:
        """A session for queries alone; on SQLite it does not take the writers' lock. `unlimited`: for as long as it takes,
        where the queries go through years of rows."""
        with away():  # around the connecting too: that is where a dead database shows
            async with self.database.engine.connect() as connection:
                await connection.execution_options(reading=True)
                async with AsyncSession(connection, expire_on_commit=False) as session:
                    if unlimited and self.database.dialect == "postgresql":
                        await session.execute(text(UNLIMITED))
                    yield session

    @contextlib.asynccontextmanager
    async def fenced(self, lease: Lease, name: str) -> AsyncGenerator[Transaction]:
        """A transaction in the middle of a job: renews the lease, and raises LeaseLost when somebody else has it,
        so that a process that slept past its lease writes nothing."""
        async with self.begin(name) as tx:
            await rows.renew(tx, lease)
            yield tx

    @contextlib.asynccontextmanager
    async def finishing(self, lease: Lease, name: str) -> AsyncGenerator[Transaction]:
        """The last transaction of a job: its effects and `done` become true together, or neither does."""
        async with self.begin(name) as tx:
            await rows.done(tx, lease)
            yield tx

    async def _nudge(self, jobs: list[NewJob]) -> None:
        if not jobs or self.nudge is None:
            return
        try:
            await self.nudge(jobs)
        except Exception as error:  # noqa: BLE001 - the sweep finds what a lost nudge leaves behind
            log.warning("nudge of %d jobs lost: %r", len(jobs), error)


@contextlib.asynccontextmanager
async def _serialised(database: Database) -> AsyncGenerator[None]:
    if database.writer is None:
        yield
        return
    async with database.writer:
        yield


@contextlib.contextmanager
def away() -> Generator[None]:
    """Driver faults become Unavailable; constraint violations, our own errors and our own bugs pass unchanged."""
    try:
        yield
    except (PoolTimeout, ConnectionError) as error:
        raise Unavailable(
            "database_unavailable", "The database does not answer; nothing was changed"
        ) from error
    except DBAPIError as error:
        if error.connection_invalidated or _is_away(error):
            raise Unavailable(
                "database_unavailable", f"The database does not answer; nothing was changed ({error.orig})"
            ) from error
        raise


# What asyncpg's dialect hands on as a bare DBAPIError and passes by itself: a lock not had in time, a deadlock, a
# conflict of snapshots, a session that was ended (by an operator or by a limit). https://www.postgresql.org/docs/18/errcodes-appendix.html
_POSTGRES_AWAY = frozenset(
    {"55P03", "40P01", "40001", "57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "53300"}
)

# SQLite calls everything an OperationalError, a missing table too; these are the ones that pass by themselves.
_SQLITE_AWAY = ("locked", "busy", "unable to open", "disk", "readonly", "full")


def _is_away(error: DBAPIError) -> bool:
    if getattr(error.orig, "sqlstate", None) in _POSTGRES_AWAY:
        return True
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    said = str(error.orig).lower()
    return "sqlite" not in type(error.orig).__module__ or any(word in said for word in _SQLITE_AWAY)
