"""kill -9 at every named point of one task's life, in the process that passes it. Every time the world must end with
one note, one callback event id, one payment and balanced books, with no human hand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.payouts.tables import Payout
from core.replies.tables import Reply
from tests.conftest import new_postgres_database
from tests.stack.history import broken_promises
from tests.stack.processes import POINTS, process_of
from tests.stack.world import World, world
from tests.wait import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1500)]

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
        paid = await session.scalar(select(func.count()).where(Payout.state == "settled"))
    told = {r.data["id"] for r in hub.sink.received if r.type == "task.verified"}
    return notes == incidents and paid == incidents + len(hub.acked) and told >= set(hub.acked)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_one_life_survives_a_kill_at_every_point(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path}/hub.db"
    else:
        url = await new_postgres_database(request.getfixturevalue("postgres_server"))
    async with world(tmp_path, url) as hub:
        life = [asyncio.create_task(hub.deliver_webhooks()), asyncio.create_task(hub.answer_everything())]
        try:
            for number, point in enumerate(POINTS):
                await survive(hub, number, point)
            assert await broken_promises(hub) == []
        finally:
            for task in life:
                task.cancel()
            await asyncio.gather(*life, return_exceptions=True)


async def survive(hub: World, number: int, point: str) -> None:
    """One incident and one API task, while the process that passes `point` dies there and comes back."""
    name = process_of(point)
    hub.hub.kill(name)
    hub.hub.start(name, crash_at=f"{point}:1")
    await hub.raise_incident(f"Trouble number {number}")
    creating = asyncio.create_task(
        hub.create({**TASK, "idempotencyKey": f"task-{number}", "callbackUrl": hub.sink.url})
    )
    await wait_until(lambda: hub.hub.died(name), timeout=60)
    hub.hub.start(name)
    await creating
    await wait_until(lambda: settled(hub), timeout=60, every=0.1)
