"""kill -9 at every named point of one task's life, in the process that passes it. Every time the world must end with
one note, one callback event id, one payment and balanced books, with no human hand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.intake.tables import InboundEvent
from core.payouts.tables import Payout
from core.replies.tables import Reply
from tests.conftest import new_postgres_database
from tests.stack.history import broken_promises
from tests.stack.processes import ARGUMENTS, POINTS, process_of
from tests.stack.world import World, world
from tests.wait import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1200)]

TASK = {
    "taskType": "question",
    "payload": {"question": "Is it safe to roll back?"},
    "outputSchema": {
        "type": "object",
        "required": ["summary"],
        "properties": {"summary": {"type": "string"}},
    },
    "payout": {"currency": "USD", "maxAmount": 0.5},
}


async def settled(hub: World) -> bool:
    """Everything that was asked has been answered, noted, told and paid."""
    async with hub.work.read() as session:
        incidents = len(hub.pagerduty.world.incidents)
        notes = await session.scalar(select(func.count()).where(Reply.state == "delivered"))
        received = await session.scalar(select(func.count()).where(InboundEvent.state == "received"))
        paid = await session.scalar(select(func.count()).where(Payout.state == "settled"))
    if received or hub.subscription.waiting:
        return False
    told = {r.data["id"] for r in hub.sink.received if r.type == "task.verified"}
    return notes == incidents and paid == incidents + len(hub.acked) and told >= set(hub.acked)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_every_life_survives_a_kill_at_every_point(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The three processes go through their points side by side, each killed at one, started for the next, while new
    work keeps coming; then the faults stop and everything must come to its end by itself."""
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path}/hub.db"
    else:
        url = await new_postgres_database(request.getfixturevalue("postgres_server"))
    async with world(tmp_path, url) as hub:
        life = [asyncio.create_task(hub.deliver_webhooks()), asyncio.create_task(hub.answer_everything())]
        try:
            died = await asyncio.gather(*(die_everywhere(hub, name) for name in ARGUMENTS))
            assert sorted(point for points in died for point in points) == sorted(POINTS)
            await wait_until(lambda: settled(hub), timeout=300, every=0.2)
            assert await broken_promises(hub) == []
        finally:
            for task in life:
                task.cancel()
            await asyncio.gather(*life, return_exceptions=True)


async def die_everywhere(hub: World, name: str) -> list[str]:
    """Kill one process at each of its points in turn, with a new incident and a new API task before each death."""
    mine = [point for point in POINTS if process_of(point) == name]
    asked: list[asyncio.Task[object]] = []
    for number, point in enumerate(mine):
        hub.hub.kill(name)
        hub.hub.start(name, crash_at=f"{point}:1")
        await hub.raise_incident(f"{name} will die at {point}")
        body = {**TASK, "idempotencyKey": f"{name}-{number}", "callbackUrl": hub.sink.url}
        asked.append(asyncio.create_task(hub.create(body)))
        await wait_until(lambda: hub.hub.died(name), timeout=300)
    hub.hub.start(name)
    await asyncio.gather(*asked)
    return mine
