"""The command line over a data folder with a connector, what the database holds before, and a simulated PagerDuty that
is served from a thread of its own, because a command runs its own event loop."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core.db.engine import Database
from core.db.unit_of_work import Transaction, UnitOfWork
from core.intake.actions import Received, receive_many
from core.intake.envelope import InboundDelivery
from core.intake.tables import InboundEvent
from hub.demo.fake_pagerduty import PagerDuty
from tests.architecture.source import ROOT
from tests.fakes.pagerduty import FaultyPagerDuty, serve
from tests.integration.cli.conftest import Hub, bare, hub, succeed

__all__ = ["bare", "hub"]

NAME = "demo-oncall"
FIXTURES = ROOT / "config" / "connectors" / "fixtures"

Act = Callable[[Transaction], Awaitable[Any]]
InDatabase = Callable[[Act], Any]


@pytest.fixture
def config_folder(tmp_path: Path) -> Path:
    """What we ship, but with the connector file of these tests alone; a test may write into it."""
    folder = Path(shutil.copytree(ROOT / "config", tmp_path / "config"))
    for file in (folder / "connectors").glob("*.yaml"):
        file.unlink()
    shutil.copy(Path(__file__).with_name("pagerduty.yaml"), folder / "connectors")
    return folder


@pytest.fixture
def ready(hub: Hub) -> Hub:
    """With the organisation that the connector file names."""
    succeed(hub("organisations", "create", "demo"))
    return hub


@pytest.fixture
def in_database(hub: Hub, tmp_path: Path) -> InDatabase:
    """Runs something in a transaction on the command line's own database."""

    def run(act: Act) -> Any:
        async def inside() -> Any:
            opened = Database(f"sqlite:///{tmp_path}/data/hub.db")
            try:
                async with UnitOfWork(opened).begin("test") as tx:
                    return await act(tx)
            finally:
                await opened.close()

        return asyncio.run(inside())

    return run


@pytest.fixture
def vendor(config_folder: Path) -> Iterator[FaultyPagerDuty]:
    """A simulated account that the connector file points at."""
    world = PagerDuty(token="token")
    world.add_user("Hub", "hub-bot@demo.example", "PHUBBOT")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def call(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(10)

    served = serve(world)
    fake: FaultyPagerDuty = call(served.__aenter__())  # type: ignore[arg-type] - a coroutine, as contextlib makes it
    file = config_folder / "connectors" / "pagerduty.yaml"
    text = file.read_text()
    assert "http://127.0.0.1:8790" in text
    file.write_text(text.replace("http://127.0.0.1:8790", fake.url))
    yield fake
    call(served.__aexit__(None, None, None))  # type: ignore[arg-type] - as above
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


async def an_event(tx: Transaction, fixture: str, state: str = "received", reason: str | None = None) -> str:
    """A stored delivery with that recorded body; its id."""
    body = (FIXTURES / fixture).read_bytes()
    delivery = InboundDelivery(
        delivery_id=fixture, event_type="incident.escalated", body=body, headers={}, verified_by=0
    )
    assert await receive_many(tx, [Received(NAME, delivery)]) == [True]
    event = (await tx.session.scalars(select(InboundEvent).where(InboundEvent.delivery_id == fixture))).one()
    event.state, event.reason = state, reason
    return event.id
