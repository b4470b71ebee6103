"""What the commands do, on both databases: counting, dead letters, release and a look at the vendor's changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from sqlalchemy import select

from connectors.config import ConnectorConfig, load
from connectors.connector import InboundRequest, Tools
from core import clock
from core.audit.tables import AuditEntry
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import Conflict, Misconfigured
from core.intake import quarantine, records
from core.intake.actions import Received, receive_many
from core.intake.envelope import RECONCILED, InboundDelivery
from core.intake.tables import InboundEvent, QuarantinedDelivery
from core.outbox.tables import OutboxRow
from core.repairs.actions import Kind, needed
from core.replies.states import ReplyState
from core.replies.tables import Reply
from hub.connector_desk.dead_letters import dead_letters, redrive
from hub.connector_desk.overview import overview
from hub.connector_desk.poll import poll
from hub.connector_desk.release import release, request_of
from tests.factories_routing import a_task, an_organisation

NAME = "demo-oncall"
NO_TOOLS = cast("Tools", None)  # these connectors call nobody


@pytest.fixture
def config() -> ConnectorConfig:
    environ = {"PAGERDUTY_API_TOKEN": "token", "PAGERDUTY_WEBHOOK_SECRET": "secret"}
    return load(Path(__file__).with_name("pagerduty.yaml").read_text(), "pagerduty.yaml", environ)


def a_delivery(delivery_id: str, verified_by: int = 0) -> InboundDelivery:
    return InboundDelivery(
        delivery_id=delivery_id,
        event_type="incident.triggered",
        body=b"{}",
        headers={},
        verified_by=verified_by,
    )


async def a_reply(tx: Transaction, state: ReplyState, number: int, error: str) -> str:
    task_id = await a_task(
        tx, await an_organisation(tx), connector=NAME, ticket_id=f"P{number}", escalation_key="k"
    )
    reply = Reply(
        id=f"rep_{number:032x}",
        task_id=task_id,
        step="verified.0",
        position=0,
        connector=NAME,
        ticket_id=f"P{number}",
        marker=f"[hub:rep_{number:032x}]",
        actions=[{"kind": "note", "body": "text"}],
        state=state,
        attempts=3,
        error=error,
        created_at=clock.from_ms(1_700_000_000_000 + number),
    )
    tx.session.add(reply)
    return reply.id


async def test_everything_that_waits_is_counted(work: UnitOfWork, config: ConnectorConfig) -> None:
    async with work.begin("test") as tx:
        await records.register(tx, {NAME: "pagerduty", "gone": "pagerduty"})
        await records.reconciled(tx, NAME, clock.from_ms(1_700_000_000_000))
        await needed(tx, f"connector:{NAME}", Kind.LOOP, "asks again and again")
        await needed(tx, "connector:gone", Kind.CREDENTIALS, "refused")
        for _ in range(2):
            await quarantine.keep(tx, NAME, headers={}, body=b"x", path_token="", client_ip="", reason="no")
        await a_reply(tx, ReplyState.DEAD, 1, "refused")
        await a_reply(tx, ReplyState.DELIVERED, 2, "")
    async with work.read() as session:
        here, gone = await overview(session, {NAME: config}, "https://hub.example")
    assert (here.id, here.mode, here.address) == (NAME, "live", f"https://hub.example/hooks/in/{NAME}")
    assert (here.repairs, here.quarantined, here.dead) == (
        2,
        2,
        1,
    )  # the loop, and the quarantine's own alarm
    assert here.reconciled_to == clock.from_ms(1_700_000_000_000)
    assert (gone.id, gone.vendor, gone.address, gone.repairs) == ("gone", "pagerduty", "", 1)


async def test_dead_letters_newest_first_and_back(work: UnitOfWork) -> None:
    async with work.begin("test") as tx:
        dead = await a_reply(tx, ReplyState.DEAD, 1, "the field `u_x` is unknown")
        moot = await a_reply(tx, ReplyState.MOOT, 2, "answered elsewhere")
        await a_reply(tx, ReplyState.PENDING, 3, "")
        await receive_many(tx, [Received(NAME, a_delivery("d1")), Received("other", a_delivery("d2"))])
    async with work.begin("test") as tx:
        events = (await tx.session.scalars(select(InboundEvent).order_by(InboundEvent.connector))).all()
        for event in events:
            event.state, event.reason = "failed", "no price"
    async with work.read() as session:
        found = await dead_letters(session, NAME)
        everything = await dead_letters(session)
    assert [one.id for one in found] == [events[0].id, moot, dead]
    assert [one.again for one in found] == [True, False, True]
    assert found[2].about == "note into P1"
    assert found[2].reason == "the field `u_x` is unknown"
    assert len(everything) == 4
    async with work.begin("test") as tx:
        await redrive(tx, dead, actor="test")
        await redrive(tx, events[0].id, actor="test")
    with pytest.raises(Conflict):
        async with work.begin("test") as tx:
            await redrive(tx, moot, actor="test")
    async with work.read() as session:
        assert [one.id for one in await dead_letters(session, NAME)] == [moot]
        topics = await session.scalars(
            select(OutboxRow.topic)
            .where(OutboxRow.subject.in_([dead, events[0].id]))
            .order_by(OutboxRow.topic)
        )
        assert set(topics) == {"inbound.received", "reply.send"}


def stamped(config: ConnectorConfig, seen: list[InboundRequest]) -> ConnectorConfig:
    """A vendor that refuses what is older than five minutes, measured by when it came in."""

    def verify(settings: Any, request: InboundRequest) -> tuple[InboundDelivery, ...]:
        seen.append(request)
        return (a_delivery("d1"), a_delivery("d2"))

    kind = msgspec.structs.replace(config.connector, verify=verify)
    return msgspec.structs.replace(config, connector=kind)


async def test_release_is_verified_at_the_time_at_which_it_came(
    work: UnitOfWork, config: ConnectorConfig
) -> None:
    async with work.begin("test") as tx:
        await receive_many(tx, [Received(NAME, a_delivery("d1"))])
        for name in (NAME, "gone"):
            await quarantine.keep(
                tx, name, headers={"a": "b"}, body=b"{}", path_token="t", client_ip="192.0.2.1", reason="no"
            )
    async with work.read() as session:
        rows = await quarantine.held(session)
    seen: list[InboundRequest] = []
    done = await release(work, {NAME: stamped(config, seen)}, rows, actor="test")
    [mine] = [one for one in done if one.connector == NAME]
    [other] = [one for one in done if one.connector == "gone"]
    assert (mine.stored, mine.kept) == (1, "")  # the other of the two was known
    assert other.kept == "no file has the id of its connector"
    assert [request.received_at for request in seen] == [
        row.received_at for row in rows if row.connector == NAME
    ]
    assert seen == [request_of(row) for row in rows if row.connector == NAME]
    async with work.read() as session:
        assert [row.connector for row in await session.scalars(select(QuarantinedDelivery))] == ["gone"]
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "quarantine.released"))
        assert entry is not None
        assert (entry.actor, entry.subject) == ("test", mine.id)


class Changes:
    """A vendor with a list of changes; remembers since when it was asked."""

    def __init__(self, *ids: str):
        self.ids, self.since = ids, list[int]()

    async def changes(self, since_ms: int) -> AsyncIterator[InboundDelivery]:
        self.since.append(since_ms)
        for name in self.ids:
            yield a_delivery(name, RECONCILED)


def asked(config: ConnectorConfig, changes: Changes | None) -> ConnectorConfig:
    kind = msgspec.structs.replace(config.connector, reconciler=lambda settings, tools: changes)
    return msgspec.structs.replace(config, connector=kind)


async def test_a_look_takes_in_what_is_new_and_remembers_where_it_ended(
    work: UnitOfWork, config: ConnectorConfig
) -> None:
    vendor = Changes("recon:P1:1", "recon:P2:1")
    first = await poll(work, NO_TOOLS, asked(config, vendor), None)
    assert [event.delivery_id for event in first] == ["recon:P1:1", "recon:P2:1"]
    vendor.ids = ("recon:P1:1", "recon:P3:1")
    second = await poll(work, NO_TOOLS, asked(config, vendor), None)
    assert [event.delivery_id for event in second if event.delivery_id not in vendor.ids[:1]][
        -1
    ] == "recon:P3:1"
    async with work.read() as session:
        ended = await records.reconciled_to(session, NAME)
    assert ended is not None
    overlap = config.settings.reconcile.overlap_seconds * 1000
    third = clock.to_ms(ended) - overlap
    await poll(work, NO_TOOLS, asked(config, vendor), None)
    assert vendor.since[2] == third


async def test_a_look_that_is_told_where_to_begin_leaves_the_mark_alone(
    work: UnitOfWork, config: ConnectorConfig
) -> None:
    vendor = Changes()
    assert list(await poll(work, NO_TOOLS, asked(config, vendor), 1800)) == []
    async with work.begin("test") as tx:
        assert await tx.now_ms() - vendor.since[0] - 1_800_000 in range(60_000)
        assert await records.reconciled_to(tx.session, NAME) is None


async def test_a_connector_that_cannot_be_asked_says_why(work: UnitOfWork, config: ConnectorConfig) -> None:
    with pytest.raises(Misconfigured, match="the API credentials of demo-oncall are empty"):
        await poll(work, NO_TOOLS, asked(config, None), None)
    kind = msgspec.structs.replace(config.connector, reconciler=None)
    with pytest.raises(Misconfigured, match="offers nothing to reconcile with"):
        await poll(work, NO_TOOLS, msgspec.structs.replace(config, connector=kind), None)
