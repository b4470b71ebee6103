"""The simulated Intercom's sender against our `verify` and `normalize`: its signature, its one retry, and that nothing
which we write ourselves comes back as a task, whatever topic it comes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from connectors.connector import InboundRequest
from connectors.expressions import Condition
from connectors.form import Inbound
from connectors.intercom import CONNECTOR
from connectors.intercom.normalize import normalize
from connectors.intercom.reply import writer
from connectors.intercom.settings import TOPICS, IntercomSettings
from connectors.intercom.verify import verify
from core.errors import HubError
from core.intake.envelope import Escalation, Ignored, InboundDelivery
from tests.fakes.intercom_lab import ANN, HUMANS, Lab, lab, write
from tests.fakes.intercom_webhooks import Subscription


@pytest.fixture
async def here() -> AsyncIterator[Lab]:
    async with lab(timeout=5) as made:
        yield made


class Inbox:
    """Stands for the hub's route: verifies, keeps each delivery once, answers as the connector's table says. `answers`
    are given first, as during an outage."""

    def __init__(self, settings: IntercomSettings):
        self.settings = settings
        self.kept: dict[str, InboundDelivery] = {}
        self.answers: list[int] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        if request.method == "HEAD":
            return web.Response(status=200)
        if self.answers:
            return web.Response(status=self.answers.pop(0))
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            for one in verify(self.settings, InboundRequest(headers=headers, body=await request.read())):
                self.kept.setdefault(one.delivery_id, one)
        except HubError as error:
            return web.Response(status=CONNECTOR.answers.for_error(error))
        return web.Response(status=CONNECTOR.answers.verified)


@asynccontextmanager
async def inbox(settings: IntercomSettings) -> AsyncIterator[Inbox]:
    made = Inbox(settings)
    application = web.Application()
    application.router.add_route("*", "/hook", made.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield made
    finally:
        await runner.cleanup()


async def test_signed_delivered_and_known_again(here: Lab) -> None:
    async with inbox(here.settings) as hub, aiohttp.ClientSession() as session:
        subscription = Subscription(here.world, hub.url, "client-secret")
        assert await subscription.validates(session)
        number = here.begin()
        here.world.assign(number, here.world.admins[ANN], "team", HUMANS)
        subscription.ping()
        assert await subscription.deliver(session) == 0
        topics = {one.event_type for one in hub.kept.values()}
        assert topics == {"conversation.user.created", "conversation.admin.assigned", "ping"}
        assert [one.startswith("sha256:") for one in hub.kept].count(True) == 1


async def test_a_wrong_secret_is_a_401_and_tried_twice(here: Lab) -> None:
    async with inbox(here.settings) as hub, aiohttp.ClientSession() as session:
        subscription = Subscription(here.world, hub.url, "stale-secret", retry_after=0)
        here.begin()
        assert await subscription.deliver(session) == 1
        assert await subscription.deliver(session) == 0
        assert [attempt.status for attempt in subscription.attempts] == [401, 401]
        assert (len(subscription.failed), hub.kept) == (1, {})


async def test_it_gives_up_after_the_second_try(here: Lab) -> None:
    async with inbox(here.settings) as hub, aiohttp.ClientSession() as session:
        subscription = Subscription(here.world, hub.url, "client-secret", retry_after=0)
        hub.answers = [503, 503]
        here.begin()
        while await subscription.deliver(session):
            pass
        assert (len(subscription.failed), hub.kept) == (1, {})


async def test_a_deleted_connector_ends_the_subscription(here: Lab) -> None:
    async with inbox(here.settings) as hub, aiohttp.ClientSession() as session:
        subscription = Subscription(here.world, hub.url, "client-secret")
        hub.answers = [CONNECTOR.answers.deleted]
        here.begin()
        await subscription.deliver(session)
        here.begin()
        assert subscription.disabled
        assert subscription.waiting == []


def subscribed_to_everything(settings: IntercomSettings) -> IntercomSettings:
    """Every topic makes a task of whatever comes: the worst file one can write."""
    first, *others = settings.inbound.routes
    route = msgspec.structs.replace(first, when=Condition("`true`"), enrich=[], key=None)
    return msgspec.structs.replace(settings, inbound=Inbound(topics=sorted(TOPICS), routes=[route, *others]))


async def test_nothing_that_we_write_comes_back_as_a_task(here: Lab) -> None:
    """Even a file that asks about everything gets no task from our own steps: by author, and the tag by its name."""
    settings = subscribed_to_everything(here.settings)
    number = here.begin()
    here.world.say(number, "comment", here.customer, "<p>Hello?</p>")
    ticket = here.world.open_ticket("Broken", "It does not work", here.customer)["id"]
    echoes: list[tuple[str, dict[str, Any]]] = []
    here.world.listeners.append(lambda topic, body: echoes.append((topic, body)))
    ours = writer(settings, here.tools)
    both: list[tuple[str, Any]] = [
        ("note", "<p>x</p>"),
        ("comment", {"body": "<p>x</p>"}),
        ("tag", "hitl-answered"),
        ("untag", "hitl-answered"),
        ("assign", {"to": f"team:{HUMANS}"}),
        ("snooze", {"lasting": "1h"}),
        ("open", True),
        ("close", True),
    ]
    for kind, body in [*both, ("set_attributes", {"human_task": "t"})]:
        await ours.write(write(number, kind, body))
    for kind, body in [*both, ("ticket_state", "Resolved"), ("set_attributes", {"Root cause": "x"})]:
        await ours.write(write(f"ticket:{ticket}", kind, body))
    topics = {topic for topic, _ in echoes}
    assert topics == {
        "conversation.admin.noted",
        "conversation.admin.replied",
        "conversation_part.tag.created",
        "conversation.admin.assigned",
        "conversation.admin.snoozed",
        "conversation.admin.opened",
        "conversation.admin.closed",
        "ticket.note.created",
        "ticket.admin.replied",
        "ticket.team.assigned",
        "ticket.closed",
        "ticket.state.updated",
        "ticket.attribute.updated",
    }
    for topic, body in echoes:
        delivery = InboundDelivery(
            delivery_id=body["id"],
            event_type=topic,
            body=msgspec.json.encode(body),
            headers={},
            verified_by=0,
        )
        assert isinstance(normalize(settings, delivery, settings.inbound.routes), Ignored), topic
    here.world.say(number, "note", here.world.admins[ANN], "<p>a person</p>")
    last = InboundDelivery(
        delivery_id="x", event_type="t", body=msgspec.json.encode(echoes[-1][1]), headers={}, verified_by=0
    )
    assert isinstance(normalize(settings, last, settings.inbound.routes), Escalation)
