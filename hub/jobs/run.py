"""Runs one outbox job: lease it, call the handler of its topic, and end it as done, later or dead. Everything that
the queue's library would do (retries, timeouts, dead letters) is decided here and kept in the database."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping

from core.db.unit_of_work import UnitOfWork
from core.errors import (
    Conflict,
    Invalid,
    LeaseLost,
    Misconfigured,
    NotFound,
    Rejected,
    Retryable,
    Unavailable,
)
from core.outbox import rows
from core.outbox.rows import LEASE_MS, Lease

log = logging.getLogger(__name__)

Handler = Callable[[Lease], Awaitable[object]]

ATTEMPTS = 20  # with the backoff below, more than an hour; then the row is dead and an operator decides
LONGEST_DELAY = 300.0
# Together in one process, by queue: what waits for the database gains nothing from more, what waits for strangers does.
AT_ONCE = {"default": 16, "outside": 128, "money": 16}


class Runner:
    """Runs jobs of this process, at most `at_once` together."""

    def __init__(
        self,
        work: UnitOfWork,
        topics: Mapping[str, Handler],
        lease_seconds: int = LEASE_MS // 1000,
        at_once: int = 16,
    ):
        self._lease_ms = lease_seconds * 1000
        self._work = work
        self._topics = topics
        self._room = asyncio.Semaphore(at_once)
        self._in_hand: dict[str, asyncio.Task[None]] = {}

    def start(self, ids: list[str]) -> None:
        """Run these beside whatever goes on, without waiting: one slow receiver must not hold up the sweep."""
        for job_id in ids:
            if job_id not in self._in_hand:
                task = asyncio.create_task(self.run(job_id))
                self._in_hand[job_id] = task
                task.add_done_callback(lambda _, job_id=job_id: self._in_hand.pop(job_id, None))

    async def finish(self) -> None:
        """Wait for what `start` began."""
        await asyncio.gather(*self._in_hand.values(), return_exceptions=True)

    async def run(self, job_id: str) -> None:
        """Never raises: a job that cannot even be leased (database away) is found again by the sweep."""
        async with self._room:
            try:
                lease = await rows.lease_at_once(self._work, job_id, self._lease_ms)
                if lease is not None:
                    await self._run(lease)
            except Unavailable as error:
                log.warning("job %s waits for the database: %s", job_id, error.message)
            except Exception:
                log.exception("job %s could not be ended; its lease will run out", job_id)

    async def _run(self, lease: Lease) -> None:
        try:
            # No time limit here: a cancelled BEGIN can leave SQLite's write lock with a connection that nobody owns.
            # Every call to the outside has its own limit, and whoever overruns the lease finds the fence closed.
            await self._topics[lease.topic](lease)
        except LeaseLost:
            log.warning("job %s (%s) belongs to somebody else now", lease.id, lease.topic)
        except Retryable as error:
            await self._later(lease, error.message, error.after)
        except Unavailable as error:
            log.warning("job %s (%s): %s", lease.id, lease.topic, error.message)
            await self._later(lease, error.message, 1.0)
        except (Rejected, Invalid, NotFound) as error:
            await self._dead(lease, f"{error.code}: {error.message}")
        except Conflict as error:  # somebody moved the row first; read it anew
            await self._later(lease, f"{error.code}: {error.message}", None)
        except Misconfigured as error:
            log.error("job %s (%s) waits for the operator: %s", lease.id, lease.topic, error.message)  # noqa: TRY400 - the message says it all
            await self._later(lease, f"{error.code}: {error.message}", None)
        except Exception as error:
            log.exception("job %s (%s) failed on attempt %d", lease.id, lease.topic, lease.attempt)
            await self._later(lease, f"{type(error).__name__}: {error}", None)

    async def _later(self, lease: Lease, error: str, after: float | None) -> None:
        # Money never dies of patience: a payout job goes on at the longest delay until it is decided.
        if after is None and lease.attempt >= ATTEMPTS and lease.queue != "money":
            await self._dead(lease, error)
            return
        async with self._work.begin("outbox.later") as tx:
            try:
                await rows.later(
                    tx, lease, delay=backoff(lease.attempt) if after is None else after, error=error
                )
            except LeaseLost:
                log.warning("job %s was taken over while it failed", lease.id)

    async def _dead(self, lease: Lease, error: str) -> None:
        log.error("job %s (%s) is a dead letter: %s", lease.id, lease.topic, error)
        async with self._work.begin("outbox.dead") as tx:
            try:
                await rows.dead(tx, lease, error=error)
            except LeaseLost:
                log.warning("job %s was taken over while it died", lease.id)


def backoff(attempt: int) -> float:
    """Seconds before the next try: 0.5, 1, 2 … capped at five minutes, ±20 % so that a crowd spreads out."""
    base = min(LONGEST_DELAY, 0.25 * 2 ** min(attempt, 20))
    return base * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, not a secret
