"""The operator's connectors: how each one is, what came in last and what became of it, and what lies in quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.access.roles import Scope, may
from core.access.sessions import SignedIn
from core.audit.record import record
from core.errors import NotFound
from core.intake import records
from core.intake.quarantine import held, let_go
from core.intake.tables import InboundEvent, QuarantinedDelivery
from core.replies.actions import resume
from hub import auth
from hub.connector_desk.overview import overview
from hub.connector_desk.release import release
from hub.pages.desk import test_money
from hub.pages.guards import no_nul
from hub.pages.templating import page, see_other
from hub.services import Services

LAST = 50
MOODS = {"accepted": "good", "failed": "bad", "received": "warn"}


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A quarantined delivery without its body, which may be megabytes."""

    id: str
    connector: str
    received_at: datetime
    client_ip: str
    size: int
    reason: str


@get("/", name="operator.connectors", include_in_schema=False)
async def show_connectors(
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
    connector: FromQuery[str] = "",
) -> Response[str]:
    """Every connector, and the last deliveries of all or of one."""
    async with services.work.read() as session:
        listed = await overview(session, services.connectors, services.settings.public_url)
        deliveries = await _last(session, connector)
        quarantined = await _held(session)
    return page(
        "operator_connectors.html",
        person,
        heading="Connectors",
        area="operator",
        here="connectors",
        test_money=test_money(services, ""),
        connectors=listed,
        connector=connector,
        deliveries=deliveries,
        quarantined=quarantined,
        moods=MOODS,
        may_operate=may(person.role, Scope.OPERATE),
    )


@post(
    "/{name:str}/resume",
    name="operator.connector.resume",
    guards=[auth.require(Scope.OPERATE)],
    include_in_schema=False,
)
async def resume_connector(
    name: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """The operator has mended it: its repair items are closed and what waited goes out."""
    async with services.work.begin("operator.resume") as tx:
        await _known(tx.session, services, name)
        await resume(tx, name, actor=person.actor)
    return see_other("/operator/repairs")


@post(
    "/{name:str}/release",
    name="operator.quarantine.release",
    guards=[auth.require(Scope.OPERATE)],
    include_in_schema=False,
)
async def release_quarantine(
    name: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """Verify its quarantined deliveries again with the secrets of today."""
    async with services.work.read() as session:
        await _known(session, services, name)
        rows = await held(session, name)
    await release(services.work, services.connectors, rows, actor=person.actor)
    return see_other("/operator/connectors#quarantine")


@post(
    "/quarantine/{row_id:str}/forget",
    name="operator.quarantine.forget",
    guards=[auth.require(Scope.OPERATE)],
    include_in_schema=False,
)
async def forget_quarantined(
    row_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """Throw one away."""
    async with services.work.begin("operator.forget") as tx:
        row = await tx.session.get(QuarantinedDelivery, row_id)
        if row is None:
            raise NotFound("quarantined_not_found", "Nothing in quarantine has this id")
        await let_go(tx, row.connector, [row.id], actor=person.actor)
        await record(
            tx, actor=person.actor, action="quarantine.forgotten", subject=row.id, connector=row.connector
        )
    return see_other("/operator/connectors#quarantine")


async def _known(session: AsyncSession, services: Services, name: str) -> None:
    if name not in services.connectors and await records.named(session, name) is None:
        raise NotFound("connector_not_found", "No connector has this id")


async def _last(session: AsyncSession, connector: str) -> Sequence[InboundEvent]:
    statement = select(InboundEvent).order_by(InboundEvent.id.desc()).limit(LAST)
    if connector:
        statement = statement.where(InboundEvent.connector == connector)
    return (await session.scalars(statement)).all()


async def _held(session: AsyncSession) -> list[Held]:
    """The newest of all connectors."""
    row = QuarantinedDelivery
    found = await session.execute(
        select(row.id, row.connector, row.received_at, row.client_ip, func.length(row.body), row.reason)
        .order_by(row.id.desc())
        .limit(LAST)
    )
    return [
        Held(id=one[0], connector=one[1], received_at=one[2], client_ip=one[3], size=one[4], reason=one[5])
        for one in found.all()
    ]


ROUTER = Router(
    path="/operator/connectors",
    guards=[no_nul, auth.operator],
    route_handlers=[show_connectors, resume_connector, release_quarantine, forget_quarantined],
)
