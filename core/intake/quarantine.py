"""Deliveries that carry a signature which no secret of ours made: few, not for long, with an alarm. Written by the
inbound route, read and released by `hub connectors quarantine`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.db.unit_of_work import Transaction
from core.intake.tables import QuarantinedDelivery
from core.repairs.actions import Kind, mended, needed

# Of one connector. A stranger may fill this; what he pushes out is what he sent before.
MOST_ROWS = 500
MOST_BYTES = 32 * 1024 * 1024
DAYS = 7
# A vendor's own headers, never one that could carry credentials of a proxy.
_LEFT_OUT = frozenset({"authorization", "cookie", "proxy-authorization"})


async def keep(
    tx: Transaction,
    connector: str,
    *,
    headers: Mapping[str, str],
    body: bytes,
    path_token: str,
    client_ip: str,
    reason: str,
) -> None:
    """Store it, let the oldest go beyond the bounds, and raise the alarm."""
    now = await tx.now_ms()
    tx.session.add(
        QuarantinedDelivery(
            id=ids.new("qua"),
            connector=connector,
            received_at=clock.from_ms(now),
            client_ip=client_ip,
            path_token=path_token,
            headers={name: value for name, value in headers.items() if name not in _LEFT_OUT},
            body=body,
            reason=reason[:500],
        )
    )
    await tx.session.flush()
    await _bound(tx, connector)
    await needed(
        tx,
        f"connector:{connector}",
        Kind.QUARANTINE,
        f"A delivery was signed with a secret that is not ours: {reason} When the vendor's secret was changed, add the "
        f"new one to the file, then run `hub connectors quarantine {connector} --release`.",
    )


async def _bound(tx: Transaction, connector: str) -> None:
    rows = await tx.session.execute(
        select(QuarantinedDelivery.id, func.length(QuarantinedDelivery.body))
        .where(QuarantinedDelivery.connector == connector)
        .order_by(QuarantinedDelivery.id.desc())
    )
    held, count, gone = 0, 0, list[str]()
    for name, size in rows.all():
        held, count = held + size, count + 1
        if held > MOST_BYTES or count > MOST_ROWS:
            gone.append(name)
    if gone:
        await tx.session.execute(delete(QuarantinedDelivery).where(QuarantinedDelivery.id.in_(gone)))


async def held(session: AsyncSession, connector: str | None = None) -> Sequence[QuarantinedDelivery]:
    """What is in quarantine, oldest first."""
    statement = select(QuarantinedDelivery).order_by(QuarantinedDelivery.id)
    if connector is not None:
        statement = statement.where(QuarantinedDelivery.connector == connector)
    return (await session.scalars(statement)).all()


async def let_go(tx: Transaction, connector: str, quarantined_ids: Sequence[str], *, actor: str) -> None:
    """Forget these; the alarm ends with the last one."""
    await tx.session.execute(delete(QuarantinedDelivery).where(QuarantinedDelivery.id.in_(quarantined_ids)))
    left = await tx.session.scalar(
        select(QuarantinedDelivery.id).where(QuarantinedDelivery.connector == connector).limit(1)
    )
    if left is None:
        await mended(tx, f"connector:{connector}", Kind.QUARANTINE, actor=actor)


async def forget_old(tx: Transaction) -> None:
    """Nothing stays longer than DAYS; called once a day."""
    before = clock.from_ms(await tx.now_ms() - DAYS * 86_400_000)
    await tx.session.execute(delete(QuarantinedDelivery).where(QuarantinedDelivery.received_at < before))
