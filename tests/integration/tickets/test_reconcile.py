"""The look at the vendor: one chain of slots, a watermark that moves with success alone, nothing twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, update

from connectors.form import Reconcile
from core import clock
from core.errors import Misconfigured, Rejected, Retryable, Uncertain
from core.intake import records
from core.intake.envelope import RECONCILED
from core.intake.tables import InboundEvent
from core.outbox.tables import OutboxRow
from core.replies.actions import resume
from core.tasks.tables import Task
from hub.jobs import reconcile
from tests.integration.tickets.conftest import World
from tests.integration.tickets.desk import NAME, poll

EVERY, OVERLAP = 120, 300


async def begun(world: World) -> None:
    await reconcile.schedule(world.work, world.configs)
    await world.drain()


async def watermark(world: World) -> int | None:
    async with world.work.read() as session:
        known = await records.reconciled_to(session, NAME)
    return None if known is None else clock.to_ms(known)


async def slots(world: World) -> tuple[int, int]:
    """(done, waiting) looks."""
    states = await world.job_states("connector.reconcile")
    return states.count("done"), states.count("pending")


async def next_slot(world: World) -> None:
    """Bring the waiting look forward: its key names a slot of the real clock, which a test does not move."""
    async with world.work.begin("test.forward") as tx:
        await tx.session.execute(
            update(OutboxRow)
            .where(OutboxRow.topic == "connector.reconcile", OutboxRow.state == "pending")
            .values(due_at=clock.from_ms(0), key=OutboxRow.id)
        )
    await world.drain()


async def test_what_no_delivery_brought_becomes_a_task_once(world: World) -> None:
    world.desk.changed = [poll(id="evt-1", key="K1"), poll(id="evt-2", ticket="T2")]
    await world.task(id="evt-1", key="K1")  # the webhook of the first had come

    await begun(world)
    await next_slot(world)

    assert len(await world.all(Task)) == 2
    looked = [one for one in await world.all(InboundEvent) if one.verified_by == RECONCILED]
    assert [(one.delivery_id, one.state) for one in looked] == [
        ("recon:T1:evt-1", "accepted"),
        ("recon:T2:evt-2", "accepted"),
    ]
    assert await slots(world) == (2, 1)


async def test_each_look_begins_before_the_end_of_the_last(world: World) -> None:
    before = clock.now_ms()
    await begun(world)
    first = await watermark(world)
    await next_slot(world)

    assert first is not None
    assert before - 1_000 <= first <= clock.now_ms() + 1_000
    assert world.desk.since == [first - OVERLAP * 1000, first - OVERLAP * 1000]
    assert (await watermark(world) or 0) >= first


async def test_schedule_is_harmless_however_often_it_is_called(world: World) -> None:
    await asyncio.gather(*(reconcile.schedule(world.work, world.configs) for _ in range(4)))
    await world.drain()
    await reconcile.schedule(world.work, world.configs)

    done, waiting = await slots(world)
    assert waiting == 1
    assert done in (1, 2)  # the slot may have ended meanwhile


@pytest.mark.parametrize(
    "fault",
    [Retryable("busy", "503"), Uncertain("no_answer", "lost"), Rejected("bad", "400: no such field")],
    ids=["away", "lost", "refused"],
)
async def test_a_look_that_fails_moves_no_watermark_and_ends_no_chain(world: World, fault: Exception) -> None:
    await begun(world)
    first = await watermark(world)
    world.desk.polls = [fault] * 30
    world.desk.changed = [poll(id="evt-1"), poll(id="evt-2", ticket="T2")]

    for _ in range(25):
        await next_slot(world)
    assert await watermark(world) == first
    assert await slots(world) == (26, 1)
    world.desk.polls = []
    await next_slot(world)

    assert len(await world.all(Task)) == 2
    assert (await watermark(world) or 0) > (first or 0)


async def test_refused_credentials_open_a_repair_item_and_nobody_asks_again(world: World) -> None:
    world.desk.polls = [Misconfigured("token", "401: the token is refused.")]

    await begun(world)
    await next_slot(world)

    assert await world.repairs() == [(f"connector:{NAME}", "credentials", 1)]
    assert (len(world.desk.since), await watermark(world)) == (1, None)
    async with world.work.begin("test.resume") as tx:
        await resume(tx, NAME, actor="test")
    await next_slot(world)
    assert (len(world.desk.since), await watermark(world) is not None) == (2, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"reconcile": Reconcile(enabled=False)},
        {"mode": "off"},
        {"connector": {"reconciler": lambda settings, tools: None}},
    ],
    ids=["disabled", "off", "no token"],
)
async def test_not_asked_for(world: World, changes: dict[str, Any]) -> None:
    world.configure(**changes)
    await begun(world)
    assert (world.desk.since, await watermark(world), await slots(world)) == ([], None, (1, 1))

    world.configure()  # switched on: the chain is there
    await next_slot(world)
    assert len(world.desk.since) == 1


async def test_a_pause_of_the_vendor_is_kept(world: World) -> None:
    world.tools.pauses.pause(NAME, 60)

    await begun(world)

    assert (world.desk.since, await slots(world)) == ([], (1, 1))


async def test_a_connector_without_a_poll_has_no_chain(world: World) -> None:
    world.configure(connector={"reconciler": None})

    await begun(world)

    assert await slots(world) == (0, 0)


async def test_a_chain_ends_with_its_file_and_begins_with_it(world: World) -> None:
    await begun(world)
    file = world.configs.pop(NAME)
    await next_slot(world)
    assert await slots(world) == (2, 0)

    world.configs[NAME] = file
    async with world.work.begin("test.keys") as tx:
        await tx.session.execute(update(OutboxRow).values(key=OutboxRow.id))
    await begun(world)

    assert await slots(world) == (3, 1)


async def test_long_lists_come_in_batches_and_the_lease_is_kept(world: World) -> None:
    world.desk.changed = [poll(id=f"evt-{n}", ticket=f"T{n}", kind="nothing") for n in range(250)]
    world.desk.polls = [None]
    await reconcile.schedule(world.work, world.configs)
    [job_id] = await world.due("connector.reconcile")

    await world.runner.run(job_id)

    async with world.work.read() as session:
        found = list(await session.scalars(select(InboundEvent.delivery_id).order_by(InboundEvent.id)))
    assert found == [one.delivery_id for one in world.desk.changed]
    assert await slots(world) == (1, 1)


async def test_a_look_that_breaks_off_keeps_what_it_had(world: World) -> None:
    world.desk.changed = [poll(id=f"evt-{n}", ticket=f"T{n}") for n in range(3)]
    world.desk.polls = [Retryable("busy", "503")]
    await begun(world)
    assert await watermark(world) is None

    await next_slot(world)

    assert len(await world.all(Task)) == 3
    assert await watermark(world) is not None
