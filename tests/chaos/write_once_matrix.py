"""The matrix behind "one note each": every vendor, every point of the reply machine, every fault of the ticket system.
A cell is a ticket, a process that is killed at the point, and a process that finishes. Run by `test_write_once.py` and by
`make bench ONLY=write_once`."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from sqlalchemy import select

from core.access.tables import Organisation
from core.db.engine import Database
from core.db.migrate import upgrade
from core.db.unit_of_work import UnitOfWork
from core.replies.tables import Reply
from core.tasks.changes import corrected
from tests import factories
from tests.chaos.write_once_process import Ended, Order
from tests.chaos.write_once_vendors import TicketAt, Vendor

POINTS = tuple(
    f"{name}:{side}"
    for name in ("replies.compose", "replies.send", "ticket.write", "replies.record")
    for side in ("before", "after")
)
TIME_OUT = "time-out after"
FAULTS = ("none", "500 before", "reset before", "429", TIME_OUT, "reset after", "500 after")
AT_ONCE = 40  # cells together; nearly all of a cell is waiting
KILLED = -9
LEASE_SECONDS, LEASE_OF_TIME_OUT = 3, 20  # a lease outlives a call; the vendors' clients give one 10 to 15 s


@dataclass(frozen=True)
class Cell:
    vendor: str
    point: str
    fault: str
    correction: bool = False  # the note that tells that the answer was wrong, in place of the answer's own


@dataclass(frozen=True)
class Outcome:
    """What a cell ended with. `killed` is False when the life never came to its point; `late` tells that the fault met
    the process after the kill; `problem` is empty when there is one note, and the reply knows it."""

    cell: Cell
    killed: bool
    late: bool
    problem: str


@dataclass(frozen=True)
class Place:
    """A database with an organisation in it, and its URL."""

    url: str
    database: Database
    work: UnitOfWork
    organisation: Organisation


class Matrix:
    """Cells on a few databases, one after the other on each; their processes are forked from one."""

    def __init__(self, places: Sequence[Place], server: Processes):
        self._server = server
        self._free: asyncio.Queue[Place] = asyncio.Queue()
        for place in places:
            self._free.put_nowait(place)

    async def run(self, vendors: Sequence[Vendor], cells: Iterable[Cell]) -> list[Outcome]:
        known = {vendor.name: vendor for vendor in vendors}
        return await asyncio.gather(*(self._cell(known[cell.vendor], cell) for cell in cells))

    async def _cell(self, vendor: Vendor, cell: Cell) -> Outcome:
        """The fault meets the process that dies. Where it takes the life another way (a doubtful write is found again,
        and never passes the end of a good one), the life must end well without a kill, and a second ticket is killed
        first and faulted afterwards."""
        place = await self._free.get()
        try:
            first = await self._life(place, vendor, cell, late=False)
            if first.killed or first.problem:
                return first
            second = await self._life(place, vendor, cell, late=True)
            return second if second.killed else replace(second, problem=f"{cell.point} is never passed")
        finally:
            self._free.put_nowait(place)

    async def _life(self, place: Place, vendor: Vendor, cell: Cell, *, late: bool) -> Outcome:
        async with vendor.serve() as ticket:
            task_id, connector = await _prepare(place, ticket, correction=cell.correction)
            order = Order(
                number=0,
                vendor=vendor.name,
                connector=connector,
                url=ticket.url,
                database_url=place.url,
                task_id=task_id,
                crash_at=cell.point,
                lease_seconds=LEASE_OF_TIME_OUT if cell.fault == TIME_OUT else LEASE_SECONDS,
            )
            if not late:
                ticket.fault(cell.fault, False)
            scripted = ticket.waiting()
            killed = await self._server.run(order) == KILLED
            if late:
                ticket.fault(cell.fault, True)
                scripted = ticket.waiting()
            status = await self._server.run(msgspec.structs.replace(order, crash_at="")) if killed else 0
            met = cell.fault == "none" or ticket.waiting() < scripted
            problem = await _problem(place, ticket, task_id, status, met)
            return Outcome(cell, killed, late, problem)


async def _prepare(place: Place, ticket: TicketAt, *, correction: bool) -> tuple[str, str]:
    """A verified task that came from the ticket, its end, or that its answer was found wrong, not yet told to anybody."""
    async with place.work.begin("test.prepare") as tx:
        task = await factories.task(
            tx, place.organisation, environment="test", status="verified", funded=False
        )
        connector = f"cell-{task.id}"
        task.connector, task.ticket_id = connector, ticket.ticket_id
        task.escalation_key, task.output = ticket.ticket_id, {"answer": "Yes"}
        if correction:
            await corrected(tx, task, {"answer": "No"}, "It says no.", actor="test")
        else:
            tx.emit("task.ended", task.id)
    return task.id, connector


async def _problem(place: Place, ticket: TicketAt, task_id: str, status: int, met: bool) -> str:
    async with place.work.read() as session:
        rows = list(await session.scalars(select(Reply).where(Reply.task_id == task_id)))
    if status != 0:
        return f"the second process ended with {status}"
    if not met:
        return "the fault met nobody"
    if [row.state for row in rows] != ["delivered"]:
        return f"the replies are {[(row.state, row.error) for row in rows]}"
    notes = ticket.notes()
    if len(notes) != 1 or rows[0].marker not in notes[0]:
        return f"{len(notes)} notes: {notes}"
    return ""


class Processes:
    """The forking process (`write_once_process.py`), and who waits for which of its children."""

    def __init__(self, process: asyncio.subprocess.Process):
        self._process = process
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._count = 0

    async def run(self, order: Order) -> int:
        """The status that the order's process ended with."""
        assert self._process.stdin is not None
        self._count += 1
        ended = self._waiting[self._count] = asyncio.get_running_loop().create_future()
        numbered = msgspec.structs.replace(order, number=self._count)
        self._process.stdin.write(msgspec.json.encode(numbered) + b"\n")
        await self._process.stdin.drain()
        return await ended

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            ended = msgspec.json.decode(line, type=Ended)
            self._waiting.pop(ended.number).set_result(ended.status)
        for waiter in self._waiting.values():
            waiter.set_exception(RuntimeError("the forking process is gone"))


@asynccontextmanager
async def matrix(urls: Sequence[str], log: Path) -> AsyncIterator[Matrix]:
    """On these databases, migrated; as many cells go on at once as there are URLs (the same one may come again). What
    the processes log goes to `log`."""
    with log.open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.chaos.write_once_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=err,
        )
    server = Processes(process)
    listener = asyncio.create_task(server.listen())
    places: list[Place] = []
    try:
        places += [await _place(url) for url in urls]
        yield Matrix(places, server)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await listener
        for place in places:
            await place.database.close()


async def _place(url: str) -> Place:
    database = Database(url, pool_size=1)
    work = UnitOfWork(database)
    async with work.begin("test.seed") as tx:
        organisation = await factories.organisation(tx, environment="test")
    return Place(url, database, work, organisation)


async def sqlite_databases(folder: Path) -> list[str]:
    """A database for each cell that goes on at once, so that none waits for another's write; copies of one that is
    migrated."""
    first = Database(f"sqlite:///{folder}/first.db")
    await upgrade(first)
    await first.close()
    paths = [folder / f"{number}.db" for number in range(AT_ONCE)]
    for path in paths:
        shutil.copy(folder / "first.db", path)
    return [f"sqlite:///{path}" for path in paths]


def every_cell(
    vendors: Sequence[Vendor], faults: Sequence[str] = FAULTS, *, correction: bool = False
) -> list[Cell]:
    return [
        Cell(vendor.name, point, fault, correction)
        for vendor in vendors
        for point in POINTS
        for fault in faults
    ]


def table(outcomes: Sequence[Outcome]) -> str:
    """A line a vendor and point: `1` is one note, `1*` one note with the fault after the kill, `!` anything else."""
    faults = list(dict.fromkeys(outcome.cell.fault for outcome in outcomes))
    lines = [f"{'':45}" + "".join(f"{fault:>16}" for fault in faults)]
    rows: dict[tuple[str, str], dict[str, Outcome]] = {}
    for outcome in outcomes:
        rows.setdefault((outcome.cell.vendor, outcome.cell.point), {})[outcome.cell.fault] = outcome
    for (vendor, point), row in rows.items():
        signs = ["!" if (one := row[fault]).problem else "1*" if one.late else "1" for fault in faults]
        lines.append(f"{vendor:22}{point:23}" + "".join(f"{sign:>16}" for sign in signs))
    wrong = [f"{one.cell}: {one.problem}" for one in outcomes if one.problem]
    return "\n".join(
        [*lines, "1* the fault came after the kill: with it before, the point is not passed", *wrong]
    )
