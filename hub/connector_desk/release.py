"""Verifies what lies in quarantine again with today's secrets, and takes in what proves to be the vendor's. Called by
`hub connectors quarantine --release` and the operator's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from connectors.connector import InboundRequest
from core.audit.record import record
from core.db.unit_of_work import UnitOfWork
from core.errors import Unauthenticated
from core.intake.actions import Received, receive_many
from core.intake.quarantine import let_go
from core.intake.tables import QuarantinedDelivery
from hub.services import LoadedConnector


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one row. `stored` counts its deliveries that had not been seen before; `kept` says why it stays,
    empty when it was let go."""

    id: str
    connector: str
    stored: int = 0
    kept: str = ""


async def release(
    work: UnitOfWork,
    configs: Mapping[str, LoadedConnector],
    rows: Sequence[QuarantinedDelivery],
    *,
    actor: str,
) -> list[Released]:
    """One transaction for each row: storing it and letting it go are one."""
    return [await _release(work, configs.get(row.connector), row, actor) for row in rows]


async def _release(
    work: UnitOfWork, config: LoadedConnector | None, row: QuarantinedDelivery, actor: str
) -> Released:
    if config is None:
        return Released(id=row.id, connector=row.connector, kept="no file has the id of its connector")
    try:
        deliveries = config.connector.verify(config.settings, request_of(row))
    except Unauthenticated as error:
        return Released(id=row.id, connector=row.connector, kept=error.message)
    async with work.begin("quarantine.release") as tx:
        fresh = await receive_many(tx, [Received(row.connector, one) for one in deliveries])
        await let_go(tx, row.connector, [row.id], actor=actor)
        await record(tx, actor=actor, action="quarantine.released", subject=row.id, connector=row.connector)
    return Released(id=row.id, connector=row.connector, stored=sum(fresh))


def request_of(row: QuarantinedDelivery) -> InboundRequest:
    """The request as it came, with the time at which it came: a stamp that was young then is no replay now."""
    return InboundRequest(
        headers=row.headers,
        body=row.body,
        path_token=row.path_token,
        client_ip=row.client_ip,
        received_at=row.received_at,
    )
