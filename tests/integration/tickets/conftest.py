"""A hub with one configured desk on a real database: deliveries go in, tasks end, and the jobs between are run here and
now by the hub's own runner, with a clock that can be moved."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
import pytest
from sqlalchemy import select, text

from connectors.config import ConnectorConfig
from connectors.connector import Tools
from connectors.pauses import Pauses
from connectors.threads import Threads
from connectors.vendor_http import VendorHttp
from core.access import organisations
from core.access.sealing import Sealer, new_key
from core.db.base import to_json
from core.db.unit_of_work import UnitOfWork
from core.intake import process as intake
from core.intake.actions import Received, receive_many
from core.intake.envelope import InboundDelivery
from core.intake.tables import InboundEvent
from core.money import Currency
from core.outbox import rows
from core.outbox.tables import OutboxRow
from core.repairs.queries import still_open
from core.replies import actions as replies
from core.replies import compose as composing
from core.replies.tables import Reply
from core.tasks.changes import corrected
from core.tasks.tables import Task
from core.tasks.types import Price, TaskType, TaskTypes
from hub.jobs import reconcile
from hub.jobs.run import Runner
from hub.understanding import Connectors
from tests.factories_routing import PLANS
from tests.integration.tickets.desk import NAME, Desk, config, event

TYPES = TaskTypes(
    [
        TaskType(
            name="question", title="A question", payout=Price(currency=Currency.SATS, max_amount=Decimal(100))
        ),
        TaskType(name="unpriced", title="No price"),
    ]
)
_TIMES = {
    "outbox": ("due_at", "created_at", "lease_until"),
    "replies": ("created_at", "sent_at"),
    "tasks": ("created_at",),
    "inbound_events": ("received_at",),
    "connector_records": ("first_seen_at", "reconciled_to"),
}
Row = TypeVar("Row")


class World:
    """What a test holds: the vendor (`desk`), the files (`configs`, which a test may change), the jobs."""

    def __init__(self, work: UnitOfWork):
        self.work = work
        self.desk = Desk()
        self.configs: dict[str, ConnectorConfig] = {NAME: config(self.desk)}
        self.tools = Tools(threads=Threads(), http=VendorHttp().client, pauses=Pauses())
        self.sealer = Sealer([new_key()])
        self.connectors = Connectors(self.configs, TYPES, PLANS, self.tools, self.sealer)
        self.organisation = ""
        topics = {
            "inbound.received": lambda lease: intake.process(
                work, lease, self.connectors.understand, TYPES, lambda: Decimal(100_000)
            ),
            "task.ended": lambda lease: composing.compose(work, lease, self.connectors.plan),
            "task.corrected": lambda lease: composing.correct(work, lease, self.connectors.plan),
            "reply.send": lambda lease: replies.deliver(work, lease, self.connectors.delivery),
            "connector.reconcile": lambda lease: reconcile.run(work, lease, self.configs, self.tools),
        }
        self._topics = frozenset(topics)
        self.runner, self.second_runner = Runner(work, topics), Runner(work, topics)

    def configure(self, **changes: Any) -> None:
        self.configs[NAME] = config(self.desk, **changes)

    async def due(self, *topics: str) -> list[str]:
        async with self.work.begin("test.due") as tx:
            found = [*await rows.due(tx, "default"), *await rows.due(tx, "outside")]
            known = await tx.session.execute(
                select(OutboxRow.id, OutboxRow.topic).where(OutboxRow.id.in_(found))
            )
            by_id = {row.id: row.topic for row in known.all()}
        return [one for one in found if by_id[one] in (topics or self._topics)]

    async def drain(self) -> None:
        """Run what is due of this folder's topics, and what that makes due."""
        while due := await self.due():
            for job_id in due:
                await self.runner.run(job_id)

    async def pass_time(self, seconds: float) -> None:
        """Move everything that has a time into the past, then run what is due."""
        ms = round(seconds * 1000)
        async with self.work.begin("test.time") as tx:
            for table, columns in _TIMES.items():
                moved = ", ".join(f"{column} = {column} - {ms}" for column in columns)
                await tx.session.execute(text(f"UPDATE {table} SET {moved}"))
        await self.drain()

    async def receive(self, **members: Any) -> str:
        """Store an event of the desk; its row's id."""
        body = event(**members)
        delivery = InboundDelivery(
            delivery_id=body["id"],
            event_type=body["kind"],
            body=msgspec.json.encode(body),
            headers={},
            verified_by=0,
        )
        async with self.work.begin("test.receive") as tx:
            await receive_many(tx, [Received(NAME, delivery)])
        async with self.work.read() as session:
            found = await session.scalar(
                select(InboundEvent.id).where(InboundEvent.delivery_id == body["id"])
            )
        assert found is not None
        return found

    async def told(self, **members: Any) -> InboundEvent:
        """Store an event, run the jobs, and give the row."""
        event_id = await self.receive(**members)
        await self.drain()
        return await self.event(event_id)

    async def event(self, event_id: str) -> InboundEvent:
        async with self.work.read() as session:
            return await session.get_one(InboundEvent, event_id)

    async def task(self, **members: Any) -> str:
        """The id of a task that the desk asked for."""
        event = await self.told(**members)
        assert event.state == "accepted", event.reason
        assert event.task_id is not None
        return event.task_id

    async def end(self, task_id: str, status: str = "verified", **output: Any) -> None:
        """As if a worker's answer had been verified. Its jobs are not run yet."""
        async with self.work.begin("test.end") as tx:
            task = await tx.session.get_one(Task, task_id)
            task.status, task.output = status, output or {"answer": f"Answer to {task.escalation_key}"}
            tx.emit("task.ended", task_id)

    async def correct(self, task_id: str, output: Any = None, note: str = "It says no.") -> None:
        """As if a reviewer had found the answer wrong. Its jobs are not run yet."""
        async with self.work.begin("test.correct") as tx:
            task = await tx.session.get_one(Task, task_id)
            await corrected(tx, task, output, note, actor="person:per_1")

    async def ended(self, *tickets: str) -> None:
        """A verified task for each ticket, keyed evt-1, evt-2 ... Jobs of the ending are not run."""
        made = [await self.task(id=f"evt-{n}", ticket=ticket) for n, ticket in enumerate(tickets, 1)]
        for task_id in made:
            await self.end(task_id)

    async def all(self, kind: type[Row]) -> list[Row]:
        async with self.work.read() as session:
            key: Any = kind.__mapper__.primary_key  # pyright: ignore[reportAttributeAccessIssue] -- every row has one
            return list(await session.scalars(select(kind).order_by(*key)))

    async def replies(self) -> list[tuple[str, str]]:
        """(state, what it says) of each reply, in order of their making."""
        return [(one.state, "; ".join(str(a["body"]) for a in one.actions)) for one in await self.all(Reply)]

    async def reply(self) -> Reply:
        [only] = await self.all(Reply)
        return only

    async def repairs(self) -> list[tuple[str, str, int]]:
        """(subject, kind, times) of the open items."""
        async with self.work.read() as session:
            return [(one.subject, one.kind, one.times) for one in await still_open(session)]

    async def job_states(self, topic: str) -> list[str]:
        return [one.state for one in await self.all(OutboxRow) if one.topic == topic]


@pytest.fixture
async def world(work: UnitOfWork) -> World:
    world = World(work)
    async with work.begin("test.organisation") as tx:
        made = await organisations.create(tx, name="Acme", plan="free", sealer=world.sealer, actor="test")
        world.organisation = made.id
    return world


@pytest.fixture
def sealed(world: World) -> Callable[[dict[str, str]], str]:
    return lambda found: world.sealer.seal(to_json(found))
