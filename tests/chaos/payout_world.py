"""The world of the seeded schedules: a virtual clock for hub and database, a rail and a wallet that do what the seed says,
and jobs that can be frozen in the middle of a call. Used by `payout_schedules.py`, in a process of its own."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import event

from connectors.rails import bolt11
from connectors.rails.sandbox import FILE_NAME, SandboxOptions, SandboxRail
from connectors.rails.sandbox_book import Fault
from connectors.rails.sandbox_controls import SandboxControls
from connectors.rails.sandbox_wallets import SandboxWallets
from core import clock, crash
from core.db.engine import Database
from core.errors import Rejected, Retryable
from core.payouts.rail import Invoice, PaymentResult
from tests.payout_lab import Killed

START_MS = 1_800_000_000_000
_UNIX_EPOCH = 2440587.5  # as a Julian day
_OPTIONS = SandboxOptions(answer_timeout=-1, fee_base_msat=1_000, fee_ppm=500)  # never waits for what hangs

# What a payment meets, with weights: mostly nothing.
FAULTS: dict[Fault | None, int] = {
    None: 6,
    Fault.FAIL: 2,
    Fault.HANG: 3,
    Fault.SETTLE_LATER: 2,
    Fault.ACCEPT_THEN_LOSE_ANSWER: 3,
    Fault.UNREACHABLE: 2,
}


class VirtualTime:
    """Stands where `core/clock.py` has the module `time`, and where SQLite has its julianday."""

    def __init__(self) -> None:
        self.ms = START_MS

    def time_ns(self) -> int:
        return self.ms * 1_000_000

    def monotonic(self) -> float:
        return self.ms / 1000

    def install(self, database: Database) -> None:
        plain = sqlite3.connect(":memory:", check_same_thread=False)

        def julianday(*asked: str) -> float:
            if asked == ("now",):
                return _UNIX_EPOCH + self.ms / 86_400_000
            return float(plain.execute("SELECT julianday(?)", asked).fetchone()[0])

        def prepare(connection: Any, record: Any) -> None:
            connection.create_function("julianday", -1, julianday)

        event.listen(database.engine.sync_engine, "connect", prepare)
        setattr(clock, "time", self)  # noqa: B010 - the clock of the operating system, not a function of ours


class Points:
    """What happens at the next passings of the crash points: `plan` says "die" or how many seconds the process sleeps."""

    def __init__(self, time: VirtualTime):
        self._time = time
        self.plan: dict[str, str | int] = {}
        setattr(crash, "reach", self.reach)  # noqa: B010 - in a process that dies there SIGKILL stands here

    def reach(self, point: str) -> None:
        what = self.plan.pop(point, None)
        if what == "die":
            raise Killed
        if isinstance(what, int):
            self._time.ms += what * 1000


class Sleepers:
    """Jobs that stand still in the middle of a call until they are woken, or die there."""

    def __init__(self, rng: random.Random):
        self._rng = rng
        self.waiting: list[asyncio.Future[bool]] = []
        self.frozen = asyncio.Event()
        self.one_in = 6

    async def maybe(self) -> None:
        """Freeze here, if the seed wants it. Raises Killed when the sleeper is not to wake up."""
        if self.one_in == 0 or self._rng.randrange(self.one_in):
            return
        alive: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.waiting.append(alive)
        self.frozen.set()
        if not await alive:
            raise Killed


class ScheduledRail:
    """The sandbox behind a line and a receiver of which the seed decides."""

    def __init__(self, folder: Path, rng: random.Random, sleepers: Sleepers):
        self._path = folder / FILE_NAME
        self._rng = rng
        self._sleepers = sleepers
        self.controls = SandboxControls(self._path)
        self.calm = False
        self.restart()
        self.name, self.capabilities = self.rail.name, self.rail.capabilities

    def restart(self) -> None:
        """What it keeps in memory is gone."""
        self.rail = SandboxRail(self._path, _OPTIONS)

    async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
        await self._sleepers.maybe()
        kind = self._rng.choices(list(FAULTS), list(FAULTS.values()))[0]
        if kind is not None and not self.calm:
            self.controls.add_fault(kind, seconds=self._rng.choice((1, 60, 4_000)))
        result = await self.rail.pay(invoice, max_fee_msat=max_fee_msat)
        self.controls.clear_faults()
        await self._sleepers.maybe()
        if not self.calm and self._rng.randrange(12) == 0:
            raise ConnectionResetError("the rail's client raised")
        return result

    async def look_up(self, payment_hash: str, *, reference: str = "") -> PaymentResult | None:
        await self._sleepers.maybe()
        if not self.calm and self._rng.randrange(8) == 0:
            self.controls.add_fault(Fault.LOOK_UP_UNREACHABLE)
        found = await self.rail.look_up(payment_hash)
        await self._sleepers.maybe()
        return found


class ScheduledWallet:
    """Every address is a wallet of the sandbox; sometimes it is away, or its invoice ends soon."""

    def __init__(self, folder: Path, rng: random.Random, sleepers: Sleepers):
        self._wallets = SandboxWallets(folder / FILE_NAME)
        self._rng = rng
        self._sleepers = sleepers
        self.calm = False

    async def invoice_for(self, address: str, *, amount_msat: int, comment: str) -> Invoice:
        await self._sleepers.maybe()
        if not self.calm and self._rng.randrange(10) == 0:
            raise Retryable("wallet_away", "the wallet does not answer", after=5)
        age = 0 if self.calm else self._rng.choice((0, 0, 0, 3_300))  # of an hour
        text = await self._wallets.invoice(
            address.partition("@")[0], amount_msat, made_at_s=clock.unix() - age
        )
        decoded = bolt11.decode(text)
        await self._sleepers.maybe()
        return Invoice(
            bolt11=text,
            payment_hash=decoded.payment_hash,
            amount_msat=amount_msat,
            expires_at_ms=decoded.expires_at_ms,
        )

    async def own_invoice(self, text: str, *, amount_msat: int) -> Invoice:
        raise Rejected("bad_invoice", "no worker of these schedules has an invoice of their own")
