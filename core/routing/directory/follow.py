"""Keeps a directory of the database's workers in this process: read once, then what changed, four times a second.
`hub work` runs one (`following`); whoever routes asks `registry.follower_of`, and goes without when there is none."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import text

from core import clock
from core.db.engine import NOW_MS
from core.db.hot import for_dialect
from core.db.quick import opened
from core.db.unit_of_work import UnitOfWork, away
from core.errors import Unavailable
from core.routing.directory.bitmaps import Directory
from core.routing.directory.entry import ALL, LOADS, SOME, Entry, names
from core.routing.directory.registry import followers
from core.routing.directory.select import Selection, count_free, feasible, select
from core.routing.model import Question
from core.routing.times import KNOWN_OF_ALL, KNOWN_OF_SOME

log = logging.getLogger(__name__)

EVERY_SECONDS = 0.25
STALE_SECONDS = 3.0  # a directory that could not look for so long is not asked
KEEP_MS = 900_000  # changes are kept so long; who looked last before FORGOTTEN_MS reads everything anew
FORGOTTEN_MS = 600_000
PRUNE_SECONDS = 60.0
PRUNE_AT_ONCE = 20_000
REBUILD_SECONDS = 60.0
CHUNK = 20_000

# Where to go on from next time, the clock, and who changed since `$1`. PostgreSQL: no transaction before the oldest that
# runs now can still bring a change. SQLite has one writer, whose numbers come in the order of the commits.
_SINCE = {
    "postgresql": f"""
        SELECT here.at, here.now, c.worker_id, c.hot FROM (
            SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS at, {NOW_MS["postgresql"]} AS now) here
        LEFT JOIN (SELECT worker_id, bool_and(hot) AS hot FROM worker_changes WHERE xid >= $1::bigint
                   GROUP BY worker_id) c ON true""",  # noqa: S608 - text of ours
    "sqlite": f"""
        SELECT here.at, here.now, c.worker_id, c.hot FROM (
            SELECT coalesce(max(seq) + 1, ?1) AS at, {NOW_MS["sqlite"]} AS now FROM worker_changes WHERE seq >= ?1) here
        LEFT JOIN (SELECT worker_id, min(hot) AS hot FROM worker_changes WHERE seq >= ?1 GROUP BY worker_id) c""",  # noqa: S608 - text of ours
}
_HERE = {
    "postgresql": f"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, {NOW_MS['postgresql']}",
    "sqlite": "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'worker_changes'), 0) + 1, "  # noqa: S608 - text of ours
    + NOW_MS["sqlite"],
}
_PRUNE = """
    DELETE FROM worker_changes WHERE seq IN (
        SELECT seq FROM worker_changes WHERE at_ms < $1::bigint ORDER BY seq LIMIT $2::bigint)"""


class Place(NamedTuple):
    """How far a directory has read: see `_SINCE`; and the database's clock then."""

    at: int = 0
    seen_ms: int = 0


class Follower:
    """`directory` is None until it was read for the first time. `rebuilds` and `applied` count, for whoever watches."""

    def __init__(self, work: UnitOfWork):
        self.directory: Directory | None = None
        self.rebuilds = 0
        self.applied = 0
        self._work = work
        # Whoever routes waits for a look with a transaction open: looks have connections of their own.
        self._looks = UnitOfWork(work.database.apart())
        self.place = Place()
        self._looked = 0.0
        self._built = 0.0
        self._pruned = clock.monotonic()
        self._one = asyncio.Lock()
        self._read = asyncio.Event()

    @classmethod
    def with_directory(cls, work: UnitOfWork, directory: Directory, place: Place) -> Follower:
        """One that goes on from `place` with a directory that another has read, such as the process it was forked from."""
        follower = cls(work)
        follower.directory, follower.place = directory, place
        follower._built = clock.monotonic()
        return follower

    @property
    def fresh(self) -> bool:
        return self.directory is not None and clock.monotonic() - self._looked < STALE_SECONDS

    async def rebuild(self) -> None:
        """Everything anew, beside the directory that is in use until then. Raises Unavailable."""
        directory, place = await self._read_all()
        async with self._one:
            self.directory, self.place = directory, place
            self._built = self._looked = clock.monotonic()
            self.rebuilds += 1
            await self._catch_up()
        self._read.set()

    async def first_read(self, seconds: float) -> bool:
        """Wait until everything was read once; False when that takes longer than `seconds`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._read.wait(), seconds)
        return self._read.is_set()

    async def catch_up(self) -> None:
        """Take over what was committed before now. Raises Unavailable."""
        async with self._one:
            await self._catch_up()

    def select(
        self, question: Question, now_ms: int, seconds_left: float, most: int, *, with_asked: bool = True
    ) -> Selection:
        """See `select.py`; this and the next two of a directory that was forgotten meanwhile: nobody."""
        directory = self.directory or Directory()
        return select(directory, question, now_ms, seconds_left, most, with_asked=with_asked)

    def saw(self, xid: int) -> bool:
        """Whether what that transaction of PostgreSQL wrote was there when the directory looked last. `xid` is a row's `xmin`:
        32 bits of it, of which half are older than any other (https://www.postgresql.org/docs/18/transaction-id.html)."""
        return 0 < (self.place.at - xid) % 2**32 < 2**31

    @property
    def is_asking(self) -> bool:
        """Whether this process is giving something to somebody at this moment."""
        return self.directory is not None and bool(self.directory.asked)

    def feasible(self, question: Question, now_ms: int) -> bool:
        return feasible(self.directory or Directory(), question, now_ms)

    def count_free(self, environment: str) -> int:
        return count_free(self.directory or Directory(), environment)

    def asking(self, worker_id: str) -> Callable[[], None] | None:
        """This process is about to give them something: until the returned function is called, its other tasks count
        that with their load."""
        directory = self.directory
        rank = None if directory is None else directory.rank_of.get(worker_id)
        if directory is None or rank is None:
            return None
        directory.asked[rank] += 1

        def over() -> None:
            directory.asked[rank] -= 1
            if not directory.asked[rank]:
                del directory.asked[rank]

        return over

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; a database that is away is waited for."""
        while not stop.is_set():
            try:
                await self._round()
            except Unavailable as error:
                log.warning("the directory of workers waits for the database: %s", error.message)
            except Exception:
                log.exception("the directory of workers could not follow; it is read anew")
                self.directory = None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY_SECONDS)

    async def _round(self) -> None:
        if self.directory is None:
            await self.rebuild()
        elif self._out_of_order(self.directory):
            rebuilding = asyncio.create_task(self.rebuild())
            while not rebuilding.done():
                await self.catch_up()
                await asyncio.wait([rebuilding], timeout=EVERY_SECONDS)
            await rebuilding
        else:
            await self.catch_up()
        if clock.monotonic() - self._pruned > PRUNE_SECONDS:
            self._pruned = clock.monotonic()
            await self._prune()

    def _out_of_order(self, directory: Directory) -> bool:
        """Too many stand in a rank that is not theirs: a few do no harm, and reading a million takes seconds."""
        since = clock.monotonic() - self._built
        return directory.moved > max(16, len(directory) // 20) and since > REBUILD_SECONDS

    async def _read_all(self) -> tuple[Directory, Place]:
        dialect = self._work.database.dialect
        directory = Directory()
        async with self._looks.read(unlimited=True) as session:
            connection = await session.connection()
            place = Place(*(await connection.exec_driver_sql(_HERE[dialect])).one())
            rows = await connection.stream(text(ALL[dialect]), execution_options={"yield_per": CHUNK})
            async for chunk in rows.partitions(CHUNK):
                await asyncio.to_thread(directory.fill, [Entry(*row) for row in chunk])
            await asyncio.to_thread(directory.filled)
            rows = await connection.stream(
                text(KNOWN_OF_ALL[dialect]), execution_options={"yield_per": CHUNK}
            )
            async for chunk in rows.partitions(CHUNK):
                await asyncio.to_thread(_fill_known, directory, chunk)
            await asyncio.to_thread(directory.known.filled)
        return directory, place

    async def _catch_up(self) -> None:
        directory, dialect = self.directory, self._work.database.dialect
        if directory is None:
            return
        started = clock.monotonic()
        async with self._reading() as read:
            rows = await read(_SINCE[dialect], self.place.at)
            place = Place(*rows[0][:2])
            if place.seen_ms - self.place.seen_ms > FORGOTTEN_MS:
                self.directory = None  # some of what changed meanwhile may be forgotten
                return
            cold = [row[2] for row in rows if row[2] is not None and not row[3]]
            hot = [row[2] for row in rows if row[2] is not None and row[3]]
            if hot:
                for row in await read(LOADS[dialect], names(hot, dialect)):
                    directory.loaded(*row)
            if cold:
                entries = [Entry(*row) for row in await read(SOME[dialect], names(cold, dialect))]
                for worker_id in set(cold) - {entry.worker_id for entry in entries}:
                    directory.drop(worker_id)
                for entry in entries:
                    directory.put(entry)
            if hot or cold:
                whose = names([*directory.environment, *hot, *cold], dialect)
                for row in await read(KNOWN_OF_SOME[dialect], whose):
                    directory.known.put(directory.rank_of.get(row[0]), *row)
        directory.rest(place.seen_ms)
        self.applied += len(hot) + len(cold)
        self.place, self._looked = place, started

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncGenerator[Callable[..., Awaitable[Sequence[Any]]]]:
        """Statements of their own, on PostgreSQL without a transaction around them: somebody may be waiting for this."""
        if self._work.database.dialect == "postgresql":
            with away():
                async with opened("directory.look", self._looks.database.idle) as quick:
                    yield quick.read
            return
        async with self._looks.read() as session:
            connection = await session.connection()

            async def read(sql: str, *parameters: Any) -> Sequence[Any]:
                return (await connection.exec_driver_sql(sql, parameters)).all()

            yield read

    async def _prune(self) -> None:
        async with self._work.begin("directory.prune") as tx:
            sql = for_dialect(_PRUNE, tx.dialect)
            await tx.execute(sql, (await tx.now_ms() - KEEP_MS, PRUNE_AT_ONCE))


def _fill_known(directory: Directory, rows: Sequence[Any]) -> None:
    for row in rows:
        directory.known.fill(directory.rank_of.get(row[0]), *row)


@contextlib.asynccontextmanager
async def following(work: UnitOfWork) -> AsyncGenerator[Follower]:
    """Keeps a directory from here on; who routes meanwhile does without until it is there. Not cancelled at the end: a
    statement that is cut short takes its connection with it."""
    follower = Follower(work)
    followers[work.database] = follower
    stop = asyncio.Event()
    running: asyncio.Task[Any] = asyncio.create_task(follower.run(stop))
    try:
        yield follower
    finally:
        stop.set()
        await running
        followers.pop(work.database, None)
