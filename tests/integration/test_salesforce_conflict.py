"""A record that somebody changes between our reading and our writing, fields that are guarded, feeds instead of
comments, and an org without our object; all against a simulated org over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from connectors.connector import Tools, Visit
from connectors.pauses import Pauses
from connectors.salesforce.client import SalesforceClient
from connectors.salesforce.doctor import doctor
from connectors.salesforce.enrich import enricher
from connectors.salesforce.reply import SalesforceWriter
from connectors.salesforce.settings import SalesforceComment, SalesforceSettings
from connectors.threads import Threads
from core.errors import Misconfigured, Rejected
from core.intake.envelope import Ticket, Wanted
from core.replies.ticketing import Action, Moot
from tests.fakes.salesforce import Fault, SalesforceOrg, serve
from tests.integration.test_salesforce_reply import (
    NOTE,
    STATUS,
    case_of,
    settings_for,
    settled,
    write_for,
    writer,
)

PERSON = "0055g00000PerSoAAJ"
LATER = "2026-11-20T08:05:00.000+0000"


@pytest.fixture
async def org() -> AsyncIterator[SalesforceOrg]:
    async with serve() as found:
        yield found


@pytest.fixture
async def tools() -> AsyncIterator[Tools]:
    client, threads = httpx.AsyncClient(trust_env=False), Threads(2, "test-salesforce-conflict")
    yield Tools(threads=threads, http=lambda: client, pauses=Pauses())
    await client.aclose()
    threads.close()


def feed_settings(org: SalesforceOrg, *, public: bool = False, **writeback: Any) -> SalesforceSettings:
    return settings_for(org, comment=SalesforceComment(object="FeedItem", public=public), **writeback)


def feed(org: SalesforceOrg, tools: Tools, **options: Any) -> SalesforceWriter:
    client = SalesforceClient(feed_settings(org, **options), tools, timeout=(0.5, 0.5))
    return SalesforceWriter(client.settings, client)


def somebody_is_faster(org: SalesforceOrg, case: str, at: str = LATER) -> None:
    """Once, just before our next composite."""

    def change() -> None:
        org.meanwhile = lambda: None
        org.update("Case", case, {"Priority": "High"}, by=PERSON, at=at)

    org.meanwhile = change


async def test_the_comment_alone_when_somebody_was_faster(org: SalesforceOrg, tools: Tools) -> None:
    case = case_of(org)
    somebody_is_faster(org, case)
    port = writer(org, tools)
    found = await port.write(write_for(case))
    assert org.comments(case) == [
        "Verified by 2 people.\n\n(Not set, because somebody changed the record meanwhile: Status.)\n\n[hub:rep_1]"
    ]
    assert (org.rows["Case"][case]["Status"], org.rows["Case"][case]["Priority"]) == ("New", "High")
    first, second = ([part["referenceId"] for part in one["compositeRequest"]] for one in org.requests)
    assert (first, second) == (["delivery", "note", "record"], ["delivery", "note"])
    assert await port.find(write_for(case)) == found
    assert await port.write(write_for(case)) == found
    assert len(org.comments(case)) == 1


async def test_a_dead_letter_when_somebody_was_faster(org: SalesforceOrg, tools: Tools) -> None:
    case = case_of(org)
    somebody_is_faster(org, case)
    port = writer(org, tools, on_conflict="dead_letter")
    with pytest.raises(Rejected, match="so Status stays as it is") as caught:
        await port.write(write_for(case))
    assert (caught.value.code, list(caught.value.field_errors)) == ("conflict", ["Status"])
    assert (org.comments(case), len(org.rows["HITL_Delivery__c"])) == ([], 0)
    assert await port.find(write_for(case)) is None
    assert await port.write(write_for(case)) in org.rows["CaseComment"]  # redriven by a person
    assert org.rows["Case"][case]["Status"] == "Working"


async def test_fields_alone_are_a_dead_letter_under_either_policy(org: SalesforceOrg, tools: Tools) -> None:
    case = case_of(org)
    somebody_is_faster(org, case)
    with pytest.raises(Rejected, match="so Status stays as it is"):
        await writer(org, tools).write(write_for(case, STATUS))
    assert org.rows["Case"][case]["Status"] == "New"


@pytest.mark.parametrize("fault", [Fault.RESET_AFTER, Fault.SERVER_ERROR_AFTER, Fault.RESET_BEFORE])
async def test_a_conflict_whose_second_request_fails(org: SalesforceOrg, tools: Tools, fault: Fault) -> None:
    case = case_of(org)
    somebody_is_faster(org, case)
    org.next(Fault.NONE, Fault.NONE, fault)  # the look, the composite, the comment alone
    await settled(writer(org, tools), write_for(case))
    assert len(org.comments(case)) == 1


async def test_without_the_look_back_the_later_write_wins(org: SalesforceOrg, tools: Tools) -> None:
    case = case_of(org)
    somebody_is_faster(org, case)
    await writer(org, tools, if_unmodified=False).write(write_for(case))
    assert (org.rows["Case"][case]["Status"], org.rows["Case"][case]["Priority"]) == ("Working", "High")
    assert "If-Unmodified-Since" not in org.requests[0]["compositeRequest"][2]["httpHeaders"]


@pytest.mark.parametrize(
    ("present", "only_if", "written"),
    [
        ("New", ["New", "Escalated"], True),
        ("Escalated", ["New", "Escalated"], True),
        ("Closed", ["New", "Escalated"], False),
        ("new", ["New"], False),  # picklist values tell upper from lower case
        (None, ["New"], False),
        (None, [], True),
    ],
)
async def test_a_field_is_written_over_the_listed_values_only(
    org: SalesforceOrg, tools: Tools, present: str | None, only_if: list[str], written: bool
) -> None:
    case = case_of(org, Status=present)
    step = Action(kind="fields", body={"Status": {"value": "Working", "only_if": only_if}})
    await writer(org, tools).write(write_for(case, NOTE, step))
    assert org.rows["Case"][case]["Status"] == ("Working" if written else present)
    assert len(org.comments(case)) == 1
    other = case_of(org, Status=present)
    if written:
        assert (
            await writer(org, tools).write(msgspec.structs.replace(write_for(other, step), key="rep_2"))
            == "fields"
        )
    else:
        with pytest.raises(Moot):
            await writer(org, tools).write(write_for(other, step))


@pytest.mark.parametrize("public", [True, False])
@pytest.mark.parametrize("idempotency", ["delivery_object", "marker"])
async def test_a_feed_item(org: SalesforceOrg, tools: Tools, idempotency: str, public: bool) -> None:
    case = case_of(org)
    port = feed(org, tools, idempotency=idempotency, public=public)
    org.next(Fault.NONE, Fault.RESET_AFTER)  # the look, the composite
    assert await port.find(write_for(case, NOTE)) is None
    found, _ = await settled(port, write_for(case, NOTE))
    [item] = org.rows["FeedItem"].values()
    assert (item["Id"], item["ParentId"], item["Body"]) == (
        found,
        case,
        "Verified by 2 people.\n\n[hub:rep_1]",
    )
    assert item["Visibility"] == ("AllUsers" if public else "InternalUsers")
    assert await port.find(write_for(case, NOTE)) == found
    assert org.comments(case) == []


async def test_a_feed_item_holds_ten_thousand(org: SalesforceOrg, tools: Tools) -> None:
    case = case_of(org)
    await feed(org, tools).write(write_for(case, Action(kind="note", body="€" * 9_000)))
    [item] = org.rows["FeedItem"].values()
    assert 9_990 < len(item["Body"].encode()) <= 10_000
    assert item["Body"].endswith("€…\n\n[hub:rep_1]")


async def test_feed_items_are_read_for_a_route(org: SalesforceOrg, tools: Tools) -> None:
    case = case_of(org)
    await feed(org, tools, public=True).write(write_for(case, NOTE))
    wanted = Wanted(route="", ticket=Ticket(id=case), names=("comments",))
    found = await enricher(feed_settings(org, public=True), tools).fetch(wanted)
    assert [(one["public"], one["body"]) for one in found["comments"]] == [
        (True, "Verified by 2 people.\n\n[hub:rep_1]")
    ]


async def test_an_org_without_our_object(org: SalesforceOrg, tools: Tools) -> None:
    del org.rows["HITL_Delivery__c"]
    case = case_of(org)
    with pytest.raises(Misconfigured, match=r"writeback\.idempotency: marker"):
        await writer(org, tools).write(write_for(case))
    assert (org.comments(case), org.rows["Case"][case]["Status"]) == ([], "New")

    visit = Visit(public_url="https://hub.example", ticket_id=case)
    checks = {one.name: one for one in await doctor(settings_for(org), tools, visit)}
    assert (checks["HITL_Delivery__c"].ok, checks["canary"].ok) == (False, False)
    assert "connectors/salesforce/package" in checks["HITL_Delivery__c"].fix
    assert "HITL_Delivery__c" in checks["canary"].said

    checks = {one.name: one for one in await doctor(settings_for(org, idempotency="marker"), tools, visit)}
    assert (checks["HITL_Delivery__c"].ok, checks["canary"].ok) == (None, True)
    assert len(org.comments(case)) == 1
