"""/hooks/in/{connector}: verified over raw bytes, stored once, answered with the vendor's own codes."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from pathlib import Path

import httpx
from sqlalchemy import select

from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.intake.tables import InboundEvent
from core.outbox.tables import OutboxRow
from hub.lanes import IntakeLane
from hub.services import Services
from tests.integration.api.conftest import PAGERDUTY_SECRET, client_for, serving

FIXTURES = Path(__file__).parents[2] / "contract/connectors/pagerduty"
PATH = "/hooks/in/demo-oncall"
BODY = b'{"event": {"id": "01ABC", "event_type": "incident.triggered", "data": {"id": "PGR0VU2", "title": "caf\xc3\xa9 \\u0000"}}}'


def signed(body: bytes, secret: str = PAGERDUTY_SECRET) -> dict[str, str]:
    mac = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-PagerDuty-Signature": f"v1={mac}", "Content-Type": "application/json"}


async def test_a_delivery_is_stored_as_it_came_and_read_later(
    stranger: httpx.AsyncClient, services: Services
) -> None:
    answer = await stranger.post(PATH, content=BODY, headers=signed(BODY))

    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers["x-request-id"]
    async with services.work.read() as session:
        event = (await session.scalars(select(InboundEvent))).one()
        job = (await session.scalars(select(OutboxRow))).one()
    assert (event.connector, event.delivery_id, event.event_type) == (
        "demo-oncall",
        "01ABC",
        "incident.triggered",
    )
    assert (event.body, event.state) == (BODY, "received")
    assert (job.topic, job.subject) == ("inbound.received", event.id)


async def test_a_duplicate_gets_the_same_answer(stranger: httpx.AsyncClient, services: Services) -> None:
    answers = [await stranger.post(PATH, content=BODY, headers=signed(BODY)) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {202}
    async with services.work.read() as session:
        assert len((await session.scalars(select(InboundEvent))).all()) == 1
        assert len((await session.scalars(select(OutboxRow))).all()) == 1


async def test_what_is_not_theirs_is_refused_in_their_words(
    stranger: httpx.AsyncClient, services: Services
) -> None:
    assert (await stranger.post(PATH, content=BODY)).status_code == 401
    assert (await stranger.post(PATH, content=BODY, headers=signed(BODY, "wrong"))).status_code == 503
    assert (await stranger.post(PATH, content=BODY + b" ", headers=signed(BODY))).status_code == 503
    big = b" " * (256 * 1024 + 1)
    assert (await stranger.post(PATH, content=big, headers=signed(big))).status_code == 413
    huge = b" " * (5 * 1024 * 1024)
    assert (await stranger.post(PATH, content=huge, headers=signed(huge))).status_code == 413
    assert (await stranger.post("/hooks/in/nobody", content=BODY, headers=signed(BODY))).status_code == 404
    async with services.work.read() as session:
        assert (await session.scalars(select(InboundEvent))).all() == []


async def test_whatever_is_signed_is_taken(stranger: httpx.AsyncClient) -> None:
    for body in (b"", b"not json", b"[" * 100_000, b"\xff\x00", b'{"event": 1}'):
        assert (await stranger.post(PATH, content=body, headers=signed(body))).status_code == 202, body[:20]


async def test_what_cannot_be_stored_is_to_be_sent_again(services: Services) -> None:
    dead = UnitOfWork(Database("postgresql://nobody@127.0.0.1:1/nothing"))
    lost = dataclasses.replace(services, intake=IntakeLane(dead))
    async with serving(lost) as app, client_for(app) as client:
        answer = await client.post(PATH, content=BODY, headers=signed(BODY))

    assert answer.status_code == 503


async def test_probes(stranger: httpx.AsyncClient) -> None:
    for method in ("GET", "HEAD"):
        assert (await stranger.request(method, PATH)).status_code == 200
        assert (await stranger.request(method, "/hooks/in/nobody")).status_code == 404
