"""A simulated workspace, a connector file that points at it, and what the hub would lend: for the integration tests of
the Intercom connector."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec

from connectors.config import load
from connectors.connector import Tools
from connectors.intercom.settings import IntercomSettings
from connectors.pauses import Pauses
from connectors.threads import Threads
from connectors.vendor_http import new_client
from core.replies.ticketing import Action, Write
from tests.fakes.intercom import FaultyIntercom, serve
from tests.fakes.intercom_workspace import Workspace

SHIPPED = Path(__file__).parents[2] / "config" / "connectors"
HUB, ANN, HUMANS, BOTS = "991267459", "9608799", "814865", "814866"


def settings_for(url: str, **changes: Any) -> IntercomSettings:
    """The file we ship, pointed at `url`, with other members replaced."""
    text = (SHIPPED / "intercom.yaml").read_text().replace("http://127.0.0.1:8790/intercom", url)
    environ = {"INTERCOM_ACCESS_TOKEN": "token", "INTERCOM_CLIENT_SECRET": "client-secret"}
    settings = cast("IntercomSettings", load(text, "intercom.yaml", environ).settings)
    return msgspec.structs.replace(settings, **changes)


def workspace() -> Workspace:
    world = Workspace()
    world.add_admin(HUB, "Hub")
    world.add_admin(ANN, "Ann")
    world.add_team(HUMANS, "Humans")
    world.add_team(BOTS, "Bots")
    world.tags.update({"7522907": "hitl-answered", "7522908": "ask-human"})
    world.attributes.append("human_task")
    return world


class Lab:
    """`vendor` is the simulated Intercom, `world` its workspace, `settings` and `tools` what the connector gets."""

    def __init__(self, vendor: FaultyIntercom, http: httpx.AsyncClient, threads: Threads):
        self.vendor, self.world = vendor, vendor.world
        self.settings = settings_for(vendor.url)
        self.tools = Tools(threads=threads, http=lambda: http, pauses=Pauses())
        self.customer = self.world.add_contact("Cleo")

    def begin(self, body: str = "<p>Refund please</p>") -> str:
        return str(self.world.begin(body, self.customer)["id"])

    def parts(self, number: str) -> list[dict[str, Any]]:
        return self.world.conversation(number)["conversation_parts"]["conversation_parts"]


@asynccontextmanager
async def lab(*, timeout: float = 0.5) -> AsyncIterator[Lab]:
    """`timeout` (seconds) is ours for each call; the simulated time-out never answers."""
    threads, http = Threads(1, "test-intercom"), new_client()
    http.timeout = httpx.Timeout(timeout)
    async with serve(workspace()) as vendor:
        try:
            yield Lab(vendor, http, threads)
        finally:
            await http.aclose()  # first, or the server waits for its idle connections
            threads.close()


def write(ticket_id: str, kind: str, body: Any, number: int = 1) -> Write:
    marker = f"[hub:rep_{number:032x}]"
    return Write(
        ticket_id=ticket_id,
        actions=(Action(kind=kind, body=body),),
        marker=marker,
        key=f"rep_{number:032x}",
        task_id="t",
    )
