"""Which connectors this hub has been configured with, which of them the operator has retired, and up to when each
vendor's changes are known. Used by the inbound route, the reconcile job and the command line."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.audit.record import record
from core.db.unit_of_work import Transaction
from core.errors import NotFound
from core.intake.tables import ConnectorRecord

log = logging.getLogger(__name__)


async def register(tx: Transaction, vendors: Mapping[str, str]) -> None:
    """Remember these connectors (id -> vendor). One that was retired and has a file again is in use again."""
    known = {one.id: one for one in await tx.session.scalars(select(ConnectorRecord))}
    for name, vendor in vendors.items():
        if name in known:
            known[name].vendor, known[name].retired_at = vendor, None
            continue
        now = clock.from_ms(await tx.now_ms())
        try:
            async with tx.session.begin_nested():
                tx.session.add(ConnectorRecord(id=name, vendor=vendor, first_seen_at=now))
        except IntegrityError:  # several processes start at once; one of them was first
            log.debug("connector %s was remembered by another process", name)


async def named(session: AsyncSession, connector_id: str) -> ConnectorRecord | None:
    return await session.get(ConnectorRecord, connector_id)


async def retire(tx: Transaction, connector_id: str, *, actor: str) -> None:
    """From now on its vendor is told that nobody is here (`Answers.deleted`). Raises NotFound."""
    found = await tx.session.get(ConnectorRecord, connector_id)
    if found is None:
        raise NotFound("connector_not_found", f"No connector {connector_id} was ever configured here")
    found.retired_at = clock.from_ms(await tx.now_ms())
    await record(tx, actor=actor, action="connector.retired", subject=f"connector:{connector_id}")


async def revive(tx: Transaction, connector_id: str, *, actor: str) -> None:
    """Take a retirement back. Raises NotFound."""
    found = await tx.session.get(ConnectorRecord, connector_id)
    if found is None:
        raise NotFound("connector_not_found", f"No connector {connector_id} was ever configured here")
    found.retired_at = None
    await record(tx, actor=actor, action="connector.revived", subject=f"connector:{connector_id}")


async def reconciled_to(session: AsyncSession, connector_id: str) -> datetime | None:
    """Up to when the vendor's changes are known; None before the first look."""
    found = await session.get(ConnectorRecord, connector_id)
    return None if found is None else found.reconciled_to


async def reconciled(tx: Transaction, connector_id: str, to: datetime) -> None:
    """Every change up to `to` has been taken in."""
    found = await tx.session.get(ConnectorRecord, connector_id)
    if found is not None:
        found.reconciled_to = to
