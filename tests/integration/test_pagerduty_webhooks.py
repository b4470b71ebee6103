"""The simulated PagerDuty as a sender: what it signs verifies here, and it retries, drops and disables as documented
(PagerDuty/developer-docs docs/webhooks/02-Behavior.md), so that tests and demo meet the vendor's real manners."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from connectors.config import load
from connectors.connector import Connector, InboundRequest
from connectors.pagerduty.settings import PagerDutySettings
from connectors.registry import connector
from connectors.signatures import SignatureMismatch
from core.errors import HubError
from core.intake.envelope import Cancellation, Escalation, InboundDelivery
from hub.demo.fake_pagerduty import PagerDuty, Subscription, deliver

FILE = Path(__file__).parents[2] / "config" / "connectors" / "pagerduty.yaml"


class Receiver:
    """An endpoint with the connector's own verification and answers; `answers` scripts statuses for the next ones."""

    def __init__(self, secret: str) -> None:
        environ = {"PAGERDUTY_WEBHOOK_SECRET": secret, "PAGERDUTY_API_TOKEN": "t"}
        settings = load(FILE.read_text(), FILE.name, environ).settings
        assert isinstance(settings, PagerDutySettings)
        self.settings: PagerDutySettings = settings
        self.connector: Connector = connector("pagerduty")
        self.script: list[int] = []
        self.received: list[InboundDelivery] = []
        self.errors: list[HubError] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.script:
            return web.Response(status=self.script.pop(0))
        try:
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.received += self.connector.verify(self.settings, InboundRequest(headers=headers, body=body))
        except HubError as error:
            self.errors.append(error)
            return web.Response(status=self.connector.answers.for_error(error))
        return web.Response(status=self.connector.answers.verified)

    def kinds(self) -> list[str]:
        return [delivery.event_type for delivery in self.received]


@asynccontextmanager
async def receiving(secret: str = "whsec") -> AsyncIterator[Receiver]:
    receiver = Receiver(secret)
    application = web.Application()
    application.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


async def test_what_responders_do_arrives_in_order_and_means_something(
    session: aiohttp.ClientSession,
) -> None:
    async with receiving() as receiver:
        world = PagerDuty()
        ann = world.add_user("Ann", "ann@demo.example")
        hooks = world.subscribe(Subscription(receiver.url, ["other", "whsec"]))
        incident = world.trigger("Checkout is slow", agent=ann)
        world.escalate(incident["id"], ann)
        world.add_note(incident["id"], "looking", ann)
        world.resolve(incident["id"], ann)
        world.ping()
        while await deliver(hooks, session):
            pass
        about = [d for d in receiver.received if d.event_type != "pagey.ping"]
        assert [d.event_type for d in about] == [
            "incident.triggered",
            "incident.escalated",
            "incident.annotated",
            "incident.resolved",
        ]
        assert "pagey.ping" in receiver.kinds()
        meanings = [
            receiver.connector.normalize(receiver.settings, d, receiver.settings.inbound.routes, None)
            for d in about
        ]
        first, second, _, last = meanings
        assert isinstance(first, Escalation)
        assert isinstance(second, Escalation)
        assert isinstance(last, Cancellation)
        assert {first.key, second.key, last.key, first.ticket.id} == {incident["id"]}
        assert first.task["payload"] == {
            "title": "Checkout is slow",
            "service": "Checkout API",
            "urgency": "high",
            "status": "triggered",
            "opened": incident["created_at"],
            "url": incident["html_url"],
        }
        assert first.ticket.url == incident["html_url"]
        assert hooks.drops_in_a_row == 0


async def test_failures_are_repeated_with_the_same_id_and_hold_back_what_follows(
    session: aiohttp.ClientSession,
) -> None:
    async with receiving() as receiver:
        world = PagerDuty()
        hooks = world.subscribe(Subscription(receiver.url, ["whsec"], retry_every=0))
        incident = world.trigger("Checkout is slow")
        world.resolve(incident["id"])
        receiver.script = [503, 429, 500]
        assert [await deliver(hooks, session) for _ in range(5)] == [2, 2, 2, 1, 0]
        assert receiver.kinds() == ["incident.triggered", "incident.resolved"]
        assert len({attempt.delivery for attempt in hooks.attempts[:4]}) == 1
        assert [attempt.status for attempt in hooks.attempts] == [503, 429, 500, 202, 202]


async def test_nobody_there_is_repeated(session: aiohttp.ClientSession, unused_tcp_port: int) -> None:
    world = PagerDuty()
    hooks = world.subscribe(
        Subscription(f"http://127.0.0.1:{unused_tcp_port}/hook", ["whsec"], retry_every=0)
    )
    world.trigger("Checkout is slow")
    assert await deliver(hooks, session) == 1
    assert hooks.attempts[0].status is None
    assert not hooks.disabled


async def test_three_drops_disable(session: aiohttp.ClientSession) -> None:
    async with receiving() as receiver:
        world = PagerDuty()
        hooks = world.subscribe(Subscription(receiver.url, ["whsec"]))
        receiver.script = [400, 401, 200, 404, 410, 422]
        for _ in range(3):
            world.trigger("one")
            await deliver(hooks, session)
        assert (hooks.drops_in_a_row, hooks.disabled) == (0, False)
        busy = world.trigger("two")
        world.resolve(busy["id"])
        for _ in range(2):
            world.trigger("three")
        await deliver(hooks, session)
        assert hooks.disabled
        assert hooks.waiting == 0
        world.trigger("lost")
        assert hooks.waiting == 0
        assert len(hooks.dropped) == 2 + 4 + 1
        hooks.enable()
        world.trigger("back")
        assert await deliver(hooks, session) == 0
        assert receiver.kinds() == ["incident.triggered"]


async def test_a_secret_of_ours_that_is_stale_loses_nothing(session: aiohttp.ClientSession) -> None:
    """The 503 for a mismatch keeps the delivery with PagerDuty until the secret is right."""
    async with receiving(secret="stale") as receiver:
        world = PagerDuty()
        hooks = world.subscribe(Subscription(receiver.url, ["whsec"], retry_every=0))
        world.trigger("Checkout is slow")
        assert [await deliver(hooks, session) for _ in range(4)] == [1, 1, 1, 1]
        assert not hooks.disabled
        assert {type(error) for error in receiver.errors} == {SignatureMismatch}
        fresh = Receiver("whsec")
        receiver.settings = fresh.settings
        assert await deliver(hooks, session) == 0
        assert receiver.kinds() == ["incident.triggered"]


async def test_topics_filter() -> None:
    world = PagerDuty()
    hooks = world.subscribe(
        Subscription("http://127.0.0.1:1/", ["s"], topics=frozenset({"incident.resolved"}))
    )
    incident = world.trigger("Checkout is slow")
    world.resolve(incident["id"])
    assert [head.event_type for _, head in hooks.heads()] == ["incident.resolved"]
