"""A dry run over both databases: the remarks of what stands in its way, and the very bytes of a real task's replies."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import pytest

from connectors.config import ConnectorConfig, load
from connectors.connector import Tools
from connectors.pauses import Pauses
from connectors.threads import Threads
from connectors.vendor_http import VendorHttp
from core import clock
from core.access import organisations
from core.access.sealing import Sealer, new_key
from core.errors import Misconfigured
from core.intake.envelope import Cancellation, InboundDelivery
from core.intake.tables import TicketRevision
from core.replies.states import ReplyState
from core.replies.tables import Reply
from core.tasks.states import TaskStatus
from hub.connector_desk.dry_run import DryRun, dry_run
from hub.services import Services
from hub.understanding import Connectors
from tests.factories_routing import a_task
from tests.integration.api.conftest import services, sink
from tests.integration.connectors_cli.conftest import FIXTURES, NAME

__all__ = ["services", "sink"]

TICKET = "Q3B15VLMF3ASBD"
MARKER = f"[hub:rep_{7:032x}]"


@pytest.fixture
def config() -> ConnectorConfig:
    environ = {"PAGERDUTY_API_TOKEN": "token", "PAGERDUTY_WEBHOOK_SECRET": "secret"}
    return load(Path(__file__).with_name("pagerduty.yaml").read_text(), "pagerduty.yaml", environ)


@pytest.fixture
async def tools() -> AsyncGenerator[Tools]:
    threads, http = Threads(1, "test-dry-run"), VendorHttp()
    yield Tools(threads=threads, http=http.client, pauses=Pauses())
    threads.close()
    await http.close()


@pytest.fixture
async def organisation(services: Services) -> str:
    async with services.work.begin("test.organisation") as tx:
        made = await organisations.create(
            tx, name="demo", plan="pay_as_you_go", sealer=services.sealer, actor="test"
        )
        return made.id


def delivery(fixture: str) -> InboundDelivery:
    body = (FIXTURES / fixture).read_bytes()
    return InboundDelivery(
        delivery_id=fixture, event_type="incident.escalated", body=body, headers={}, verified_by=0
    )


async def run(services: Services, config: ConnectorConfig, tools: Tools, fixture: str) -> DryRun:
    desk = Connectors({NAME: config}, services.types, services.plans, tools, Sealer([new_key()]))
    return await dry_run(services, desk, config, delivery(fixture), offline=True)


def contents(done: DryRun, outcome: str) -> list[str]:
    """The text of each note of an ending."""
    bodies = [call.body for one in done.writes if one.outcome == outcome for call in one.calls]
    return [msgspec.json.decode(body)["note"]["content"] for body in bodies]


async def test_the_task_that_was_made_and_its_replies(
    services: Services, config: ConnectorConfig, tools: Tools, organisation: str
) -> None:
    async with services.work.begin("test.task") as tx:
        task_id = await a_task(
            tx,
            organisation,
            connector=NAME,
            ticket_id=TICKET,
            escalation_key=TICKET,
            status=str(TaskStatus.VERIFIED),
            output={"summary": "ask [email 1]"},
        )
        reply = Reply(
            id=f"rep_{7:032x}",
            task_id=task_id,
            step="verified.0",
            position=0,
            connector=NAME,
            ticket_id=TICKET,
            marker=MARKER,
            actions=[{"kind": "note", "body": "Verified by 1: ask ana@example.org"}],
            state=ReplyState.UNCERTAIN,
            attempts=1,
            created_at=clock.now(),
        )
        tx.session.add(reply)
    done = await run(services, config, tools, "incident_escalated.json")
    assert done.existing is not None
    assert done.existing.id == task_id
    # What was redacted is turned back, and the marker is that of the reply that is on its way.
    assert contents(done, "verified") == [f"Verified by 1: ask ana@example.org\n\n{MARKER}"]
    assert [one.real for one in done.writes] == [True, False]
    assert [one.outcome for one in done.writes] == ["verified", "expired"]
    assert contents(done, "expired")[0].startswith("No answer in time.")
    assert done.remarks == (f"reply {reply.id} into this ticket is on its way: the event would wait for it",)


async def test_what_a_cancellation_would_touch(
    services: Services, config: ConnectorConfig, tools: Tools, organisation: str
) -> None:
    async with services.work.begin("test.task") as tx:
        task_id = await a_task(
            tx, organisation, connector=NAME, ticket_id="PGR0VU2", escalation_key="PGR0VU2"
        )
        tx.session.add(TicketRevision(connector=NAME, ticket_id="PGR0VU2", revision=9))
    done = await run(services, config, tools, "incident_resolved.json")
    assert isinstance(done.meaning, Cancellation)
    assert done.open_tasks == (task_id,)
    assert done.writes == ()


async def test_without_its_organisation_nothing_is_read(
    services: Services, config: ConnectorConfig, tools: Tools
) -> None:
    with pytest.raises(Misconfigured, match="make it with `hub organisations create demo`"):
        await run(services, config, tools, "incident_escalated.json")
