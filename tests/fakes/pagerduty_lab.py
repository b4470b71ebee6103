"""A simulated PagerDuty account, the connector file we ship pointed at it, and what the hub would lend: for the
integration tests of the PagerDuty connector."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec

from connectors.config import load
from connectors.connector import InboundRequest, Tools
from connectors.pagerduty.settings import PagerDutySettings
from connectors.pagerduty.verify import verify
from connectors.pauses import Pauses
from connectors.threads import Threads
from core.intake.envelope import InboundDelivery
from core.replies.ticketing import Action, Write
from hub.demo.fake_pagerduty import PagerDuty, Subscription
from tests.fakes.pagerduty import FaultyPagerDuty, serve

SHIPPED = Path(__file__).parents[2] / "config" / "connectors" / "pagerduty.yaml"
BOT, BOT_ID = "hub-bot@demo.example", "PHUBBOT"
PUBLIC = "https://hub.example"
HOOK = f"{PUBLIC}/hooks/in/demo-oncall"
SECRET = "webhook-secret"


def settings_for(url: str, token: str = "token", **changes: Any) -> PagerDutySettings:
    """The file we ship, pointed at `url`, with other members replaced."""
    text = SHIPPED.read_text().replace("http://127.0.0.1:8790", url)
    environ = {"PAGERDUTY_API_TOKEN": token, "PAGERDUTY_WEBHOOK_SECRET": SECRET}
    settings = cast("PagerDutySettings", load(text, SHIPPED.name, environ).settings)
    return msgspec.structs.replace(settings, **changes)


class Lab:
    """`vendor` is the simulated PagerDuty, `world` its account with the hub's user and Ann, `settings` and `tools` what
    the connector gets."""

    def __init__(self, vendor: FaultyPagerDuty, threads: Threads):
        self.vendor, self.world = vendor, vendor.world
        self.settings = settings_for(vendor.url)
        self.tools = Tools(threads=threads, http=_no_http, pauses=Pauses())
        self.bot = self.world.add_user("Hub bot", BOT, BOT_ID)
        self.ann = self.world.add_user("Ann", "ann@demo.example")

    def begin(self, title: str = "Checkout is slow", priority: str | None = None) -> str:
        return str(self.world.trigger(title, priority=priority, agent=self.ann)["id"])

    def listen(self) -> Subscription:
        """A subscription to everything, whose webhooks a test takes with `sent`."""
        return self.world.subscribe(Subscription(HOOK, [SECRET]))

    def sent(self, subscription: Subscription) -> list[InboundDelivery]:
        """What the subscription would have delivered by now, verified; the lines are empty afterwards."""
        found: list[InboundDelivery] = []
        for queue in subscription.queues.values():
            for one in queue:
                headers = {name.lower(): value for name, value in subscription.headers(one).items()}
                found += verify(self.settings, InboundRequest(headers=headers, body=one.body))
        subscription.queues.clear()
        return found

    def ask(self, incident_id: str, value: str = "requested") -> None:
        """Ann sets the field that asks a person."""
        self.world.set_fields(incident_id, [{"name": "human_check", "value": value}], self.ann)


@asynccontextmanager
async def lab() -> AsyncIterator[Lab]:
    threads = Threads(2, "test-pagerduty")
    async with serve(PagerDuty(token="token")) as vendor:
        try:
            yield Lab(vendor, threads)
        finally:
            vendor.released.set()
            threads.close()


def write(incident_id: str, kind: str, body: Any, number: int = 1) -> Write:
    marker = f"[hub:rep_{number:032x}]"
    return Write(
        ticket_id=incident_id, actions=(Action(kind=kind, body=body),), marker=marker, key=f"rep_{number}"
    )


def _no_http() -> httpx.AsyncClient:
    raise AssertionError("PagerDuty is called through pdpyras")
