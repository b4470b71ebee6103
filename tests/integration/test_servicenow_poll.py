"""Reconciliation, enrichment and the doctor against a simulated ServiceNow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest

from connectors.config import load
from connectors.connector import Check, InboundRequest, Visit
from connectors.secret_refs import SecretRef, Secrets
from connectors.servicenow.doctor import doctor
from connectors.servicenow.enrich import enricher
from connectors.servicenow.normalize import normalize
from connectors.servicenow.reconcile import RecordReconciler, reconciler
from connectors.servicenow.settings import ServiceNowLimits, ServiceNowSettings, Watch
from connectors.servicenow.verify import verify
from core import clock
from core.errors import Misconfigured, Rejected, Retryable
from core.intake.envelope import RECONCILED, Escalation, Ignored, InboundDelivery, Ticket, Wanted
from core.secret import Secret
from tests.fakes.servicenow import Fault, FaultyServiceNow, serve
from tests.fakes.servicenow_world import GROUP
from tests.integration.servicenow_kit import CONTRACT, SECRETS, HubTools, settings_for


@pytest.fixture
async def vendor() -> AsyncIterator[FaultyServiceNow]:
    async with serve() as fake:
        yield fake


@pytest.fixture
async def hub() -> AsyncIterator[HubTools]:
    tools = HubTools()
    yield tools
    await tools.close()


def polled(settings: ServiceNowSettings, hub: HubTools) -> RecordReconciler:
    found = reconciler(settings, hub.tools)
    assert found is not None
    return found


def watching(vendor: FaultyServiceNow, page: int = 3) -> ServiceNowSettings:
    watch = Watch(group=GROUP, fields=("short_description", "priority", "opened_at"))
    return settings_for(vendor.url, watch=watch, limits=ServiceNowLimits(page=page))


def meaning(settings: ServiceNowSettings, delivery: InboundDelivery) -> object:
    return normalize(settings, delivery, settings.inbound.routes)


async def test_the_poll_finds_what_the_app_would_have_sent(vendor: FaultyServiceNow, hub: HubTools) -> None:
    settings = watching(vendor)
    record = vendor.world.insert({"short_description": "Right?", "priority": "1"})
    vendor.world.update(record["sys_id"], {"assignment_group": GROUP}, "fred.luddy")
    [event] = vendor.world.outbox
    [found] = [one async for one in polled(settings, hub).changes(clock.now_ms() - 60_000)]
    assert (found.delivery_id, found.verified_by) == (f"recon:{record['sys_id']}:1", RECONCILED)
    body = msgspec.json.encode(event)
    sent = InboundDelivery(delivery_id="e", event_type="record.updated", body=body, headers={}, verified_by=0)
    by_poll, by_app = meaning(settings, found), meaning(settings, sent)
    assert isinstance(by_poll, Escalation)
    assert isinstance(by_app, Escalation)
    assert (by_poll.route, by_poll.key, by_poll.ticket, by_poll.origin) == (
        by_app.route,
        by_app.key,
        by_app.ticket,
        by_app.origin,
    )
    assert by_poll.task["payload"]["priority"] == "1 - Critical"


@pytest.mark.parametrize("page", [1, 2, 3, 7, 100])
async def test_every_page_is_read_once(vendor: FaultyServiceNow, hub: HubTools, page: int) -> None:
    """Many records in one second, some of them hidden by an ACL behind the limit, and some later."""
    ids: list[str] = []
    for number in range(14):
        if number in (6, 7, 13):
            vendor.world.later(timedelta(seconds=1))
        ids.append(vendor.world.insert({"short_description": str(number)})["sys_id"])
    vendor.world.hidden = {ids[2], ids[3], ids[9], ids[13]}
    found = [
        one.delivery_id async for one in polled(watching(vendor, page), hub).changes(clock.now_ms() - 60_000)
    ]
    assert sorted(found) == sorted(f"recon:{one}:0" for one in ids if one not in vendor.world.hidden)


async def test_what_is_older_is_left(vendor: FaultyServiceNow, hub: HubTools) -> None:
    vendor.world.insert({})
    since = clock.now_ms() + 60_000
    assert [one async for one in polled(watching(vendor), hub).changes(since)] == []


async def test_our_own_writes_found_by_the_poll_ask_nothing(vendor: FaultyServiceNow, hub: HubTools) -> None:
    settings = watching(vendor)
    record = vendor.world.insert({"assignment_group": GROUP})
    vendor.world.update(record["sys_id"], {"work_notes": "So. [hub:rep_1]", "state": "6"}, vendor.world.user)
    [found] = [one async for one in polled(settings, hub).changes(clock.now_ms() - 60_000)]
    reading = meaning(settings, found)
    assert isinstance(reading, Ignored)
    assert "svc.hitl" in reading.reason


async def test_a_poll_that_cannot_read_says_so(vendor: FaultyServiceNow, hub: HubTools) -> None:
    vendor.world.insert({})
    settings = watching(vendor)
    vendor.world.unreadable = {"sys_updated_on"}
    with pytest.raises(Misconfigured):
        _ = [one async for one in polled(settings, hub).changes(clock.now_ms() - 60_000)]
    vendor.next("GET", Fault.RATE_LIMITED)
    with pytest.raises(Retryable):
        _ = [one async for one in polled(settings, hub).changes(0)]


def test_without_credentials_there_is_no_poll(hub: HubTools) -> None:
    settings = settings_for("http://127.0.0.1:9")
    none = Secrets([SecretRef(ref="env:N", secret=Secret(""))])
    auth = msgspec.structs.replace(settings.auth, client_secret=none)
    assert reconciler(msgspec.structs.replace(settings, auth=auth), hub.tools) is None


async def test_enrichment(vendor: FaultyServiceNow, hub: HubTools) -> None:
    record = vendor.world.insert({"category": "network", "priority": "2"})
    vendor.world.zone = timedelta(hours=-7)
    for text in ("first (really)\n\nwith a gap", "second"):
        vendor.world.update(record["sys_id"], {"work_notes": text}, "fred.luddy")
    wanted = Wanted(route="r", ticket=Ticket(id=record["sys_id"]), names=("record", "journal"))
    found = await enricher(watching(vendor), hub.tools).fetch(wanted)
    assert found["record"]["fields"]["opened_at"] == record["opened_at"]
    assert found["record"]["display"]["opened_at"] != record["opened_at"]
    assert found["record"]["display"]["priority"] == "2 - High"
    assert [entry["text"] for entry in found["journal"]] == ["second", "first (really)\n\nwith a gap"]
    assert {entry["author"] for entry in found["journal"]} == {"fred.luddy"}
    gone = Wanted(route="r", ticket=Ticket(id="0" * 32), names=("record",))
    with pytest.raises(Rejected):
        await enricher(watching(vendor), hub.tools).fetch(gone)


# --- doctor

FILE = CONTRACT.read_text().replace(
    '    - note: "{{ result.output.answer }}"',
    "    - note: so\n    - resolve: {state: '6', close_code: Solution provided, close_notes: so}",
)


def examined(vendor: FaultyServiceNow, via: str) -> ServiceNowSettings:
    text = FILE + f"\ntest_base_url: {vendor.url}\nwriteback: {{via: {via}}}\n"
    settings = load(text, "x.yaml", SECRETS).settings
    assert isinstance(settings, ServiceNowSettings)
    return settings


def bad(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.fix for check in checks if check.ok is False}


@pytest.mark.parametrize("via", ["table_api", "scripted_rest"])
async def test_a_sound_configuration_passes(vendor: FaultyServiceNow, hub: HubTools, via: str) -> None:
    ticket = vendor.world.insert({})["sys_id"]
    visit = Visit(public_url="https://hub.acme.example", ticket_id=ticket)
    checks = await doctor(examined(vendor, via), hub.tools, visit)
    assert {check.name: check.ok for check in checks if check.ok is not True} == {}
    assert [check.said for check in checks if check.name == "canary"] == ["written and read back"]
    assert len(vendor.world.notes(ticket)) == 1


async def test_every_fault_has_its_fix(vendor: FaultyServiceNow, hub: HubTools) -> None:
    ticket = vendor.world.insert({})["sys_id"]
    world, visit = vendor.world, Visit(public_url="http://hub.acme.example", ticket_id=ticket)
    world.choices["close_code"] = {"Solved (Permanently)": "Solved (Permanently)"}
    world.unwritable, world.unreadable = {"close_notes"}, {"description"}
    world.journal_reads, world.zone = False, timedelta(hours=-7)
    checks = await doctor(examined(vendor, "table_api"), hub.tools, visit)
    found = bad(checks)
    assert set(found) == {"public url", "choices of close_code", "fields", "canary"}
    assert "Solved (Permanently)" in found["choices of close_code"]
    assert all(found.values())
    assert [check.ok for check in checks if check.name == "time zone"] == [None]
    checks = await doctor(examined(vendor, "scripted_rest"), hub.tools, visit)
    assert {"write fields", "read fields"} & set(bad(checks)) == {"write fields"}
    world.app_installed = False
    assert "endpoint" in bad(await doctor(examined(vendor, "scripted_rest"), hub.tools, visit))


async def test_a_dropped_canary_and_a_bad_ticket(vendor: FaultyServiceNow, hub: HubTools) -> None:
    ticket = vendor.world.insert({})["sys_id"]
    vendor.world.unwritable = {"work_notes"}
    url = "https://hub.acme.example"
    checks = await doctor(examined(vendor, "table_api"), hub.tools, Visit(public_url=url, ticket_id=ticket))
    assert "write access" in bad(checks)["canary"]
    checks = await doctor(examined(vendor, "table_api"), hub.tools, Visit(public_url=url, ticket_id="../x"))
    assert "canary" in bad(checks)


async def test_no_token_ends_the_visit(vendor: FaultyServiceNow, hub: HubTools) -> None:
    vendor.world.client_secret = "other"
    visit = Visit(public_url="https://hub.acme.example")
    assert set(bad(await doctor(examined(vendor, "table_api"), hub.tools, visit))) == {"token"}
    vendor.world.client_secret = "token"
    vendor.next("GET", Fault.UNAUTHORIZED, Fault.UNAUTHORIZED)
    assert "token" in bad(await doctor(examined(vendor, "table_api"), hub.tools, visit))
    vendor.next("GET", Fault.FORBIDDEN)
    assert "table" in bad(await doctor(examined(vendor, "table_api"), hub.tools, visit))
    vendor.next("GET", Fault.NONE, Fault.SERVER_ERROR_BEFORE)
    checks = await doctor(examined(vendor, "table_api"), hub.tools, visit)
    assert [check.ok for check in checks if check.name == "record"] == [None]


def test_signed_json_can_be_switched_off() -> None:
    settings = settings_for("http://127.0.0.1:9")
    off = msgspec.structs.replace(
        settings,
        inbound=msgspec.structs.replace(
            settings.inbound, signed_json=msgspec.structs.replace(settings.inbound.signed_json, enabled=False)
        ),
    )
    for headers in ({}, {"webhook-signature": "v1,x"}):
        with pytest.raises(Exception, match="webhook-signature"):
            verify(off, InboundRequest(headers=headers, body=b"{}"))
