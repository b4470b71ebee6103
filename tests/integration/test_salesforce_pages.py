"""Queries of more than one page, more records than one query gives, and a next page that is none of Salesforce's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from connectors.connector import Tools
from connectors.pauses import Pauses
from connectors.salesforce.normalize import normalize
from connectors.salesforce.reconcile import LIMIT, reconciler
from connectors.threads import Threads
from core import clock
from core.errors import Retryable
from core.intake.envelope import Escalation, Ignored
from tests.fakes.salesforce import Fault, SalesforceOrg, serve
from tests.integration.test_salesforce_reply import NOTE, case_of, settings_for, write_for, writer

PERSON = "0055g00000PerSoAAJ"


@pytest.fixture
async def org() -> AsyncIterator[SalesforceOrg]:
    async with serve() as found:
        yield found


@pytest.fixture
async def tools() -> AsyncIterator[Tools]:
    client, threads = httpx.AsyncClient(trust_env=False), Threads(2, "test-salesforce-pages")
    yield Tools(threads=threads, http=lambda: client, pauses=Pauses())
    await client.aclose()
    threads.close()


async def subjects(org: SalesforceOrg, tools: Tools, since_ms: int = 0) -> list[str]:
    poll = reconciler(settings_for(org), tools)
    assert poll is not None
    return [json.loads(one.body)["fields"]["Subject"] async for one in poll.changes(since_ms)]


async def test_more_than_one_query_gives(org: SalesforceOrg, tools: Tools) -> None:
    """Many records of one moment, as an import makes them: the next query goes on by id within it."""
    for number in range(LIMIT + 3):
        minute = 0 if number < LIMIT - 2 else 1
        org.insert("Case", {"Subject": str(number)}, at=f"2026-11-20T08:0{minute}:00.000+0000", by=PERSON)
    assert await subjects(org, tools) == [str(number) for number in range(LIMIT + 3)]


async def test_a_marker_on_a_later_page_is_found(org: SalesforceOrg, tools: Tools) -> None:
    case = case_of(org)
    org.page = 2
    for number in range(5):
        org.insert("CaseComment", {"ParentId": case, "CommentBody": str(number)}, by=PERSON)
    port = writer(org, tools, idempotency="marker")
    assert await port.find(write_for(case, NOTE)) is None
    written = await port.write(write_for(case, NOTE))
    org.insert("CaseComment", {"ParentId": case, "CommentBody": "> [hub:rep_1]\nThanks"}, by=PERSON)
    assert await port.find(write_for(case, NOTE)) == written


@pytest.mark.parametrize("fault", [Fault.RATE_LIMITED, Fault.SERVER_ERROR_BEFORE, Fault.RESET_BEFORE])
async def test_a_later_page_that_fails_fails_the_whole(
    org: SalesforceOrg, tools: Tools, fault: Fault
) -> None:
    """Else the records behind it would count as looked at."""
    org.page = 1
    for minute in range(3):
        org.insert("Case", {"Subject": str(minute)}, at=f"2026-11-20T08:0{minute}:00.000+0000")
    org.next(Fault.NONE, fault)
    with pytest.raises(Retryable):
        await subjects(org, tools)
    assert await subjects(org, tools) == ["0", "1", "2"]


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/services/data/v65.0/query/01g5g0000000001-1",
        "//evil.example/services/data/v65.0/query/01g5g0000000001-1",
        "/services/data/v65.0/query/../sobjects/Account",
        "/services/data/v65.0/query/01g5g0000000001-1?x=1",
        "/services/data/v65.0/query/01g5g0000000001-1\n",
        17,
    ],
)
async def test_a_next_page_of_another_form(org: SalesforceOrg, tools: Tools, following: object) -> None:
    case_of(org)
    org.following = following
    with pytest.raises(Retryable, match="next page of an unknown form"):
        await subjects(org, tools)


async def test_what_the_poll_finds_takes_the_route_of_a_message_unless_it_is_our_own(
    org: SalesforceOrg, tools: Tools
) -> None:
    settings = settings_for(org)
    org.insert("Case", {"Subject": "Refund", "IsEscalated": True}, by=PERSON)
    ours = org.insert("Case", {"Subject": "Ours", "IsEscalated": True})
    poll = reconciler(settings, tools)
    assert poll is not None
    first, second = [one async for one in poll.changes(clock.now_ms() - 60_000)]
    context = {"comments": []}
    asked = normalize(settings, first, settings.inbound.routes, context)
    assert isinstance(asked, Escalation)
    assert (asked.route, asked.key, asked.task["title"]) == ("escalated", asked.ticket.id, "Refund")
    echo = normalize(settings, second, settings.inbound.routes, context)
    assert isinstance(echo, Ignored)
    assert (json.loads(second.body)["source"]["id"], echo.reason.endswith("which loop_guard ignores")) == (
        ours,
        True,
    )
