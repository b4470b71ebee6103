"""Takes deliveries in, many at a time in one insert, and brings old ones back to be read again. What they mean is read
later, in a job of its own: `process.py`."""

from __future__ import annotations

import msgspec

from core import ids
from core.audit.record import record
from core.db.base import to_json
from core.db.compare_and_set import move
from core.db.hot import INBOUND, RECEIVE, insert_many
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import NotFound
from core.intake.envelope import InboundDelivery
from core.intake.states import TRANSITIONS, InboundState
from core.intake.tables import InboundEvent
from core.outbox.rows import new_job


class Received(msgspec.Struct, frozen=True):
    """A verified delivery on its way into the raw inbox of one configured connector."""

    connector: str
    delivery: InboundDelivery


async def receive_many(tx: Transaction, deliveries: list[Received]) -> list[bool]:
    """Store what is new; True for each delivery that had not been seen before."""
    now = await tx.now_ms()
    rows = [
        (
            ids.new("inb"),
            one.connector,
            one.delivery.delivery_id,
            one.delivery.event_type,
            to_json(one.delivery.headers),
            one.delivery.body,
            one.delivery.verified_by,
            now,
            str(InboundState.RECEIVED),
        )
        for one in deliveries
    ]
    inserted = await insert_many(tx, INBOUND, rows)
    for row in rows:
        if row[0] in inserted:
            tx.emit("inbound.received", row[0])
    return [row[0] in inserted for row in rows]


async def receive_at_once(work: UnitOfWork, deliveries: list[Received]) -> list[bool]:
    """`receive_many` in a transaction of its own, on PostgreSQL in a single statement."""
    if work.database.dialect != "postgresql":
        async with work.begin("intake.receive") as tx:
            return await receive_many(tx, deliveries)
    named = [(ids.new("inb"), one) for one in deliveries]
    jobs = {name: new_job("inbound.received", name) for name, _ in named}
    rows = [
        (
            name,
            one.connector,
            one.delivery.delivery_id,
            one.delivery.event_type,
            to_json(one.delivery.headers),
            one.delivery.body,
            one.delivery.verified_by,
            jobs[name].id,
        )
        for name, one in named
    ]
    async with work.quick("intake.receive") as quick:
        found = await quick.write(RECEIVE, *(list(column) for column in zip(*rows, strict=True)))
        quick.jobs = [jobs[row[0]] for row in found]
    stored = {row[0] for row in found}
    return [name in stored for name, _ in named]


async def replay(tx: Transaction, event_id: str, *, actor: str) -> None:
    """Bring a failed or ignored delivery back to be read again with today's configuration."""
    event = await tx.session.get(InboundEvent, event_id)
    if event is None:
        raise NotFound("inbound_event_not_found", f"No inbound delivery {event_id}")
    await move(tx, event, InboundState.RECEIVED, table=TRANSITIONS, reason=None)
    await record(tx, actor=actor, action="inbound.replayed", subject=event.id)
    tx.emit("inbound.received", event.id, body={"replayed": True})


def delivery_of(event: InboundEvent) -> InboundDelivery:
    """The delivery as it came in."""
    return InboundDelivery(
        delivery_id=event.delivery_id,
        event_type=event.event_type,
        body=event.body,
        headers=event.headers,
        verified_by=event.verified_by,
    )
