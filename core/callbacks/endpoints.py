"""An organisation's own webhook endpoints: registered, listed, taken away. Used by `/v1/webhooks`; the deliveries to
them are made in `core/callbacks/actions.py`."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.audit.record import record
from core.callbacks import sign
from core.callbacks.tables import CallbackEndpoint
from core.db.unit_of_work import Transaction
from core.errors import Invalid, NotFound
from core.secret import Secret
from core.tasks.model import Environment, EventType

MOST = 20  # an event goes to every one of them

# Names of the later documents for the same moments.
_OTHER_NAMES = {"task.created": EventType.POSTED, "task.completed": EventType.VERIFIED}


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is shown this once."""

    row: CallbackEndpoint
    secret: Secret


def event_type(name: str) -> EventType:
    """Raises ValueError for a name that no published document has."""
    return _OTHER_NAMES.get(name) or EventType(name)


async def register(
    tx: Transaction,
    organisation_id: str,
    environment: Environment,
    *,
    url: str,
    events: list[EventType],
    description: str,
    seal: Callable[[str], str],
    actor: str,
) -> Registered:
    """A new endpoint with a secret of its own; no `events` means the published seven. Raises Invalid beyond `MOST`."""
    count = await tx.session.scalar(
        select(func.count())
        .select_from(CallbackEndpoint)
        .where(
            CallbackEndpoint.organisation_id == organisation_id, CallbackEndpoint.environment == environment
        )
    )
    if (count or 0) >= MOST:
        raise Invalid(
            "too_many_endpoints", f"An organisation may have {MOST} webhook endpoints; delete one first"
        )
    secret = sign.new_secret()
    row = CallbackEndpoint(
        id=ids.new("wh"),
        organisation_id=organisation_id,
        environment=str(environment),
        url=url,
        description=description,
        events=sorted({str(event) for event in events}),
        secret=seal(secret.reveal()),
        created_at=clock.from_ms(await tx.now_ms()),
    )
    tx.session.add(row)
    await record(tx, actor=actor, action="endpoint.registered", subject=row.id)
    return Registered(row=row, secret=secret)


async def of_organisation(
    session: AsyncSession, organisation_id: str, environment: Environment
) -> list[CallbackEndpoint]:
    """Oldest first; there are at most `MOST`."""
    statement = (
        select(CallbackEndpoint)
        .where(
            CallbackEndpoint.organisation_id == organisation_id, CallbackEndpoint.environment == environment
        )
        .order_by(CallbackEndpoint.id)
    )
    return list(await session.scalars(statement))


async def get(
    session: AsyncSession, organisation_id: str, environment: Environment, endpoint_id: str
) -> CallbackEndpoint:
    """Raises NotFound for an id that is unknown, somebody else's or of the other environment."""
    found = None if "\0" in endpoint_id else await session.get(CallbackEndpoint, endpoint_id)
    if found is None or (found.organisation_id, found.environment) != (organisation_id, environment):
        raise NotFound("endpoint_not_found", "Webhook endpoint not found")
    return found


async def remove(
    tx: Transaction, organisation_id: str, environment: Environment, endpoint_id: str, *, actor: str
) -> None:
    """Its waiting deliveries find it gone and end. Raises NotFound as `get`."""
    row = await get(tx.session, organisation_id, environment, endpoint_id)
    await tx.session.execute(delete(CallbackEndpoint).where(CallbackEndpoint.id == row.id))
    await record(tx, actor=actor, action="endpoint.removed", subject=row.id)
