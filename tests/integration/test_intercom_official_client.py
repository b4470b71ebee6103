"""The simulated Intercom is proven by Intercom's own library, python-intercom, used as its documentation shows and not
through our client: what it sends is accepted, what comes back is what its models hold."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from intercom import AsyncIntercom
from intercom.conversations.types.conversations_manage_request_body import (
    ConversationsManageRequestBody_Assignment,
    ConversationsManageRequestBody_Close,
    ConversationsManageRequestBody_Snoozed,
)
from intercom.core.api_error import ApiError
from intercom.errors import UnauthorizedError
from intercom.types import (
    AdminReplyConversationRequest,
    AdminReplyTicketRequest,
    MultipleFilterSearchRequest,
    SingleFilterSearchRequest,
    StartingAfterPaging,
)

from tests.fakes.intercom_lab import ANN, BOTS, HUB, HUMANS, Lab, lab


@pytest.fixture
async def here() -> AsyncIterator[Lab]:
    async with lab() as made:
        yield made


def official(here: Lab, token: str = "token") -> AsyncIntercom:
    return AsyncIntercom(
        token=token,
        base_url=here.vendor.url,
        headers={"Intercom-Version": "2.14"},
        httpx_client=here.tools.http(),
    )


async def test_who_and_what_there_is(here: Lab) -> None:
    api = official(here)
    me = await api.admins.identify()
    assert me is not None
    assert me.id == HUB
    assert me.app is not None
    assert (me.app.id_code, me.app.region) == ("abc123def", "US")
    assert [admin.id for admin in (await api.admins.list()).admins or [] if admin] == [HUB, ANN]
    assert [team.id for team in (await api.teams.list()).teams or []] == [HUMANS, BOTS]
    assert [tag.name for tag in (await api.tags.list()).data or []] == ["hitl-answered", "ask-human"]
    listed = await api.data_attributes.list(model="conversation")
    assert [attribute.name for attribute in listed.data or []] == ["human_task"]
    states = await api.ticket_states.list_ticket_states()
    assert [state.internal_label for state in states.data or [] if state] == [
        "Submitted",
        "In progress",
        "Resolved",
    ]
    contact = await api.contacts.find(here.customer["id"])
    assert contact.name == "Cleo"


async def test_a_conversation_from_first_word_to_close(here: Lab) -> None:
    api, number = official(here), here.begin()
    replied = await api.conversations.reply(
        number, request=AdminReplyConversationRequest(message_type="note", admin_id=HUB, body="<p>Look</p>")
    )
    assert replied.conversation_parts is not None
    assert [part.body for part in replied.conversation_parts.conversation_parts or []] == ["<p>Look</p>"]
    assigned = ConversationsManageRequestBody_Assignment(type="team", admin_id=HUB, assignee_id=HUMANS)
    assert (await api.conversations.manage(number, request=assigned)).team_assignee_id == HUMANS
    snoozed = ConversationsManageRequestBody_Snoozed(admin_id=HUB, snoozed_until=4_000_000_000)
    assert (await api.conversations.manage(number, request=snoozed)).state == "snoozed"
    updated = await api.conversations.update(number, custom_attributes={"human_task": "t1"})
    assert updated.custom_attributes == {"human_task": "t1"}
    tag = await api.tags.tag_conversation(number, tag_id="7522907", admin_id=HUB)
    assert tag.name == "hitl-answered"
    await api.tags.untag_conversation(number, "7522907", admin_id=HUB)
    closed = await api.conversations.manage(
        number, request=ConversationsManageRequestBody_Close(admin_id=HUB)
    )
    assert (closed.state, closed.open) == ("closed", False)
    plain = await api.conversations.find(number, display_as="plaintext")
    assert plain.source is not None
    assert plain.source.body == "Refund please"
    assert [part["part_type"] for part in here.parts(number)] == ["note", "assignment", "snoozed", "close"]


async def test_a_ticket(here: Lab) -> None:
    api = official(here)
    number = here.world.open_ticket("Broken", "It does not work", here.customer)["id"]
    part = await api.tickets.reply(
        number, request=AdminReplyTicketRequest(message_type="note", admin_id=HUB, body="<p>Look</p>")
    )
    assert (part.part_type, part.body) == ("note", "<p>Look</p>")
    changed = await api.tickets.update(number, ticket_state_id="4517894", admin_id=int(HUB))
    assert changed is not None
    assert changed.ticket_state is not None
    assert changed.ticket_state.internal_label == "In progress"
    await api.tags.tag_ticket(number, tag_id="7522907", admin_id=HUB)
    found = await api.tickets.get(number)
    assert found is not None
    assert found.ticket_parts is not None
    kinds = [one.part_type for one in found.ticket_parts.ticket_parts or []]
    assert kinds == ["note", "ticket_state_updated_by_admin"]


async def test_a_search_has_pages(here: Lab) -> None:
    numbers = {here.begin() for _ in range(5)}
    query = MultipleFilterSearchRequest(
        operator="AND", value=[SingleFilterSearchRequest(field="updated_at", operator=">", value=1)]
    )
    seen: set[str | None] = set()
    after: str | None = None
    for size in (2, 2, 1):
        page = await official(here).conversations.search(
            query=query, pagination=StartingAfterPaging(per_page=2, starting_after=after)
        )
        assert len(page.items or []) == size
        seen |= {one.id for one in page.items or []}
        pages = page.response.pages
        assert pages is not None
        after = pages.next.starting_after if pages.next else None
    assert (seen, after) == (numbers, None)


async def test_the_library_s_own_pager_turns_no_page(here: Lab) -> None:
    """Why our reconciler turns them itself: `next_page` of 5.0.1 asks for the same page again."""
    for _ in range(3):
        here.begin()
    query = SingleFilterSearchRequest(field="updated_at", operator=">", value=1)
    first = await official(here).conversations.search(query=query, pagination=StartingAfterPaging(per_page=2))
    second = await first.next_page()
    assert second is not None
    assert [one.id for one in second.items or []] == [one.id for one in first.items or []]


async def test_refusals(here: Lab) -> None:
    with pytest.raises(UnauthorizedError) as wrong:
        await official(here, token="wrong").admins.list()
    assert wrong.value.body.errors[0].code == "unauthorized"
    with pytest.raises(ApiError) as missing:
        await official(here).conversations.find("1")
    assert missing.value.status_code == 404
    bare = AsyncIntercom(token="token", base_url=here.vendor.url, httpx_client=here.tools.http())
    with pytest.raises(ApiError) as version:
        await bare.admins.identify()
    assert version.value.status_code == 400
