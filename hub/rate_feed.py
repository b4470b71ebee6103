"""The exchange rate of a running hub: asks the sources, decides, writes the decision into the table `rates`, and has the
rate at hand in memory. Built by `hub/wiring.py`; runs in every process. The money worker asks; the others read what it
decided, and ask themselves only when it has been silent for a while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from decimal import Decimal

import msgspec

from connectors.rates.source import Getter, RateTrouble, Source, ask
from core import clock
from core.db.unit_of_work import UnitOfWork
from core.errors import Retryable, Unavailable
from core.rates import records
from core.rates.decide import Cause, Refusal, agree
from core.rates.model import FixedRate, Rate, Sample, fresh
from core.rates.records import Decision
from hub.rate_rules import RateRules

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0  # between two looks into the table, and at which source is due
AGAIN_SECONDS = 30  # what a caller without a rate is told to wait
RESERVE_MS = 24 * 3_600_000  # a reservation is no payment: it may be priced with a rate of the last day
SILENT_ROUNDS = 2  # without a decision of the money worker, after which another process asks
_FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS = 5.0, 300.0


def rates_of(rules: RateRules, work: UnitOfWork, get: Getter) -> RateFeed | FixedRates:
    """`get` is `OutboundHttp.get`."""
    return FixedRates(rules.fixed, rules.spread_percent) if rules.fixed else RateFeed(work, get, rules)


class FixedRates:
    """The fixed rate for play money, in the form of a RateFeed: always there."""

    def __init__(self, rate: FixedRate, spread_percent: Decimal):
        self.spread_percent = spread_percent
        self._rate = rate

    def current(self) -> Rate:
        return self._rate

    def to_reserve(self) -> Rate:
        return self._rate

    async def look(self) -> None:
        """There is nothing to look at."""

    @contextlib.asynccontextmanager
    async def running(self, *, keeper: bool) -> AsyncGenerator[None]:
        yield


class _Turn(msgspec.Struct, kw_only=True):
    """When one source is asked next, in seconds of the monotonic clock; what it said last, or why it said nothing."""

    due: float
    failures: int = 0
    said: Sample | None = None
    trouble: str = ""


class RateFeed:
    """The live rate. `now_ms` is the clock by which samples are judged (UTC); `spread_percent` of a payout in dollars is
    reserved too."""

    def __init__(
        self, work: UnitOfWork, get: Getter, rules: RateRules, *, now_ms: Callable[[], int] = clock.now_ms
    ):
        self.spread_percent = rules.spread_percent
        self._work = work
        self._get = get
        self._sources = rules.sources
        self._policy = rules.policy
        self._every_seconds = rules.every_seconds
        self._now_ms = now_ms
        self._turns = {source.name: _Turn(due=clock.monotonic()) for source in rules.sources}
        self._decision: Decision | None = None
        self._last: Rate | None = None

    @property
    def decision(self) -> Decision | None:
        """The last one that this process knows of."""
        return self._decision

    def current(self) -> Rate:
        """The rate at which money may be paid now. Raises Retryable (`no_rate`): nothing is paid on a guess. A refusal
        because too few answer leaves the last agreement in force while it is fresh, any other one does not."""
        found = None if self._decision is None else self._decision.found
        if isinstance(found, Refusal) and (self._last is None or found.cause is not Cause.FEW):
            raise Retryable("no_rate", f"There is no exchange rate: {found.reason}", after=AGAIN_SECONDS)
        if self._last is None:
            raise Retryable("no_rate", "No exchange rate has been decided on yet", after=AGAIN_SECONDS)
        try:
            return fresh(self._last, self._now_ms(), self._policy.max_age_ms)
        except Retryable as error:
            raise Retryable(
                "no_rate", f"There is no exchange rate: {error.message}", after=AGAIN_SECONDS
            ) from error

    def to_reserve(self) -> Rate:
        """What a task's reservation is priced with: the last rate agreed on, up to a day old. Raises Retryable
        (`no_rate`)."""
        if self._last is None or self._now_ms() - self._last.at_ms > RESERVE_MS:
            raise Retryable(
                "no_rate",
                "There is no exchange rate of the last 24 hours to price a task with; nothing was created. "
                f"Try again in {AGAIN_SECONDS} seconds.",
                after=AGAIN_SECONDS,
            )
        return self._last

    async def look(self) -> None:
        """Take over what was decided last, by whichever process. Raises Unavailable."""
        async with self._work.read() as session:
            self._decision, self._last = await records.latest(session)

    async def tick(self, *, keeper: bool) -> None:
        """One round: look, and ask the sources that are due. Who is not the keeper asks only when the last decision
        is SILENT_ROUNDS old. Raises Unavailable."""
        await self.look()
        if not keeper and self._decision is not None:
            age_ms = self._now_ms() - self._decision.decided_ms
            if age_ms < SILENT_ROUNDS * self._every_seconds * 1000:
                return
        now = clock.monotonic()
        due = [source for source in self._sources if self._turns[source.name].due <= now]
        if not due:
            return
        await asyncio.gather(*(self._ask(source) for source in due))
        decision = self._decide()
        async with self._work.begin("rates.decide") as tx:
            await records.keep(tx, decision)
        self._adopt(decision)

    async def ask_now(self) -> Decision:
        """Ask every source and decide, without writing anything down. For `hub rates --ask`."""
        await asyncio.gather(*(self._ask(source) for source in self._sources))
        return self._decide()

    @contextlib.asynccontextmanager
    async def running(self, *, keeper: bool) -> AsyncGenerator[None]:
        """Keeps the rate current while the block runs. The `keeper` (the money worker) asks the sources."""
        try:
            await self.look()
        except Exception:  # the database may be away, or not migrated yet
            log.exception("exchange rate: the first look failed; trying again")
        task = asyncio.create_task(self._run(keeper=keeper))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self, *, keeper: bool) -> None:
        while True:
            try:
                await self.tick(keeper=keeper)
            except Unavailable as error:
                log.warning("exchange rate: %s", error.message)
            except Exception:
                log.exception("exchange rate: this look failed; trying again")
            await asyncio.sleep(LOOK_SECONDS)

    async def _ask(self, source: Source) -> None:
        turn = self._turns[source.name]
        try:
            turn.said = await ask(source, self._get, self._now_ms)
        except RateTrouble as error:
            turn.failures += 1
            turn.trouble = f"{error.trouble}: {error.message}"
            pause = min(_FIRST_BACKOFF_SECONDS * 2 ** min(turn.failures - 1, 10), _LONGEST_BACKOFF_SECONDS)
            turn.due = clock.monotonic() + max(pause, min(error.after or 0, _LONGEST_BACKOFF_SECONDS))
            return
        turn.failures, turn.trouble = 0, ""
        turn.due = clock.monotonic() + self._every_seconds

    def _decide(self) -> Decision:
        """On what every source said last; what is too old by now does not count."""
        now_ms = self._now_ms()
        before = None if self._decision is None else self._decision.found
        leap = before.leap if isinstance(before, Refusal) else None
        said = [turn.said for turn in self._turns.values() if turn.said is not None]
        found = agree(said, now_ms, self._policy, before=self._last, leap=leap)
        silent = {name: turn.trouble for name, turn in self._turns.items() if turn.trouble}
        return Decision(decided_ms=now_ms, found=found, silent=silent)

    def _adopt(self, decision: Decision) -> None:
        found, former = decision.found, self._decision
        refused_before = former is not None and isinstance(former.found, Refusal)
        if isinstance(found, Refusal):
            (log.info if refused_before else log.warning)("no exchange rate: %s", found.reason)
        elif refused_before:
            log.warning("there is an exchange rate again: %s of %s", found.usd_per_btc, found.source)
        self._decision = decision
        if isinstance(found, Rate):
            self._last = found
