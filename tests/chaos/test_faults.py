"""What else happens to a hub that works: its queue is wiped and killed, a worker is paused past its lease, the ticket
system loses its answers. The same checker judges every run."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from hub.embedded import valkey
from tests.chaos.test_kill_everywhere import TASK, settled
from tests.conftest import new_postgres_database
from tests.fakes.pagerduty import Fault
from tests.stack.history import broken_promises
from tests.stack.world import World, world
from tests.wait import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]
FROZEN_AND_MORE = 120  # whoever is frozen in a transaction keeps its locks for 30 s; see core/db/driver.py


@asynccontextmanager
async def busy(folder: Path, url: str) -> AsyncIterator[World]:
    """A world whose vendor delivers and whose people answer."""
    async with world(folder, url) as hub:
        life = [asyncio.create_task(hub.deliver_webhooks()), asyncio.create_task(hub.answer_everything())]
        try:
            yield hub
        finally:
            for task in life:
                task.cancel()
            await asyncio.gather(*life, return_exceptions=True)


async def ask(hub: World, count: int, name: str) -> None:
    for number in range(count):
        await hub.raise_incident(f"{name} {number}")
        await hub.create({**TASK, "idempotencyKey": f"{name}-{number}", "callbackUrl": hub.sink.url})


async def test_a_wiped_and_killed_queue_loses_nothing(tmp_path: Path) -> None:
    async with busy(tmp_path, f"sqlite:///{tmp_path}/hub.db") as hub:
        queue = redis.Redis(unix_socket_path=str(valkey.socket_path(tmp_path / "valkey")))
        await ask(hub, 2, "before")
        queue.flushall()
        await ask(hub, 2, "wiped")
        os.kill(queue.info("server")["process_id"], signal.SIGKILL)
        queue.close()
        await ask(hub, 2, "killed")  # nobody starts it again: the sweep does the work
        await wait_until(lambda: settled(hub), timeout=60, every=0.2)
        assert await broken_promises(hub) == []


@pytest.mark.parametrize("name", ["worker", "money"])
async def test_a_worker_paused_past_its_lease_does_nothing_twice(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = await new_postgres_database(request.getfixturevalue("postgres_server"))
    async with busy(tmp_path, url) as hub:
        await ask(hub, 2, "before")
        hub.hub.pause(name)
        sleeper = hub.hub.running[name]
        try:
            hub.hub.start(name)  # another one takes over what the sleeper holds
            await ask(hub, 2, "while asleep")
            await wait_until(lambda: settled(hub), timeout=FROZEN_AND_MORE, every=0.2)
            os.killpg(sleeper.pid, signal.SIGCONT)
            await ask(hub, 2, "awake again")
            await wait_until(lambda: settled(hub), timeout=60, every=0.2)
            os.killpg(sleeper.pid, signal.SIGTERM)
            sleeper.wait(20)
        finally:
            if sleeper.poll() is None:
                os.killpg(sleeper.pid, signal.SIGKILL)
                sleeper.wait(10)
        assert await broken_promises(hub) == []


async def test_a_ticket_system_that_loses_its_answers_gets_one_note(tmp_path: Path) -> None:
    async with busy(tmp_path, f"sqlite:///{tmp_path}/hub.db") as hub:
        hub.pagerduty.next(
            Fault.RESET_AFTER, Fault.NONE, Fault.SERVER_ERROR_AFTER, Fault.NONE, Fault.SERVER_ERROR_BEFORE
        )
        for number in range(3):
            await hub.raise_incident(f"Trouble {number}")
        await wait_until(lambda: settled(hub), timeout=90, every=0.2)
        assert await broken_promises(hub) == []
