"""Answers into a simulated org over HTTP: every fault ends with exactly one comment, guards and conflicts keep fields
as they are; the poll, the refetch and the doctor against the same org."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from connectors.config import load
from connectors.connector import Tools, Visit
from connectors.pauses import Pauses
from connectors.salesforce.client import SalesforceClient
from connectors.salesforce.doctor import doctor
from connectors.salesforce.enrich import enricher
from connectors.salesforce.reconcile import reconciler
from connectors.salesforce.reply import SalesforceWriter
from connectors.salesforce.settings import SalesforceSettings
from connectors.threads import Threads
from core.errors import HubError, Misconfigured, Rejected, Retryable, Uncertain
from core.intake.envelope import Ticket, Wanted
from core.replies.ticketing import Action, Moot, Write
from tests.contract.connectors.suite import SECRETS
from tests.fakes.salesforce import BOT, Fault, SalesforceOrg, serve

CONTRACT = Path(__file__).parents[1] / "contract" / "connectors" / "salesforce" / "config.yaml"
NOTE = Action(kind="note", body="Verified by 2 people.")
STATUS = Action(kind="fields", body={"Status": {"value": "Working", "only_if": ["New", "Escalated"]}})


@pytest.fixture
async def org() -> AsyncIterator[SalesforceOrg]:
    async with serve() as found:
        yield found


@pytest.fixture
async def tools() -> AsyncIterator[Tools]:
    client, threads = httpx.AsyncClient(trust_env=False), Threads(2, "test-salesforce")
    yield Tools(threads=threads, http=lambda: client, pauses=Pauses())
    await client.aclose()
    threads.close()


def settings_for(org: SalesforceOrg, **writeback: Any) -> SalesforceSettings:
    found = load(CONTRACT.read_text(), "config.yaml", {**SECRETS, "CONTRACT_TOKEN": "secret"}).settings
    assert isinstance(found, SalesforceSettings)
    back = msgspec.structs.replace(found.writeback, **writeback)
    return msgspec.structs.replace(found, test_base_url=org.url, writeback=back)


def writer(org: SalesforceOrg, tools: Tools, **writeback: Any) -> SalesforceWriter:
    client = SalesforceClient(settings_for(org, **writeback), tools, timeout=(0.5, 0.5))
    return SalesforceWriter(client.settings, client)


def write_for(case: str, *actions: Action) -> Write:
    return Write(ticket_id=case, actions=actions or (NOTE, STATUS), marker="[hub:rep_1]", key="rep_1")


def case_of(org: SalesforceOrg, **fields: Any) -> str:
    return org.insert(
        "Case", {"Subject": "Refund", "Status": "New", **fields}, at="2026-11-20T08:00:00.000+0000"
    )


async def settled(port: SalesforceWriter, write: Write) -> tuple[str, list[type[HubError]]]:
    """What core/replies does: send, look when in doubt, send again when nothing can have arrived."""
    seen: list[type[HubError]] = []
    for _ in range(5):
        try:
            if Uncertain in seen and (found := await port.find(write)):
                return found, seen
            return await port.write(write), seen
        except (Retryable, Uncertain) as error:
            seen.append(type(error))
    raise AssertionError(seen)


async def test_one_transaction(org: SalesforceOrg, tools: Tools) -> None:
    case = case_of(org)
    port = writer(org, tools)
    found = await port.write(write_for(case))
    assert found in org.rows["CaseComment"]
    assert org.comments(case) == ["Verified by 2 people.\n\n[hub:rep_1]"]
    assert org.rows["Case"][case]["Status"] == "Working"
    patch = org.requests[0]["compositeRequest"][2]
    assert patch["httpHeaders"] == {
        "Sforce-Auto-Assign": "FALSE",
        "If-Unmodified-Since": "Fri, 20 Nov 2026 08:00:00 GMT",
    }
    assert await port.write(write_for(case)) == found  # DUPLICATE_VALUE
    assert len(org.comments(case)) == 1
    assert org.minted == 1


@pytest.mark.parametrize("idempotency", ["delivery_object", "marker"])
@pytest.mark.parametrize("fault", [one for one in Fault if one not in (Fault.NONE, Fault.NOT_FOUND)])
async def test_one_note_whatever_happens(
    org: SalesforceOrg, tools: Tools, fault: Fault, idempotency: str
) -> None:
    case = case_of(org)
    port = writer(org, tools, idempotency=idempotency)
    org.next(fault)
    found, seen = await settled(port, write_for(case, NOTE))
    assert found in org.rows["CaseComment"]
    assert len(org.comments(case)) == 1
    doubtful = fault.value.startswith(("500", "reset", "time-out"))
    assert seen == ([] if fault is Fault.UNAUTHORIZED else [Uncertain if doubtful else Retryable])
    assert (tools.pauses.wait("acme-cases") > 0) == (fault in (Fault.LIMIT, Fault.RATE_LIMITED))


async def test_refusals(org: SalesforceOrg, tools: Tools) -> None:
    case = case_of(org)
    port = writer(org, tools)
    bad = Action(kind="fields", body={"Status": {"value": "Wroking"}})
    with pytest.raises(Rejected, match="INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST") as caught:
        await port.write(write_for(case, NOTE, bad))
    assert list(caught.value.field_errors) == ["Status"]
    assert org.comments(case) == []
    with pytest.raises(Rejected, match="no such record"):
        await port.write(write_for("5005g0000000zzz", NOTE))
    with pytest.raises(Rejected, match="not the id"):
        await port.write(write_for("../../Account", NOTE))
    org.tokens.clear()
    org.next(Fault.UNAUTHORIZED, Fault.UNAUTHORIZED)
    with pytest.raises(Misconfigured):
        await port.write(write_for(case, NOTE))
    del org.rows["HITL_Delivery__c"]
    with pytest.raises(Misconfigured, match="HITL_Delivery__c"):
        await port.write(write_for(case, NOTE))


async def test_guarded_fields(org: SalesforceOrg, tools: Tools) -> None:
    case = case_of(org, Status="Closed")
    with pytest.raises(Moot):
        await writer(org, tools).write(write_for(case, STATUS))
    await writer(org, tools).write(write_for(case))
    assert (org.rows["Case"][case]["Status"], len(org.comments(case))) == ("Closed", 1)


async def test_a_long_note_is_cut_between_characters(org: SalesforceOrg, tools: Tools) -> None:
    case = case_of(org)
    await writer(org, tools).write(write_for(case, Action(kind="note", body="€" * 3_000)))
    [text] = org.comments(case)
    assert 3_990 < len(text.encode()) <= 4_000
    assert text.endswith("€…\n\n[hub:rep_1]")


async def test_the_poll_pages_to_the_end(org: SalesforceOrg, tools: Tools) -> None:
    org.page = 2
    for minute in range(5):
        org.insert("Case", {"Subject": f"s{minute}"}, at=f"2026-11-20T08:0{minute}:00.000+0000", by="005")
    poll = reconciler(settings_for(org), tools)
    assert poll is not None
    since = 1_795_161_600_000  # 2026-11-20T08:00:00Z: the first is not after it
    found = [one async for one in poll.changes(since)]
    assert [json.loads(one.body)["fields"]["Subject"] for one in found] == ["s1", "s2", "s3", "s4"]
    assert found[0].delivery_id == f"recon:{json.loads(found[0].body)['source']['id']}:1795161660000"
    assert {one.event_type for one in found} == {"record.created"}


async def test_refetch(org: SalesforceOrg, tools: Tools) -> None:
    case = case_of(org)
    await writer(org, tools).write(write_for(case, NOTE))
    wanted = Wanted(route="", ticket=Ticket(id=case), names=("record", "comments"))
    found = await enricher(settings_for(org), tools).fetch(wanted)
    assert (found["record"]["Subject"], found["record"]["CreatedDate"]) == (
        "Refund",
        "2026-11-20T08:00:00.000Z",
    )
    assert [one["author"] for one in found["comments"]] == [BOT]


async def test_doctor(org: SalesforceOrg, tools: Tools) -> None:
    case = case_of(org)
    visit = Visit(public_url="https://hub.example", ticket_id=case)
    checks = await doctor(settings_for(org), tools, visit)
    assert [one.name for one in checks if one.ok is not True] == ["path token"]  # `secret` is too short
    del org.rows["HITL_Delivery__c"]
    checks = await doctor(settings_for(org), tools, Visit(public_url="http://hub.example"))
    bad = {one.name: one.fix for one in checks if one.ok is False}
    assert set(bad) == {"public URL", "path token", "HITL_Delivery__c"}
    assert all(bad.values())
