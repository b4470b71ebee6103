"""The crash matrix on two real Electrum nodes: a worker is killed at a point while bob takes the payment, stands still, does
not know it or cannot be reached, or while alice, who pays, is killed too. What both nodes have in their histories is the
oracle. Run by `test_crash_cells.py` and `make bench ONLY=crash`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from msgspec.structs import replace

from core import clock
from core.payouts.prepare import LEAST_LEFT_MS
from core.payouts.queries import payouts_of
from core.payouts.states import PayoutState
from tests.chaos.payout_children import Child, Children, children
from tests.chaos.payout_judge import Paid, Verdict, judge
from tests.chaos.payout_place import Place, answered, open_place, sqlite_databases
from tests.chaos.payout_points import POINTS, WIRE, Point
from tests.chaos.payout_process import WorkerOrder
from tests.chaos.payout_wire import Wire
from tests.lightning.bob_wallets import AMOUNT_MSAT, BobWallets
from tests.lightning.electrum_lab import ElectrumLab
from tests.wait import wait_until

KILLED = -9
LEASE_SECONDS = 15  # longer than the rail's questions and its waiting for an answer
GRACE_SECONDS = 18
ANSWER_SECONDS = 4
# The life of an invoice that is to end, or whose failure is final only then (`record.may_still_arrive`); an address must
# give at least 60.
SHORT_SECONDS = 90
DOUBT_SECONDS = 25.0
PATIENCE = 400.0


class Fate(StrEnum):
    """What becomes of the payment, or of the nodes."""

    NOW = "settles now"
    FROZEN = "receiver frozen, then woken"
    PAYER_KILLED = "payer killed and restarted"
    BOTH = "receiver frozen, payer killed"
    NO_ROUTE = "no route"
    EXPIRED = "invoice ends meanwhile"


NO_REPLY = Point(
    7, "after the request, no reply comes", (f"{WIRE}after-request",)
)  # nobody answers for who stands still
ROWS = (*(point for point in POINTS if len(point.strikes) == 1), NO_REPLY)

# Which rows, by the names of their strikes.
_SENT = ("rail.pay:before", f"{WIRE}mid-request", f"{WIRE}before-reply", f"{WIRE}mid-reply", "rail.pay:after")
_UNANSWERED = (
    "rail.pay:before",
    f"{WIRE}mid-request",
    f"{WIRE}after-request",
    "rail.pay:after",
    "payouts.record:before",
    "payouts.record:after",
)
_ROWS: dict[Fate, tuple[str, ...]] = {
    Fate.NOW: (
        "tasks.verify:after",
        "rail.resolve:after",
        "payouts.prepare:before",
        "payouts.prepare:after",
        "payouts.send:after",
        *_SENT,
        "payouts.record:before",
        "payouts.record:after",
    ),
    Fate.FROZEN: ("payouts.prepare:after", "payouts.send:after", *_UNANSWERED),
    Fate.PAYER_KILLED: ("payouts.prepare:after", "payouts.send:after", *_SENT),
    Fate.BOTH: _UNANSWERED[2:],
    Fate.NO_ROUTE: (
        "rail.pay:before",
        f"{WIRE}before-reply",
        "rail.pay:after",
        "payouts.record:before",
        "payouts.record:after",
    ),
    Fate.EXPIRED: ("payouts.prepare:after", "payouts.send:before", "payouts.send:after", "rail.pay:before"),
}


# How many it takes; where alice is killed she may have no channel when she is asked, and then a new one follows.
_INVOICES = {Fate.NOW: 1, Fate.FROZEN: 1, Fate.NO_ROUTE: 2, Fate.EXPIRED: 2}


@dataclass(frozen=True)
class RealCell:
    point: Point
    fate: Fate

    def __str__(self) -> str:
        return f"{self.point.label} / {self.fate}"


@dataclass(frozen=True)
class RealOutcome:
    cell: RealCell
    verdict: Verdict
    seconds: float


def real_cells(fate: Fate) -> list[RealCell]:
    return [RealCell(point, fate) for point in ROWS if point.strikes[0] in _ROWS[fate]]


@dataclass
class Life:
    cell: RealCell
    place: Place
    order: WorkerOrder
    worker_id: str
    wallet: str
    wire: Wire
    problem: str = ""
    seen: set[PayoutState] = field(default_factory=set)
    words: set[str] = field(default_factory=set)

    async def look(self) -> PayoutState | None:
        async with self.place.work.read() as session:
            page = await payouts_of(session, self.worker_id)
        for one in page.items:
            self.seen.add(one.state)
            self.words.add(one.words)
        return page.items[0].state if page.items else None


class RealMatrix:
    """All cells of one fate go on together: they share two nodes and their one channel, and each has its own database."""

    def __init__(self, lab: ElectrumLab, wallets: BobWallets, processes: Children, places: Iterable[Place]):
        self._lab = lab
        self._wallets = wallets
        self._processes = processes
        self._places = iter(places)

    async def run(self, fate: Fate) -> list[RealOutcome]:
        began = clock.monotonic()
        await self._lab.connected()
        lives = [await self._begin(cell) for cell in real_cells(fate)]
        try:
            async with asyncio.timeout(PATIENCE):
                frozen = fate in (Fate.FROZEN, Fate.BOTH)
                if frozen:
                    await self._lab.quiet()
                    self._lab.freeze_bob()
                try:
                    await self._go_on(fate, lives)
                finally:
                    if frozen:
                        self._lab.thaw_bob()
        except TimeoutError:
            for life in lives:
                life.problem = life.problem or f"no end within {PATIENCE:.0f} s"
        await self._lab.connected()
        outcomes = [
            RealOutcome(life.cell, await self._judge(life), clock.monotonic() - began) for life in lives
        ]
        for life in lives:
            await life.wire.__aexit__()
        print(f"{fate}: {len(outcomes)} cells in {clock.monotonic() - began:.0f} s", flush=True)
        return outcomes

    async def _go_on(self, fate: Fate, lives: Sequence[Life]) -> None:
        await asyncio.gather(*(self._strike(life) for life in lives))
        if fate in (Fate.PAYER_KILLED, Fate.BOTH):
            self._lab.kill_alice()
            await self._lab.restart_alice()
        if fate is Fate.EXPIRED:
            ends_ms = self._wallets.last_end_ms
            await wait_until(
                lambda: clock.now_ms() > ends_ms - LEAST_LEFT_MS + 1_000, timeout=SHORT_SECONDS, every=0.5
            )
        seconds = [await self._processes.start(life.order) for life in lives]
        watching = [
            asyncio.create_task(_watch(life, child)) for life, child in zip(lives, seconds, strict=True)
        ]
        try:
            if fate in (Fate.FROZEN, Fate.BOTH):
                await self._until_doubted(lives)
                self._lab.thaw_bob()
            await asyncio.gather(*watching)
        finally:
            for task in watching:
                task.cancel()
            for child in seconds:
                await child.kill()

    async def _begin(self, cell: RealCell) -> Life:
        place = next(self._places)
        wire = Wire(self._lab.alice_address())
        await wire.__aenter__()
        short = cell.fate in (Fate.EXPIRED, Fate.NO_ROUTE)
        wallet = await self._wallets.open(cell.fate is Fate.NO_ROUTE, SHORT_SECONDS if short else 0)
        task_id, submission_id, worker_id = await answered(place, f"{wallet}@sandbox.test")
        order = WorkerOrder(
            number=0,
            database_url=place.url,
            task_id=task_id,
            submission_id=submission_id,
            rail="electrum",
            options=self._lab.options() | {"url": wire.url, "answer_timeout": ANSWER_SECONDS},
            address_url=self._wallets.url,
            crash_at="",
            lease_seconds=LEASE_SECONDS,
            grace_seconds=GRACE_SECONDS,
        )
        return Life(cell, place, order, worker_id, wallet, wire)

    async def _strike(self, life: Life) -> None:
        """The first worker, until it is dead."""
        [strike] = life.cell.point.strikes
        if not strike.startswith(WIRE):
            child = await self._processes.start(replace(life.order, crash_at=f"{strike}:1"))
        else:
            begun: asyncio.Future[Child] = asyncio.get_running_loop().create_future()

            async def hit() -> None:
                await (await begun).kill()

            life.wire.arm(strike.removeprefix(WIRE), hit)
            child = await self._processes.start(life.order)
            begun.set_result(child)
        if await child.over() != KILLED:
            life.problem = f"{strike} was not passed"

    async def _until_doubted(self, lives: Sequence[Life]) -> None:
        """The hub has its doubt about each, or cannot send yet; bob stands still all the while."""

        async def doubted() -> bool:
            return {await life.look() for life in lives} == {PayoutState.UNKNOWN}

        with contextlib.suppress(AssertionError):  # a payer that was killed has no channel until bob wakes up
            await wait_until(doubted, timeout=DOUBT_SECONDS, every=0.4)

    async def _judge(self, life: Life) -> Verdict:
        """Both nodes' histories of every invoice that this worker's wallet ever gave."""
        await life.look()
        paid: list[Paid] = []
        problem = life.problem
        for payment_hash in self._wallets.given[life.wallet]:
            received = await self._lab.bob_received(payment_hash)
            left = await self._lab.alice_paid(payment_hash)
            if received != left:
                problem += f" {left} msat left alice, {received} arrived at bob"
            if received:
                times = -(-received // AMOUNT_MSAT)
                paid.append(Paid(payment_hash=payment_hash, amount_msat=received // times, times=times))
        return await judge(
            life.place.work,
            life.order.task_id,
            paid,
            problem=problem,
            attempts=_INVOICES.get(life.cell.fate),
            doubted=life.cell.fate in (Fate.FROZEN, Fate.BOTH),
            seen=life.seen,
            words=life.words,
        )


async def _watch(life: Life, child: Child) -> None:
    """What the worker reads, until the second process has ended."""
    while not child.ended.done():
        await life.look()
        await asyncio.wait((child.ended,), timeout=0.5)
    if await child.over() != 0:
        life.problem += f" the second worker ended with {await child.over()}"


def table(outcomes: Sequence[RealOutcome]) -> str:
    """A line a point, `1` is paid once; below what went wrong."""
    fates = list(Fate)
    lines = [f"{'':40}" + "".join(f"{fate:>32}" for fate in fates)]
    for point in ROWS:
        row = {one.cell.fate: one for one in outcomes if one.cell.point == point}
        if row:
            signs = [_sign(row[fate]) if fate in row else "" for fate in fates]
            lines.append(f"{point.label:40}" + "".join(f"{sign:>32}" for sign in signs))
    twice = sum(one.verdict.times > 1 for one in outcomes)
    lost = sum(one.verdict.times == 0 for one in outcomes)
    person = sum(one.verdict.person for one in outcomes)
    lines.append(
        f"{len(outcomes)} cells on real nodes: paid twice {twice}, lost {lost}, waits for a person {person}"
    )
    wrong = [
        f"{one.cell} ({one.seconds:.0f} s): {one.verdict.problem}" for one in outcomes if one.verdict.problem
    ]
    return "\n".join([*lines, *wrong])


def _sign(one: RealOutcome) -> str:
    return "!" if one.verdict.problem else str(one.verdict.times)


async def run_all(folder: Path) -> list[RealOutcome]:
    """Every cell. What the processes log goes to `folder/processes.log`."""
    async with AsyncExitStack() as stack:
        (folder / "lab").mkdir()
        lab = await stack.enter_async_context(ElectrumLab(folder / "lab"))
        wallets = await stack.enter_async_context(BobWallets(lab).served())
        processes = await stack.enter_async_context(children(folder / "processes.log"))
        places = [
            await open_place(url, folder)
            for url in await sqlite_databases(folder, sum(len(real_cells(fate)) for fate in Fate))
        ]
        for place in places:
            stack.push_async_callback(place.database.close)
        matrix = RealMatrix(lab, wallets, processes, places)

        together = (Fate.NOW, Fate.NO_ROUTE, Fate.EXPIRED)  # in these both nodes are well
        outcomes = [one for found in await asyncio.gather(*map(matrix.run, together)) for one in found]
        for fate in (Fate.FROZEN, Fate.PAYER_KILLED, Fate.BOTH):
            outcomes += await matrix.run(fate)
        return outcomes
