"""Asks each vendor what changed since the last look, so that what its sender gave up on becomes a task all the same.
Topic `connector.reconcile`, one chain of slots per connector; tasks are keyed, so overlaps make nothing twice."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from connectors.config import ConnectorConfig
from connectors.connector import Reconciler, Tools
from core import clock
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import Misconfigured, Rejected, Retryable, Uncertain
from core.intake import records
from core.intake.actions import Received, receive_many
from core.outbox.rows import Lease
from core.repairs.actions import Kind, needed
from core.repairs.queries import stopped
from core.replies.actions import subject_of

log = logging.getLogger(__name__)

BATCH = 100
STORE_SECONDS = 5.0  # a vendor that gives its changes slowly must not cost us the lease


async def schedule(work: UnitOfWork, configs: Mapping[str, ConnectorConfig]) -> None:
    """Remember the configured connectors and give each one its present slot; called when a worker starts and when the
    files change."""
    async with work.begin("connectors.register") as tx:
        await records.register(tx, {name: config.settings.connector for name, config in configs.items()})
        for name, config in configs.items():
            if config.connector.reconciler is not None:
                await _emit(tx, name, config, ahead=0)


async def run(work: UnitOfWork, lease: Lease, configs: Mapping[str, ConnectorConfig], tools: Tools) -> None:
    """One look at one vendor. One that fails ends its slot all the same: the next slot looks from where the last good
    look ended, so nothing is lost, and no outage is long enough to end the chain."""
    name = lease.subject
    config = configs.get(name)
    if config is None or config.connector.reconciler is None:
        async with work.finishing(lease, "reconcile.end"):
            return
    async with work.fenced(lease, "reconcile.next") as tx:
        await _emit(tx, name, config, ahead=1)
        repair = await stopped(tx.session, subject_of(name))  # a refused token is not tried again and again
    paused = tools.pauses.wait(name) > 0
    wanted = (
        config.settings.reconcile.enabled and config.settings.mode != "off" and repair is None and not paused
    )
    reconciler = config.connector.reconciler(config.settings, tools) if wanted else None
    started: int | None = None
    if reconciler is not None:
        try:
            started = await look(work, lease, config, reconciler)
        except Misconfigured as error:
            async with work.begin("reconcile.stop") as tx:
                await needed(tx, subject_of(name), Kind.CREDENTIALS, _mend(error, name))
        except (Retryable, Uncertain, Rejected) as error:
            log.warning("reconcile %s: %s; the next look begins where the last good one ended", name, error)
    async with work.finishing(lease, "reconcile.end") as tx:
        if started is not None:
            await records.reconciled(tx, name, clock.from_ms(started))


async def look(
    work: UnitOfWork,
    lease: Lease | None,
    config: ConnectorConfig,
    reconciler: Reconciler,
    *,
    since_ms: int | None = None,
) -> int:
    """Take in every change since the last look, or since `since_ms` (UTC); the moment (UTC ms) up to which they are
    known now. Without a lease for the command line. The first look goes back by the overlap only: what is older was
    never asked of this hub."""
    name, settings = config.settings.id, config.settings.reconcile
    async with work.begin("reconcile.start") as tx:
        started = await tx.now_ms()
        before = await records.reconciled_to(tx.session, name)
    since = since_ms
    if since is None:
        since = (clock.to_ms(before) if before else started) - settings.overlap_seconds * 1000
    waiting: list[Received] = []
    found = 0
    stored_at = clock.monotonic()
    async for delivery in reconciler.changes(since):
        waiting.append(Received(name, delivery))
        if len(waiting) >= BATCH or clock.monotonic() - stored_at > STORE_SECONDS:
            found += await _store(work, lease, waiting)
            waiting, stored_at = [], clock.monotonic()
    found += await _store(work, lease, waiting)
    if found:
        log.info("reconcile %s: %d changes since the last look", name, found)
    return started


async def _store(work: UnitOfWork, lease: Lease | None, waiting: list[Received]) -> int:
    """Holding on to the lease while a long list comes in, so that nobody else begins the same look."""
    begun = work.fenced(lease, "reconcile.store") if lease else work.begin("reconcile.store")
    async with begun as tx:
        return sum(await receive_many(tx, waiting)) if waiting else 0


def _mend(error: Misconfigured, name: str) -> str:
    return f"{error.message} Mend them, then run `hub connectors resume {name}`."


async def _emit(tx: Transaction, name: str, config: ConnectorConfig, *, ahead: int) -> None:
    """The slot that begins `ahead` spans from now; its key makes a repeat harmless."""
    span = config.settings.reconcile.every_seconds * 1000
    now = await tx.now_ms()
    slot = now // span + ahead
    delay = max(0, slot * span - now) / 1000
    tx.emit("connector.reconcile", name, queue="outside", delay=delay, key=f"reconcile:{name}:{span}:{slot}")
