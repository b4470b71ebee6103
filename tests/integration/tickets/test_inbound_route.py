"""`/hooks/in/{connector}` for a vendor that batches, whose sender reads answers, and that may be gone."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import select, update

from connectors.registry import connector
from core import clock
from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.intake import quarantine, records
from core.intake.tables import InboundEvent, QuarantinedDelivery
from core.outbox.tables import OutboxRow
from core.repairs.queries import still_open
from hub.inbound_cold import KEPT_PER_MINUTE
from hub.lanes import IntakeLane
from hub.services import Services
from tests.integration.api.conftest import WebSettings, client_for, services, serving, sink
from tests.integration.tickets.desk import NAME, Desk, config, event

__all__ = ["services", "sink"]

PATH = f"/hooks/in/{NAME}"
SIGNED = {"X-Desk": "ok", "Content-Type": "application/json"}


@pytest.fixture
async def hub(services: Services) -> Services:
    return dataclasses.replace(services, connectors={NAME: config(Desk())})


@pytest.fixture
async def http(hub: Services) -> AsyncGenerator[httpx.AsyncClient]:
    async with serving(hub) as app, client_for(app) as client:
        yield client


async def post(http: httpx.AsyncClient, *events: dict[str, Any], **options: Any) -> httpx.Response:
    body = msgspec.json.encode(events[0] if len(events) == 1 else list(events))
    return await http.post(options.pop("path", PATH), content=body, headers=SIGNED, **options)


async def stored(hub: Services) -> list[InboundEvent]:
    async with hub.work.read() as session:
        return list(await session.scalars(select(InboundEvent).order_by(InboundEvent.id)))


async def held(hub: Services) -> list[QuarantinedDelivery]:
    async with hub.work.read() as session:
        return list(await quarantine.held(session))


def receipts(answer: httpx.Response) -> list[tuple[str, bool, str | None]]:
    return [(one["delivery_id"], one["fresh"], one["task_id"]) for one in answer.json()]


async def test_the_deliveries_of_one_request_are_stored_together(
    http: httpx.AsyncClient, hub: Services
) -> None:
    answer = await post(http, *(event(id=f"e{n}") for n in range(100)))

    assert answer.status_code == 413  # longer than this connector takes: nothing is stored
    answer = await post(http, *(event(id=f"e{n}") for n in range(20)))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert receipts(answer) == [(f"e{n}", True, None) for n in range(20)]
    events = await stored(hub)
    assert [one.delivery_id for one in events] == [f"e{n}" for n in range(20)]
    if hub.database.dialect == "postgresql":  # the system column that names the transaction of a row
        async with hub.work.begin("test.transactions") as tx:
            made_by = (await tx.execute("SELECT DISTINCT xmin::text FROM inbound_events")).all()
        assert len(made_by) == 1
    async with hub.work.read() as session:
        jobs = await session.scalars(select(OutboxRow.subject).where(OutboxRow.topic == "inbound.received"))
        assert sorted(jobs) == [one.id for one in events]


async def test_a_request_may_name_one_event_twice(http: httpx.AsyncClient, hub: Services) -> None:
    answer = await post(http, event(id="e1"), event(id="e1"))

    assert answer.status_code == 200
    assert receipts(answer) == [("e1", True, None), ("e1", False, None)]
    assert len(await stored(hub)) == 1


async def test_a_duplicate_is_told_what_became_of_it(http: httpx.AsyncClient, hub: Services) -> None:
    await post(http, event(id="e1"))
    async with hub.work.begin("test.task") as tx:
        await tx.session.execute(update(InboundEvent).values(task_id="tsk_1"))

    again = await post(http, event(id="e1"))
    some = await post(http, event(id="e1"), event(id="e2"))

    assert (again.status_code, receipts(again)) == (208, [("e1", False, "tsk_1")])
    assert (some.status_code, receipts(some)) == (200, [("e1", False, "tsk_1"), ("e2", True, None)])


async def test_a_known_id_with_another_body_is_a_conflict(http: httpx.AsyncClient, hub: Services) -> None:
    await post(http, event(id="e1", text="one"))

    answer = await post(http, event(id="e1", text="another"))

    assert answer.status_code == 409
    [only] = await stored(hub)
    assert b"one" in only.body


async def test_an_address_without_a_file(hub: Services) -> None:
    bare = dataclasses.replace(hub, connectors={})
    async with hub.work.begin("test.known") as tx:
        await records.register(tx, {"known": "intercom", "retired": "intercom"})
        await records.retire(tx, "retired", actor="test")
    answers = connector("intercom").answers
    async with serving(bare) as app, client_for(app) as http:
        for method in ("POST", "GET", "HEAD"):
            told = {
                name: (await http.request(method, f"/hooks/in/{name}")).status_code
                for name in ("known", "retired", "never")
            }
            assert told == {"known": answers.not_stored, "retired": answers.deleted, "never": 404}, method
    assert (answers.not_stored, answers.deleted) == (503, 410)


async def test_a_retired_connector_whose_file_is_back_is_in_use(hub: Services) -> None:
    async with hub.work.begin("test.known") as tx:
        await records.register(tx, {"back": "intercom"})
        await records.retire(tx, "back", actor="test")
    async with hub.work.begin("test.known") as tx:
        await records.register(tx, {"back": "pagerduty"})

    async with hub.work.read() as session:
        record = await records.named(session, "back")
    assert record is not None
    assert (record.vendor, record.retired_at) == ("pagerduty", None)


async def test_somebody_is_there(http: httpx.AsyncClient) -> None:
    for method in ("GET", "HEAD"):
        for path in (PATH, f"{PATH}/token"):
            assert (await http.request(method, path)).status_code == 200


async def test_a_long_body_is_refused_before_it_is_read(http: httpx.AsyncClient, hub: Services) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(1_000):
            taken += 1
            yield b" " * 500

    chunked = await http.post(PATH, content=endless(), headers=SIGNED)
    assert (chunked.status_code, taken) == (413, 5)

    taken = 0
    told = await http.post(PATH, content=endless(), headers={**SIGNED, "Content-Length": "500000"})
    assert (told.status_code, taken) == (413, 0)
    assert await stored(hub) == []


async def test_a_body_of_exactly_the_limit_is_taken(http: httpx.AsyncClient) -> None:
    body = msgspec.json.encode(event()).ljust(2_000)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 300):
            yield body[start : start + 300]

    assert (await http.post(PATH, content=chunks(), headers=SIGNED)).status_code == 200
    assert (await http.post(PATH, content=body, headers=SIGNED)).status_code == 208
    assert (await http.post(PATH, content=body + b" ", headers=SIGNED)).status_code == 413


async def test_what_no_secret_verifies_is_kept_with_an_alarm(http: httpx.AsyncClient, hub: Services) -> None:
    body = msgspec.json.encode(event())

    missing = await http.post(PATH, content=body)
    assert (missing.status_code, missing.content) == (401, b"[]")
    assert await held(hub) == []
    headers = {"X-Desk": "forged", "Authorization": "Basic c2VjcmV0", "Cookie": "a=b"}
    for _ in range(2):
        assert (await http.post(f"{PATH}/tok", content=body, headers=headers)).status_code == 403

    kept = await held(hub)
    assert [(one.connector, one.body, one.path_token) for one in kept] == [(NAME, body, "tok")] * 2
    assert kept[0].headers["x-desk"] == "forged"
    assert not {"authorization", "cookie"} & set(kept[0].headers)
    async with hub.work.read() as session:
        assert [(one.kind, one.times) for one in await still_open(session)] == [("quarantine", 2)]
    assert await stored(hub) == []

    async with hub.work.begin("test.release") as tx:
        await quarantine.let_go(tx, NAME, [kept[0].id], actor="test")
    async with hub.work.read() as session:
        assert len(await still_open(session)) == 1
    async with hub.work.begin("test.release") as tx:
        await quarantine.let_go(tx, NAME, [kept[1].id], actor="test")
    async with hub.work.read() as session:
        assert await still_open(session) == []


async def test_a_flood_is_not_kept(http: httpx.AsyncClient, hub: Services) -> None:
    for _ in range(KEPT_PER_MINUTE + 5):
        assert (await http.post(PATH, content=b"{}", headers={"X-Desk": "forged"})).status_code == 403

    # a minute may end in the middle of it
    assert KEPT_PER_MINUTE <= len(await held(hub)) <= KEPT_PER_MINUTE + 5


async def keep(work: UnitOfWork, name: str, *bodies: bytes) -> None:
    async with work.begin("test.keep") as tx:
        for body in bodies:
            await quarantine.keep(
                tx, name, headers={}, body=body, path_token="", client_ip="192.0.2.1", reason="No secret."
            )


async def test_quarantine_is_bounded_in_rows_bytes_and_days(work: UnitOfWork) -> None:
    await keep(work, "rows", *(b"%d" % n for n in range(quarantine.MOST_ROWS + 3)))
    eighth = quarantine.MOST_BYTES // 4
    await keep(work, "bytes", *(bytes([n]) * eighth for n in range(6)))
    await keep(work, "days", b"old")
    async with work.begin("test.age") as tx:
        before = clock.from_ms(clock.now_ms() - (quarantine.DAYS * 86_400 + 60) * 1000)
        statement = update(QuarantinedDelivery).where(QuarantinedDelivery.connector == "days")
        await tx.session.execute(statement.values(received_at=before))
    await keep(work, "days", b"new")
    async with work.begin("test.forget") as tx:
        await quarantine.forget_old(tx)

    async with work.read() as session:
        by_rows = await quarantine.held(session, "rows")
        by_bytes = await quarantine.held(session, "bytes")
        by_days = await quarantine.held(session, "days")
    assert [one.body for one in by_rows] == [b"%d" % n for n in range(3, quarantine.MOST_ROWS + 3)]
    assert [one.body[:1] for one in by_bytes] == [b"\x02", b"\x03", b"\x04", b"\x05"]
    assert [one.body for one in by_days] == [b"new"]


@pytest.mark.parametrize(
    ("trusted", "headers", "seen"),
    [
        ("", {"X-Forwarded-For": "203.0.113.9"}, "127.0.0.1"),
        ("x-forwarded-for", {"X-Forwarded-For": "6.6.6.6, 203.0.113.9"}, "203.0.113.9"),
        ("x-forwarded-for", {}, ""),
    ],
)
async def test_verify_sees_the_path_token_and_the_peer(
    hub: Services, trusted: str, headers: dict[str, str], seen: str
) -> None:
    settings = WebSettings(client_ip_header=trusted)
    async with serving(dataclasses.replace(hub, settings=settings)) as app, client_for(app) as http:
        body = msgspec.json.encode(event())
        answer = await http.post(f"{PATH}/s3cret", content=body, headers={**SIGNED, **headers})

    assert answer.status_code == 200
    [only] = await stored(hub)
    assert only.headers == {"path-token": "s3cret", "client-ip": seen}


async def test_a_database_that_is_away(hub: Services) -> None:
    dead = UnitOfWork(Database("postgresql://nobody@127.0.0.1:1/nothing"))
    lost = dataclasses.replace(hub, intake=IntakeLane(dead), work=dead)
    async with serving(lost) as app, client_for(app) as http:
        taken = await post(http, event())
        forged = await http.post(PATH, content=b"{}", headers={"X-Desk": "forged"})

    assert (taken.status_code, taken.content) == (503, b"[]")
    assert forged.status_code == 403
    assert await stored(hub) == []
