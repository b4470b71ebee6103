"""One life of a few payouts, decided by a seed: jobs run, crash, freeze and wake up, time passes, the rail does its worst,
people press buttons. Told by `payout_schedules.py`."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from core import crash
from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict
from core.outbox.rows import Lease
from core.payouts import actions, controls
from core.payouts.address import set_address
from core.payouts.controls import HUB, Cause
from core.payouts.limits import PayoutLimits
from core.payouts.prepare import Means
from hub.jobs.run import Runner
from tests import factories
from tests.chaos.payout_judge import Paid, judge
from tests.chaos.payout_world import Points, ScheduledRail, ScheduledWallet, Sleepers, VirtualTime
from tests.payout_lab import Killed

STEPS = 24
SPANS = (1, 5, 31, 70, 130, 700, 3_601, 7_300)  # seconds: a look-up, a lease, the grace, an invoice's life
PEACE_ROUNDS = 300
LIMITS = PayoutLimits(
    max_attempts=4,
    breaker_unknowns=1_000_000,  # stories share a database: an open breaker would be another's
    per_worker_day_msat=10**15,
    per_hub_hour_msat=10**15,
    per_hub_day_msat=10**15,
)
DIES = tuple(
    f"{name}:{side}"
    for name in (
        "payouts.prepare",
        "payouts.send",
        "payouts.record",
        "outbox.lease",
        "outbox.later",
        *crash.PAYOUT_CALLS,
        "rail.pay",
    )
    for side in ("before", "after")
)


class Story:
    """One schedule. `tell` gets every step in words."""

    def __init__(self, seed: int, stage: Stage, tell: Callable[[str], None]):
        self.rng = random.Random(seed)
        random.seed(seed)  # the runner's jitter
        self.stage = stage
        self.tell = tell
        self.sleepers = Sleepers(self.rng)
        self.rail = ScheduledRail(stage.folder, self.rng, self.sleepers)
        self.wallet = ScheduledWallet(stage.folder, self.rng, self.sleepers)
        self.running: set[asyncio.Task[None]] = set()
        self.payouts: list[str] = []
        self.tasks: list[str] = []
        self.worker_id = ""
        means = Means(rails={self.rail.name: self.rail}, addresses=self.wallet)

        async def pay(lease: Lease) -> None:
            await actions.pay(stage.work, lease, means, LIMITS)

        async def check(lease: Lease) -> None:
            await actions.check(stage.work, lease, means, LIMITS)

        self.runner = Runner(stage.work, {"payout.reserved": pay, "payout.check": check})

    async def go(self) -> list[str]:
        """To its end; what is wrong with it."""
        await self._earn(1 + self.rng.randrange(2))
        for _ in range(STEPS):
            await self._step()
            if wrong := self._released_too_early():
                return wrong
        await self._peace()
        found: list[str] = []
        for task_id, payout_id in zip(self.tasks, self.payouts, strict=True):
            verdict = await judge(self.stage.work, task_id, self._paid(payout_id))
            if verdict.problem or verdict.times != 1:
                found.append(f"{payout_id}: paid {verdict.times} times; {verdict.problem}")
        return found

    async def _earn(self, count: int) -> None:
        async with self.stage.work.begin("tasks.verify") as tx:
            worker = await factories.worker(tx, environment="test")
            self.worker_id = worker.id
            for _ in range(count):
                task = await factories.task(tx, self.stage.organisation, environment="test")
                task.status = "verified"
                payout = await factories.earn(tx, task, worker.id, factories.PLAN, factories.RATE)
                assert payout is not None
                self.payouts.append(payout.id)
                self.tasks.append(task.id)

    async def _step(self) -> None:
        acts: list[tuple[int, Callable[[], Coroutine[Any, Any, None]]]] = [
            (10, self._run),
            (5, self._run_struck),
            (6, self._time),
            (3, self._duplicate),
            (2, self._decide),
            (1, self._restart),
            (2, self._retry),
            (2, self._address),
            (1, self._pause),
        ]
        if self.sleepers.waiting:
            acts.append((6, self._wake))
        await self.rng.choices([act for _, act in acts], [weight for weight, _ in acts])[0]()

    async def _run(self) -> None:
        due = [job for job, wait in self._jobs() if wait <= 0]
        if not due:
            await self._time()
            return
        job = self.rng.randrange(len(due))
        self.tell(f"run job {job + 1} of {len(due)}")
        await self._drive(asyncio.create_task(self.runner.run(due[job])))

    async def _run_struck(self) -> None:
        point = self.rng.choice(DIES)
        what: str | int = "die" if self.rng.randrange(3) else self.rng.choice((5, 15, 40, 200))
        self.tell(f"at {point}: {what}")
        self.stage.points.plan = {point: what}
        await self._run()
        self.stage.points.plan = {}

    async def _drive(self, task: asyncio.Task[None]) -> None:
        """Until it ends, or stands still somewhere."""
        self.running.add(task)
        self.sleepers.frozen.clear()
        frozen = asyncio.create_task(self.sleepers.frozen.wait())
        await asyncio.wait((*self.running, frozen), return_when=asyncio.FIRST_COMPLETED)
        frozen.cancel()
        for done in [one for one in self.running if one.done()]:
            self.running.discard(done)
            error = done.exception()
            if error is not None and not isinstance(error, Killed):
                raise error

    async def _time(self) -> None:
        waits = [wait for _, wait in self._jobs() if wait > 0]
        seconds = min(waits) / 1000 if waits and self.rng.randrange(2) else self.rng.choice(SPANS)
        self.tell(f"{seconds:.0f} s pass")
        self.stage.time.ms += round(seconds * 1000) + 1

    async def _duplicate(self) -> None:
        topic = self.rng.choice(("payout.reserved", "payout.check"))
        self.tell(f"a second {topic}")
        async with self.stage.work.begin("test.emit") as tx:
            tx.emit(topic, self.rng.choice(self.payouts), queue="money")

    async def _decide(self) -> None:
        settle = self.rng.random() < 0.6
        decided = self.rail.controls.release(settle=settle)
        self.tell(f"{len(decided)} held payments {'settle' if settle else 'fail'}")

    async def _restart(self) -> None:
        self.tell("the rail is started again")
        self.rail.restart()

    async def _retry(self) -> None:
        with contextlib.suppress(Conflict):
            async with self.stage.work.begin("payouts.retry") as tx:
                await actions.retry(tx, self.rng.choice(self.payouts), actor="operator")
                self.tell("an operator tries again")

    async def _address(self) -> None:
        name = self.rng.choice(("ana", "bo"))
        self.tell(f"the worker is {name} now")
        async with self.stage.work.begin("test.address") as tx:
            await set_address(tx, self.worker_id, f"{name}@sandbox.test", actor="ana")

    async def _pause(self) -> None:
        async with self.stage.work.begin("test.pause") as tx:
            if not await controls.resume(tx, HUB, Cause.OPERATOR, actor="operator"):
                await controls.pause(tx, HUB, Cause.OPERATOR, "a drill", by="operator")
        self.tell("paused, or not paused any more")

    async def _wake(self) -> None:
        sleeper = self.sleepers.waiting.pop(self.rng.randrange(len(self.sleepers.waiting)))
        alive = self.rng.random() < 0.8
        self.tell("a sleeper wakes up" if alive else "a sleeper dies")
        sleeper.set_result(alive)
        await self._drive_woken()

    async def _drive_woken(self) -> None:
        before = set(self.running)
        self.sleepers.frozen.clear()
        frozen = asyncio.create_task(self.sleepers.frozen.wait())
        await asyncio.wait((*before, frozen), return_when=asyncio.FIRST_COMPLETED)
        frozen.cancel()
        for done in [one for one in self.running if one.done()]:
            self.running.discard(done)
            error = done.exception()
            if error is not None and not isinstance(error, Killed):
                raise error

    async def _peace(self) -> None:
        """No more trouble: whoever sleeps wakes up, what is held is decided, and the hub does what is left to do."""
        self.tell("peace")
        self.sleepers.one_in, self.rail.calm, self.wallet.calm = 0, True, True
        while self.sleepers.waiting:
            self.sleepers.waiting.pop(0).set_result(True)
            await self._drive_woken()
        async with self.stage.work.begin("test.pause") as tx:
            await controls.resume(tx, HUB, Cause.OPERATOR, actor="operator")
        settle = self.rng.random() < 0.5
        for _ in range(PEACE_ROUNDS):
            self.rail.controls.release(settle=settle)
            jobs = self._jobs()
            if not jobs:
                failed = [one for one, state in self._states() if state == "failed"]
                if not failed:
                    return
                async with self.stage.work.begin("payouts.retry") as tx:
                    await actions.retry(tx, failed[0], actor="operator")
                continue
            job, wait = min(jobs, key=lambda one: one[1])
            self.stage.time.ms += max(0, wait) + 1
            await self._drive(asyncio.create_task(self.runner.run(job)))
        self.tell("no end")

    def _jobs(self) -> list[tuple[str, int]]:
        """The jobs of this story that have not ended, in the order of their making, and in how many ms they are due."""
        marks = ", ".join("?" * len(self.payouts))
        rows = self.stage.read.execute(
            "SELECT id, CASE state WHEN 'leased' THEN lease_until + 1 ELSE due_at END FROM outbox "
            "WHERE topic IN ('payout.reserved', 'payout.check') AND state IN ('pending', 'leased') "
            f"AND subject IN ({marks}) ORDER BY rowid",
            self.payouts,
        )
        return [(job, due - self.stage.time.ms) for job, due in rows]

    def _states(self) -> list[tuple[str, str]]:
        marks = ", ".join("?" * len(self.payouts))
        query = f"SELECT id, state FROM payouts WHERE id IN ({marks})"
        return list(self.stage.read.execute(query, self.payouts))

    def _attempts(self) -> dict[str, tuple[str, str]]:
        """Payment hash -> payout, state."""
        marks = ", ".join("?" * len(self.payouts))
        query = f"SELECT payment_hash, payout_id, state FROM payout_attempts WHERE payout_id IN ({marks})"
        return {row[0]: (row[1], row[2]) for row in self.stage.read.execute(query, self.payouts)}

    def _released_too_early(self) -> list[str]:
        """The rule that all others rest on: what the rail holds or has paid was never given back."""
        attempts = self._attempts()
        return [
            f"{attempts[one.payment_hash][0]}: an attempt is failed, and {one.state} at the rail"
            for one in self.rail.controls.payments()
            if one.state != "failed" and attempts.get(one.payment_hash, ("", ""))[1] == "failed"
        ]

    def _paid(self, payout_id: str) -> list[Paid]:
        attempts = self._attempts()
        return [
            Paid(payment_hash=one.payment_hash, amount_msat=one.amount_msat, times=one.settled_count)
            for one in self.rail.controls.payments()
            if one.settled_count and attempts.get(one.payment_hash, ("", ""))[0] == payout_id
        ]


class Stage:
    """A database and a sandbox for a few stories, in a folder of their own."""

    def __init__(self, folder: Path, time: VirtualTime, points: Points):
        self.folder = folder
        self.time = time
        self.points = points
        self.database = Database(f"sqlite:///{folder}/hub.db", pool_size=4)
        time.install(self.database)
        self.work = UnitOfWork(self.database)

    async def begin(self) -> None:
        async with self.work.begin("test.seed") as tx:
            self.organisation = await factories.organisation(
                tx, environment="test", balance_msat=10_000 * factories.DOLLAR
            )
        self.read = sqlite3.connect(self.folder / "hub.db", isolation_level=None)

    async def end(self) -> None:
        self.read.close()
        await self.database.close()
