"""The money worker's rounds: every five minutes it looks for what is stuck, low or out of time, every night it checks the
books and each rail's history. Topics `payout.watch`, `ledger.check`, `rail.reconcile`; each slot emits the next one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Mapping

from core import clock
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import Retryable
from core.ledger.check import check
from core.outbox.rows import Lease
from core.payouts import alarms, drift
from core.payouts.limits import DAY_MS, HOUR_MS, PayoutLimits
from core.payouts.rail import Funded, Rail, Recording
from core.payouts.reconcile import reconcile

log = logging.getLogger(__name__)

WATCH_MS = 300_000
NIGHT_MS = 3 * HOUR_MS  # after midnight UTC, when upkeep is over


async def start(work: UnitOfWork, rails: Mapping[str, Rail]) -> None:
    """Called by every worker that starts: the present slots exist once, whoever is first."""
    async with work.begin("watch.start") as tx:
        now_ms = await tx.now_ms()
        _watch_slot(tx, now_ms, ahead=0)
        _books_night(tx, now_ms, ahead=0)
        for name in rails:
            _rail_night(tx, name, now_ms, ahead=0)


async def watch(work: UnitOfWork, lease: Lease, rails: Mapping[str, Rail], limits: PayoutLimits) -> None:
    """One round. A rail that cannot be asked for its balance is asked again in the next one."""
    async with work.fenced(lease, "watch.next") as tx:
        _watch_slot(tx, await tx.now_ms(), ahead=1)
    held: dict[str, int] = {}
    own: dict[str, drift.Span] = {}
    for name, rail in rails.items():
        if isinstance(rail, Funded):
            try:
                before = await _books(work, name)
                held[name] = await rail.balance_msat()
                if rail.capabilities.exact_balance:
                    own[name] = drift.own_funds(held[name], before, await _books(work, name))
            except Retryable as error:
                log.warning("rail %s did not tell its balance: %s", name, error.message)
    slow = [name for name, rail in rails.items() if rail.capabilities.slow]
    async with work.finishing(lease, "watch.look") as tx:
        await alarms.clocks(tx, clock.now_ms())
        await alarms.stuck(tx, limits, slow)
        for name, has_msat in held.items():
            await alarms.balance(tx, name, has_msat, limits)
        for name, span in own.items():
            await drift.judge(tx, name, span)


async def check_books(work: UnitOfWork, lease: Lease, rails: Mapping[str, Rail]) -> None:
    """Every rule of the ledger, once a night; what is broken becomes a repair item."""
    async with work.fenced(lease, "watch.next") as tx:
        _books_night(tx, await tx.now_ms(), ahead=1)
    without = [name for name, rail in rails.items() if not rail.capabilities.proves_by_preimage]
    async with _holding(work, lease), work.read() as session:
        problems = await check(session, rails_without_preimage=without)
    async with work.finishing(lease, "watch.books") as tx:
        await alarms.books(tx, problems)


async def reconcile_rail(work: UnitOfWork, lease: Lease, rails: Mapping[str, Rail]) -> None:
    """One rail, once a night. Raises Retryable when it cannot be asked: then this night's job goes on trying. A rail that
    was taken out of the hub ends its chain."""
    rail = rails.get(lease.subject)
    if rail is not None and isinstance(rail, Recording):
        async with work.fenced(lease, "watch.next") as tx:
            _rail_night(tx, lease.subject, await tx.now_ms(), ahead=1)
        await reconcile(work, rail, lease=lease)
    async with work.finishing(lease, "watch.reconciled"):
        return


async def _books(work: UnitOfWork, rail: str) -> drift.Books:
    async with work.read() as session:
        return await drift.books_of(session, rail)


@contextlib.asynccontextmanager
async def _holding(work: UnitOfWork, lease: Lease) -> AsyncGenerator[None]:
    """Keeps the lease while something long runs beside it. Never cancelled: the last renewal is waited for."""
    over = asyncio.Event()

    async def renew() -> None:
        while True:
            try:
                await asyncio.wait_for(over.wait(), lease.lease_ms / 3000)
            except TimeoutError:
                async with work.fenced(lease, "watch.hold"):
                    continue
            return

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        over.set()
        await renewing


def _watch_slot(tx: Transaction, now_ms: int, *, ahead: int) -> None:
    slot = now_ms // WATCH_MS + ahead
    delay = max(0, slot * WATCH_MS - now_ms) / 1000
    tx.emit("payout.watch", "hub", queue="money", delay=delay, key=f"watch:{slot}")


def _books_night(tx: Transaction, now_ms: int, *, ahead: int) -> None:
    day, delay = _night(now_ms, ahead)
    tx.emit("ledger.check", "hub", queue="money", delay=delay, key=f"ledger_check:{day}")


def _rail_night(tx: Transaction, rail: str, now_ms: int, *, ahead: int) -> None:
    day, delay = _night(now_ms, ahead)
    tx.emit("rail.reconcile", rail, queue="money", delay=delay, key=f"rail_reconcile:{rail}:{day}")


def _night(now_ms: int, ahead: int) -> tuple[int, float]:
    """The number of the day, and the seconds until its night work begins; 0 when that has been."""
    day = now_ms // DAY_MS + ahead
    return day, max(0, day * DAY_MS + NIGHT_MS - now_ms) / 1000
