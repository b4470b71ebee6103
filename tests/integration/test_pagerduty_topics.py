"""The hub's own route as PagerDuty's endpoint: whatever verifies gets a 202 and is stored, of every documented type and of
any other, because three refusals make PagerDuty disable the subscription for a day."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator

import httpx
import msgspec
import pytest
from sqlalchemy import select

from connectors.config import load
from connectors.pagerduty.settings import TOPICS
from core import clock
from core.intake.tables import InboundEvent
from hub.demo.fake_pagerduty import Subscription
from hub.demo.fake_pagerduty_webhooks import Delivery
from hub.services import Services
from tests.fakes.pagerduty_lab import HOOK, SECRET, SHIPPED
from tests.integration.api.conftest import client_for, services, serving, sink

__all__ = ["services", "sink"]

PATH = "/hooks/in/demo-oncall"


@pytest.fixture
async def hub(services: Services) -> Services:
    environ = {"PAGERDUTY_API_TOKEN": "token", "PAGERDUTY_WEBHOOK_SECRET": SECRET}
    config = load(SHIPPED.read_text(), SHIPPED.name, environ)
    return dataclasses.replace(services, connectors={"demo-oncall": config})


@pytest.fixture
async def http(hub: Services) -> AsyncGenerator[httpx.AsyncClient]:
    async with serving(hub) as app, client_for(app) as client:
        yield client


def body_of(event_type: str, event_id: str, size: int = 0) -> bytes:
    data = {"id": "Q3B15VLMF3ASBD", "type": "incident", "title": "x" * size}
    event = {
        "id": event_id,
        "event_type": event_type,
        "resource_type": event_type.split(".")[0],
        "occurred_at": "2026-04-01T02:08:04.642Z",
        "agent": None,
        "client": None,
        "data": data,
    }
    return msgspec.json.encode({"event": event})


def signed(body: bytes, *secrets: str) -> dict[str, str]:
    now = clock.monotonic()
    delivery = Delivery(id="w1", event_type="", body=body, made=now, due=now)
    return Subscription(HOOK, list(secrets)).headers(delivery)


async def post(http: httpx.AsyncClient, body: bytes, *secrets: str) -> int:
    return (await http.post(PATH, content=body, headers=signed(body, *(secrets or (SECRET,))))).status_code


async def stored(hub: Services) -> dict[str, str]:
    async with hub.work.read() as session:
        found = await session.scalars(select(InboundEvent).where(InboundEvent.connector == "demo-oncall"))
        return {one.delivery_id: one.event_type for one in found}


async def test_every_documented_topic_is_taken_and_kept(http: httpx.AsyncClient, hub: Services) -> None:
    sent = {f"01EVENT{number:03d}": topic for number, topic in enumerate(sorted(TOPICS))}
    for event_id, topic in sent.items():
        assert (topic, await post(http, body_of(topic, event_id))) == (topic, 202)
    assert await stored(hub) == sent


async def test_topics_and_shapes_of_tomorrow_are_taken_too(http: httpx.AsyncClient, hub: Services) -> None:
    odd = [
        body_of("incident.teleported", "01NEW"),
        b"not json",
        b"[]",
        b'{"event": null}',
        b'{"event": {"id": 7, "event_type": {}}}',
        b"[" * 100_000,
        b'{"event": {"id": "\\ud800", "data": "\\u0000"}}',
        body_of("incident.triggered", "01LARGE", 250_000),
    ]
    assert [await post(http, body) for body in odd] == [202] * len(odd)
    kept = await stored(hub)
    assert len(kept) == len(odd)
    assert kept["01NEW"] == "incident.teleported"
    assert sum(name.startswith("sha256:") for name in kept) == len(odd) - 2


async def test_a_repeated_event_is_taken_once(http: httpx.AsyncClient, hub: Services) -> None:
    """Two subscriptions during a rotation carry the same event under two ids of the webhook."""
    body = body_of("incident.triggered", "01TWICE")
    assert [await post(http, body, "other", SECRET), await post(http, body)] == [202, 202]
    assert await stored(hub) == {"01TWICE": "incident.triggered"}


async def test_what_is_refused(http: httpx.AsyncClient, hub: Services) -> None:
    body = body_of("incident.triggered", "01NOT")
    assert await post(http, body, "stale") == 503
    assert (await http.post(PATH, content=body)).status_code == 401
    assert await post(http, body_of("incident.triggered", "01HUGE", 300_000)) == 413
    assert await stored(hub) == {}
