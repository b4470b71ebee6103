"""The matrix behind "never twice, never lost": every point of a payout where its process dies, every fate of the payment,
the rail restarted or not. Judged by the node's own book. Run by `test_payout_matrix.py` and `make bench ONLY=crash`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from msgspec.structs import replace

from connectors.rails.sandbox import FILE_NAME
from connectors.rails.sandbox_book import Fault
from connectors.rails.sandbox_controls import SandboxControls
from core import clock
from core.errors import Unavailable
from core.payouts.queries import payouts_of
from core.payouts.rail import Outcome as PaymentOutcome
from core.payouts.states import PayoutState
from tests.chaos.payout_children import Child, Children, children
from tests.chaos.payout_judge import Paid, Verdict, judge
from tests.chaos.payout_place import Place, answered, open_place
from tests.chaos.payout_points import WIRE, Blow, Clock, Point, Receiver
from tests.chaos.payout_process import NodeOrder, WorkerOrder
from tests.chaos.payout_wire import Wire
from tests.wait import wait_until

AT_ONCE = 24  # cells together; nearly all of a cell is waiting
KILLED = -9
MISSED = " was not passed"  # on a slow machine the worker hangs up before the answer comes, and nothing strikes there
STRIKES_MISSED = 3  # lives that may miss their strike; they are judged all the same
LEASE_SECONDS = 5
GRACE_SECONDS = 7  # longer than the lease, as in the real settings (30 and 120)
LATER_SECONDS = 3.5  # longer than the rail waits for its answer
PATIENCE = 600.0  # of a machine that does much else
SHORT_SECONDS = 75  # a wallet must give at least a minute
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
WRONG_SECONDS = 10.0  # longer than the lease and the grace
SCRIPT = {
    Receiver.LATER: Fault.SETTLE_LATER,
    Receiver.FAILS: Fault.FAIL,
    Receiver.NEVER: Fault.HANG,
    Receiver.FROZEN: Fault.HANG,
}
_JUMP = {
    Clock.RIGHT: (0, False),
    Clock.AHEAD: (HOUR_MS, False),
    Clock.BEHIND: (-HOUR_MS, False),
    Clock.MACHINE_AHEAD: (HOUR_MS, True),
    Clock.MACHINE_BEHIND: (-HOUR_MS, True),
}


@dataclass(frozen=True)
class Cell:
    point: Point
    receiver: Receiver
    blow: Blow = Blow.KILL
    restart: bool = False
    clock: Clock = Clock.RIGHT


@dataclass(frozen=True)
class Outcome:
    cell: Cell
    verdict: Verdict
    seconds: float


@dataclass
class Life:
    """One cell while it goes on. `seen` are the states in which its payout was found, `words` what its worker read."""

    cell: Cell
    place: Place
    folder: Path
    order: WorkerOrder
    worker_id: str
    wire: Wire
    controls: SandboxControls
    node: Child
    seen: set[PayoutState] = field(default_factory=set)
    words: set[str] = field(default_factory=set)


class Outage:
    """All cells that wait here meet one death and new start of their database."""

    def __init__(self, expected: int, restart: Callable[[], None]):
        self._left = expected
        self._restart = restart
        self._over = asyncio.Event()

    async def arrive(self) -> None:
        self._left -= 1
        if self._left == 0:
            await asyncio.to_thread(self._restart)
            self._over.set()
        await asyncio.wait_for(self._over.wait(), PATIENCE)


class Matrix:
    """Cells on a few databases, one after the other on each; their processes are forked from one."""

    def __init__(self, places: Sequence[Place], processes: Children, outage: Outage | None = None):
        self._processes = processes
        self._outage = outage
        self._numbers = count(1)
        self._free: asyncio.Queue[Place] = asyncio.Queue()
        for place in places:
            self._free.put_nowait(place)

    async def run(self, cells: Iterable[Cell]) -> list[Outcome]:
        return list(await asyncio.gather(*(self._cell(cell) for cell in cells)))

    async def _cell(self, cell: Cell) -> Outcome:
        place = await self._free.get()
        began = clock.monotonic()
        try:
            verdict = await self._tried(cell, place)
            for _ in range(STRIKES_MISSED):
                if not verdict.problem.endswith(MISSED):
                    break
                verdict = await self._tried(cell, place)
        finally:
            self._free.put_nowait(place)
        return Outcome(cell, verdict, clock.monotonic() - began)

    async def _tried(self, cell: Cell, place: Place) -> Verdict:
        folder = place.folder / f"cell{next(self._numbers)}"
        folder.mkdir()
        try:
            async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
                life = await self._begin(cell, place, folder, stack)
                problem = await self._live(life)
                return await self._judge(life, problem)
        except (TimeoutError, AssertionError) as error:
            return Verdict(problem=f"{type(error).__name__}: {error}")

    async def _begin(self, cell: Cell, place: Place, folder: Path, stack: AsyncExitStack) -> Life:
        socket = folder / "node.sock"
        controls = SandboxControls(folder / FILE_NAME)
        if cell.receiver in SCRIPT:
            controls.add_fault(SCRIPT[cell.receiver], seconds=LATER_SECONDS)
        node = await self._node(folder, socket, seconds=_life_of_invoices(cell))
        stack.push_async_callback(node.kill)
        wire = await stack.enter_async_context(Wire(socket))
        task_id, submission_id, worker_id = await answered(place)
        (folder / "macaroon").write_text("0201")
        order = WorkerOrder(
            number=0,
            database_url=place.url,
            task_id=task_id,
            submission_id=submission_id,
            rail="lnd",
            options={
                "url": wire.url,
                "macaroon": f"file:{folder / 'macaroon'}",
                "network": "bcrt",
                "answer_timeout": 2,
            },
            address_url=wire.url,
            crash_at="",
            lease_seconds=LEASE_SECONDS,
            grace_seconds=GRACE_SECONDS,
        )
        return Life(cell, place, folder, order, worker_id, wire, controls, node)

    async def _node(self, folder: Path, socket: Path, *, clock_ms: int = 0, seconds: int = 3_600) -> Child:
        socket.unlink(missing_ok=True)
        node = await self._processes.start(
            NodeOrder(
                number=0,
                folder=str(folder),
                socket=str(socket),
                clock_ms=clock_ms,
                invoice_seconds=seconds,
            )
        )
        await wait_until(lambda: socket.exists() or node.ended.done(), timeout=PATIENCE / 3)
        return node

    async def _live(self, life: Life) -> str:
        """To the end of its last worker; gives what went wrong on the way."""
        *leading, last = life.cell.point.strikes
        for strike in leading:
            child = await self._worker(life, strike, Blow.KILL)
            if await child.over() != KILLED:
                return f"{strike}{MISSED}"
        struck = await self._worker(life, last, life.cell.blow)
        if not await _struck(struck, life.cell.blow):
            return f"{last}{MISSED}"
        if life.cell.restart:
            await life.node.kill()
            life.node = await self._node(
                life.folder, life.folder / "node.sock", seconds=_life_of_invoices(life.cell)
            )
        if life.cell.blow is Blow.DATABASE:
            assert self._outage is not None
            await self._outage.arrive()
            life.wire.release()
            await struck.wake()
            await self._until_ended(life, struck)
            return _ending("the worker", await struck.over())
        if life.cell.clock is not Clock.RIGHT:
            return await self._wrong_clock(life)
        second = await self._processes.start(life.order)
        if life.cell.blow is Blow.KILL:
            await self._until_ended(life, second)
            return _ending("the second worker", await second.over())
        await self._until_ended(life, second, sleeper=struck)
        life.wire.release()
        await struck.wake()
        await asyncio.wait((second.ended, struck.ended))
        return _ending("the second worker", await second.over()) or _ending(
            "the sleeper", await struck.over()
        )

    async def _wrong_clock(self, life: Life) -> str:
        """The next worker's clock is wrong, for a while. Then it is right; for what is due by a clock that was ahead, an
        hour goes by first."""
        shift, machine = _JUMP[life.cell.clock]
        second = await self._processes.start(
            replace(life.order, clock_ms=shift, machine=machine, seconds=WRONG_SECONDS)
        )
        await self._until_ended(life, second)
        later = shift + 10 * MINUTE_MS if machine and shift > 0 else 0
        if later:
            await life.node.kill()
            life.node = await self._node(life.folder, life.folder / "node.sock", clock_ms=later)
        third = await self._processes.start(replace(life.order, clock_ms=later, machine=later > 0))
        await self._until_ended(life, third)
        return _ending("the worker with a wrong clock", await second.over()) or _ending(
            "the last worker", await third.over()
        )

    async def _worker(self, life: Life, strike: str, blow: Blow) -> Child:
        """A worker that will be struck there."""
        stop = blow is not Blow.KILL
        if not strike.startswith(WIRE):
            return await self._processes.start(replace(life.order, crash_at=f"{strike}:1", stop=stop))
        begun: asyncio.Future[Child] = asyncio.get_running_loop().create_future()

        async def hit() -> None:
            child = await begun
            await (child.freeze() if stop else child.kill())

        life.wire.arm(strike.removeprefix(WIRE), hit)
        begun.set_result(await self._processes.start(life.order))
        return begun.result()

    async def _until_ended(self, life: Life, child: Child, *, sleeper: Child | None = None) -> None:
        """Watch what the worker reads; decide what is held, once the hub has its doubt. A sleeper wakes up in the midst
        of the doubt where there is one."""
        held = life.cell.receiver in (Receiver.NEVER, Receiver.FROZEN)
        while not child.ended.done():
            state = await _look(life)
            if held and state is PayoutState.UNKNOWN and _held(life.controls):
                if sleeper is not None:
                    life.wire.release()
                    await sleeper.wake()
                    await asyncio.sleep(1.0)  # it does what it was about to do, while the doubt lasts
                    await _look(life)
                life.controls.release(settle=life.cell.receiver is Receiver.FROZEN)
                held = False
            await asyncio.wait((child.ended,), timeout=0.4)

    async def _judge(self, life: Life, problem: str) -> Verdict:
        await _look(life)
        paid = [
            Paid(payment_hash=one.payment_hash, amount_msat=one.amount_msat, times=one.settled_count)
            for one in life.controls.payments()
            if one.settled_count
        ]
        return await judge(
            life.place.work,
            life.order.task_id,
            paid,
            problem=problem,
            attempts=_invoices(life.cell),
            doubted=life.cell.receiver in (Receiver.NEVER, Receiver.FROZEN),
            seen=life.seen,
            words=life.words,
        )


async def _struck(child: Child, blow: Blow) -> bool:
    if blow is Blow.KILL:
        return await child.over() == KILLED
    stopped = asyncio.create_task(child.stopped.wait())
    await asyncio.wait((stopped, child.ended), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    return child.stopped.is_set()


async def _look(life: Life) -> PayoutState | None:
    """What the worker's page says now; None before there is a payout."""
    try:
        async with life.place.work.read() as session:
            page = await payouts_of(session, life.worker_id)
    except Unavailable:
        return None  # the database is being restarted
    if not page.items:
        return None
    life.seen.add(page.items[0].state)
    life.words.add(page.items[0].words)
    return page.items[0].state


def _life_of_invoices(cell: Cell) -> int:
    """Where a payment fails that was sent twice, its successor waits for the end of the invoice."""
    return SHORT_SECONDS if cell.receiver in (Receiver.FAILS, Receiver.NEVER) else 3_600


def _invoices(cell: Cell) -> int | None:
    """One. Any number when they are short, or when hub and database agree on a wrong time: they may end before they are
    sent, or seem to."""
    wrong = cell.clock in (Clock.MACHINE_AHEAD, Clock.MACHINE_BEHIND)
    return None if wrong or cell.receiver in (Receiver.FAILS, Receiver.NEVER) else 1


def _held(controls: SandboxControls) -> bool:
    return any(one.state is PaymentOutcome.IN_FLIGHT for one in controls.payments())


def _ending(who: str, status: int) -> str:
    return "" if status == 0 else f"{who} ended with {status}"


@asynccontextmanager
async def matrix(urls: Sequence[str], folder: Path, outage: Outage | None = None) -> AsyncIterator[Matrix]:
    """On these databases, migrated; as many cells go on at once as there are URLs (the same one may come again). What
    the processes log goes to `folder/processes.log`."""
    places: list[Place] = []
    try:
        places += [await open_place(url, folder) for url in urls]
        async with children(folder / "processes.log") as processes:
            yield Matrix(places, processes, outage)
    finally:
        for place in places:
            await place.database.close()
