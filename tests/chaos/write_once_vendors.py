"""The vendors of the `write_once` matrix: the shipped connector file cut down to one note, and a simulated ticket of its
own for every cell, whose next write meets a fault. Used by `write_once_matrix.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hub.demo.fake_pagerduty import PagerDuty
from tests.fakes import intercom, pagerduty, salesforce, servicenow
from tests.fakes.intercom_lab import workspace

SHIPPED = Path(__file__).parents[2] / "config" / "connectors"
TOKEN = "token"
SECRETS = {
    "INTERCOM_ACCESS_TOKEN": TOKEN,
    "INTERCOM_CLIENT_SECRET": "unused",
    "PAGERDUTY_API_TOKEN": TOKEN,
    "PAGERDUTY_WEBHOOK_SECRET": "unused",
    "SALESFORCE_CLIENT_ID": "secret",
    "SALESFORCE_CLIENT_SECRET": "secret",
    "SALESFORCE_PATH_TOKEN": "unused-but-thirty-two-characters-long",
    "SALESFORCE_WEBHOOK_SECRET": "unused",
    "SERVICENOW_CLIENT_SECRET": TOKEN,
    "SERVICENOW_WEBHOOK_SECRET": "unused",
}


@dataclass(frozen=True)
class TicketAt:
    """A ticket at a vendor that serves nobody else. `fault(name)` scripts what the next write (or, with `any_call`, the
    next call) meets; `waiting()` counts the faults that nothing has met yet; `notes()` are the texts on the ticket."""

    url: str
    ticket_id: str
    fault: Callable[[str, bool], None]
    waiting: Callable[[], int]
    notes: Callable[[], list[str]]


@dataclass(frozen=True)
class Vendor:
    """`file` is the connector file's text; `serve` runs a simulated vendor with one ticket."""

    name: str
    file: str
    serve: Callable[[], AbstractAsyncContextManager[TicketAt]]


def shipped(name: str, **members: Any) -> str:
    """The file we ship, with one note as all that a verified answer leaves."""
    document = yaml.safe_load((SHIPPED / f"{name}.yaml").read_text())
    note = {"note": "Verified: {{ result.output.answer }}"}
    for gone in ("tests", "reconcile"):
        document.pop(gone, None)
    return yaml.safe_dump({**document, "outbound": {"verified": [note]}, **members}, sort_keys=False)


@asynccontextmanager
async def at_intercom() -> AsyncIterator[TicketAt]:
    async with intercom.serve(workspace()) as fake:
        world = fake.world
        number = str(world.begin("<p>Refund please</p>", world.add_contact("Cleo"))["id"])

        def notes() -> list[str]:
            parts = world.conversation(number)["conversation_parts"]["conversation_parts"]
            return [part["body"] for part in parts if part["part_type"] == "note"]

        yield TicketAt(
            fake.url, number, lambda name, _: fake.next(intercom.Fault(name)), lambda: len(fake.script), notes
        )


@asynccontextmanager
async def at_pagerduty() -> AsyncIterator[TicketAt]:
    world = PagerDuty(token=TOKEN)
    world.add_user("Hub bot", "hub-bot@demo.example", "PHUBBOT")
    async with pagerduty.serve(world) as fake:
        incident = world.trigger("Checkout is slow")["id"]
        yield TicketAt(
            fake.url,
            incident,
            lambda name, _: fake.next(pagerduty.Fault(name)),
            lambda: len(fake.script),
            lambda: [note["content"] for note in world.notes[incident]],
        )


@asynccontextmanager
async def at_salesforce() -> AsyncIterator[TicketAt]:
    async with salesforce.serve() as org:
        case = org.insert("Case", {"Subject": "Refund for order 17", "Status": "Escalated"})
        yield TicketAt(
            org.url,
            case,
            lambda name, _: org.next(salesforce.Fault(name)),
            lambda: len(org.script),
            lambda: org.comments(case),
        )


@asynccontextmanager
async def at_servicenow() -> AsyncIterator[TicketAt]:
    async with servicenow.serve() as fake:
        world = fake.world
        world.client_id, world.client_secret = "5f1e0d0f6a3b4c7e8d9a0b1c2d3e4f50", TOKEN
        older = world.insert({"short_description": "An older one"})["sys_id"]
        world.update(older, {"work_notes": "Seen"}, "fred.luddy")  # others' notes can be read
        record = world.insert({"short_description": "Is this mask right?"})["sys_id"]

        def fault(name: str, any_call: bool) -> None:
            for method in ("PATCH", "PUT", *(("GET",) if any_call else ())):
                fake.next(method, servicenow.Fault(name))

        yield TicketAt(
            fake.url,
            record,
            fault,
            lambda: sum(len(script) for script in fake.script.values()),
            lambda: world.notes(record),
        )


def vendors() -> list[Vendor]:
    """Salesforce and ServiceNow twice: with our package's table of keys in the org, and with nothing installed, where the
    marker is all there is."""
    by_table = {"via": "table_api", "settle": "1s"}  # the one wait of a file that is longer than this run
    by_marker = {"idempotency": "marker"}
    return [
        Vendor("intercom", shipped("intercom"), at_intercom),
        Vendor("pagerduty", shipped("pagerduty"), at_pagerduty),
        Vendor("salesforce", shipped("salesforce"), at_salesforce),
        Vendor("salesforce by marker", shipped("salesforce", writeback=by_marker), at_salesforce),
        Vendor("servicenow", shipped("servicenow"), at_servicenow),
        Vendor("servicenow by marker", shipped("servicenow", writeback=by_table), at_servicenow),
    ]
