"""One look at a vendor's changes, now. Called by `hub connectors reconcile`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from connectors.config import ConnectorConfig
from connectors.connector import Tools
from core import clock
from core.db.unit_of_work import UnitOfWork
from core.errors import Misconfigured
from core.intake import records
from core.intake.envelope import RECONCILED
from core.intake.tables import InboundEvent
from hub.jobs.reconcile import look


async def poll(
    work: UnitOfWork, tools: Tools, config: ConnectorConfig, since_seconds: int | None
) -> Sequence[InboundEvent]:
    """The deliveries that the look brought and that nobody had brought before; workers read them as any other.
    `since_seconds` looks that far back, None goes on where the last look ended.

    Raises Misconfigured when the connector cannot be asked, Retryable when the vendor is away."""
    name = config.settings.id
    if config.connector.reconciler is None:
        raise Misconfigured("no_reconcile", f"{config.connector.name} offers nothing to reconcile with")
    reconciler = config.connector.reconciler(config.settings, tools)
    if reconciler is None:
        raise Misconfigured(
            "no_credentials",
            f"{config.file_name}: the API credentials of {name} are empty; set them, "
            f"then see `hub connectors doctor {name}`",
        )
    async with work.begin("reconcile.register") as tx:
        await records.register(tx, {name: config.connector.name})
        began = await tx.now_ms()
    since_ms = None if since_seconds is None else began - since_seconds * 1000
    started = await look(work, None, config, reconciler, since_ms=since_ms)
    async with work.begin("reconcile.end") as tx:
        if since_ms is None:  # a look that was told where to begin may have left a gap before it
            await records.reconciled(tx, name, clock.from_ms(started))
        found = await tx.session.scalars(
            select(InboundEvent)
            .where(
                InboundEvent.connector == name,
                InboundEvent.verified_by == RECONCILED,
                InboundEvent.received_at >= clock.from_ms(started),
            )
            .order_by(InboundEvent.id)
        )
        return found.all()
