"""What the inbound route does off its hot path: look up duplicates, and put unverifiable deliveries into quarantine."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from sqlalchemy import select

from connectors.connector import InboundRequest, Receipt
from core.db.unit_of_work import UnitOfWork
from core.errors import HubError
from core.intake import quarantine
from core.intake.envelope import InboundDelivery
from core.intake.tables import InboundEvent
from hub.services import LoadedConnector

log = logging.getLogger(__name__)

KEPT_PER_MINUTE = 60  # of one connector and process: a stranger's flood must not become our database's


class Quarantine:
    """Keeps what no secret verified, at a bounded pace."""

    def __init__(self, work: UnitOfWork):
        self._work = work
        self._limiter, self._item = (
            FixedWindowRateLimiter(MemoryStorage()),
            RateLimitItemPerMinute(KEPT_PER_MINUTE),
        )

    async def keep(self, loaded: LoadedConnector, request: InboundRequest, reason: str) -> None:
        """Never raises for a database that is away: the sender gets its refusal in any case, and tries again."""
        connector_id = loaded.settings.id
        if not self._limiter.hit(self._item, connector_id):
            log.warning("connector %s: quarantine takes %d a minute", connector_id, KEPT_PER_MINUTE)
            return
        try:
            async with self._work.begin("intake.quarantine") as tx:
                await quarantine.keep(
                    tx,
                    connector_id,
                    headers=request.headers,
                    body=loaded.connector.scrub(request.body),
                    path_token=request.path_token,
                    client_ip=request.client_ip,
                    reason=reason,
                )
        except HubError as error:
            log.error("connector %s: not even quarantined: %s", connector_id, error.message)  # noqa: TRY400 - the message says it all


async def seen_before(
    work: UnitOfWork, connector_id: str, deliveries: Sequence[InboundDelivery], fresh: Sequence[bool]
) -> tuple[list[Receipt], bool]:
    """A receipt for each delivery, with the task of those that had been there; and whether one of these had another
    body then."""
    known = [one.delivery_id for one, new in zip(deliveries, fresh, strict=True) if not new]
    async with work.read() as session:
        rows = await session.execute(
            select(InboundEvent.delivery_id, InboundEvent.task_id, InboundEvent.body).where(
                InboundEvent.connector == connector_id, InboundEvent.delivery_id.in_(known)
            )
        )
        before = {row.delivery_id: row for row in rows.all()}
    receipts: list[Receipt] = []
    differs = False
    for one, new in zip(deliveries, fresh, strict=True):
        row = None if new else before.get(one.delivery_id)
        differs = differs or (row is not None and row.body != one.body)
        receipts.append(
            Receipt(delivery_id=one.delivery_id, fresh=new, task_id=row.task_id if row is not None else None)
        )
    return receipts, differs
