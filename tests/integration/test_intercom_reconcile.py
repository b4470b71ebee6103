"""What Intercom's sender gave up on is found again by the reconciler, page by page, and means the same as the lost
notification; what a route wants to see is fetched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import msgspec
import pytest

from connectors.intercom.enrich import enricher
from connectors.intercom.normalize import normalize
from connectors.intercom.reconcile import IntercomReconciler, reconciler, topics_of
from connectors.intercom.settings import TOPICS, IntercomSettings
from core import clock
from core.errors import Misconfigured, Rejected, Retryable
from core.intake.envelope import (
    RECONCILED,
    Addition,
    Cancellation,
    Escalation,
    Ignored,
    InboundDelivery,
    Reading,
    Ticket,
    Wanted,
)
from tests.fakes.intercom import Fault
from tests.fakes.intercom_lab import ANN, HUB, HUMANS, Lab, lab, settings_for

CONTEXT: dict[str, Any] = {"conversation": {"conversation_parts": {"conversation_parts": []}}}


@pytest.fixture
async def here() -> AsyncIterator[Lab]:
    async with lab(timeout=5) as made:
        seconds: Iterator[int] = count(1_768_000_000)
        made.world.now = lambda: next(seconds)
        yield made


def finder(here: Lab, settings: IntercomSettings | None = None) -> IntercomReconciler:
    found = reconciler(settings or here.settings, here.tools)
    assert found is not None
    return found


async def changes(
    here: Lab, since: int = 0, settings: IntercomSettings | None = None
) -> list[InboundDelivery]:
    return [one async for one in finder(here, settings).changes(since * 1000)]


def meaning(settings: IntercomSettings, delivery: InboundDelivery) -> Reading:
    return normalize(settings, delivery, settings.inbound.routes, CONTEXT)


def sent(topic: str, notification: dict[str, Any]) -> InboundDelivery:
    """The same event as the webhook would have brought it."""
    body = msgspec.json.encode(notification)
    return InboundDelivery(
        delivery_id=notification["id"], event_type=topic, body=body, headers={}, verified_by=0
    )


def everything_happens(here: Lab) -> list[InboundDelivery]:
    """Each routed kind once; the webhooks that tell of it."""
    told: list[InboundDelivery] = []
    here.world.listeners.append(lambda topic, body: told.append(sent(topic, body)))
    ann, number = here.world.admins[ANN], here.begin()
    here.world.assign(number, ann, "team", HUMANS, "please")
    here.world.say(number, "comment", here.customer, "<p>Hello?</p>")
    here.world.say(number, "note", ann, "<p>/ask is it true?</p>")
    here.world.say(number, "note", here.world.admins[HUB], "<p>Verified [hub:rep_1]</p>")
    here.world.manage(number, "close", ann)
    ticket = here.world.open_ticket("Broken", "It does not work", here.customer)["id"]
    here.world.say_on_ticket(ticket, "note", ann, "<p>/ask and now?</p>")
    return told


async def test_what_is_found_means_what_was_sent(here: Lab) -> None:
    told = everything_happens(here)
    found = await changes(here)
    assert {one.verified_by for one in found} == {RECONCILED}
    topics = set(here.settings.inbound.topics)

    def key(reading: Reading) -> tuple[Any, ...]:
        if isinstance(reading, Ignored):
            return (Ignored, reading.reason)
        assert not isinstance(reading, Wanted)
        text = reading.text if isinstance(reading, Addition) else reading.key
        return (type(reading), reading.route, reading.ticket, text, reading.origin)

    webhooks = [key(meaning(here.settings, one)) for one in told if one.event_type in topics]
    ours = [key(meaning(here.settings, one)) for one in found]
    assert sorted(map(str, ours)) == sorted(map(str, webhooks))
    kinds = {one[0] for one in ours}
    assert kinds == {Escalation, Cancellation, Addition, Ignored}


async def test_ids_name_ticket_and_change(here: Lab) -> None:
    everything_happens(here)
    [number], [ticket] = here.world.conversations, here.world.tickets
    parts = [part["id"] for part in here.parts(number)]
    ids = [one.delivery_id for one in await changes(here)]
    assert ids[: len(parts)] == [f"recon:{number}:{part}" for part in parts]
    assert ids[len(parts)] == f"recon:{ticket}:created"
    assert len(set(ids)) == len(ids)
    assert [one.delivery_id for one in await changes(here)] == ids


async def test_only_what_is_new(here: Lab) -> None:
    everything_happens(here)
    [number] = here.world.conversations
    last = here.parts(number)[-1]["created_at"]
    found = await changes(here, since=last)
    assert [one.event_type for one in found if number in one.delivery_id] == ["conversation.admin.closed"]
    assert await changes(here, since=here.world.now()) == []


async def test_every_page_is_turned(here: Lab) -> None:
    ann = here.world.admins[ANN]
    for _ in range(310):
        here.world.assign(here.begin(), ann, "team", HUMANS)
    found = await changes(here)
    assert len({one.delivery_id for one in found}) == len(found) == 310
    searches = [path for _, path, _ in here.world.requests if path == "/conversations/search"]
    assert len(searches) == 3


async def test_kinds_that_no_topic_wants_are_not_asked_for(here: Lab) -> None:
    inbound = msgspec.structs.replace(here.settings.inbound, topics=["ticket.created"])
    await changes(here, settings=msgspec.structs.replace(here.settings, inbound=inbound))
    assert {path for _, path, _ in here.world.requests} == {"/tickets/search"}


@pytest.mark.parametrize(
    ("kind", "part", "topics"),
    [
        (
            "conversation",
            {"part_type": "assignment"},
            ["conversation.admin.assigned", "conversation.admin.open.assigned"],
        ),
        (
            "conversation",
            {"part_type": "comment", "author": {"type": "bot"}},
            ["conversation.operator.replied"],
        ),
        (
            "conversation",
            {"part_type": "comment", "author": {"type": "admin"}},
            ["conversation.admin.replied"],
        ),
        ("conversation", {"part_type": "comment", "author": {"type": "lead"}}, ["conversation.user.replied"]),
        ("conversation", {"part_type": "language_detection_details"}, []),
        ("conversation", None, ["conversation.user.created"]),
        ("ticket", None, ["ticket.created"]),
        ("ticket", {"part_type": "assignment", "assigned_to": {"type": "team"}}, ["ticket.team.assigned"]),
        (
            "ticket",
            {"part_type": "assignment", "body": "x"},
            ["ticket.admin.assigned", "ticket.admin.replied"],
        ),
        ("ticket", {"part_type": "comment", "author": {"type": "user"}}, ["ticket.contact.replied"]),
        ("ticket", {"part_type": "close"}, ["ticket.closed"]),
        (
            "ticket",
            {"part_type": "ticket_state_updated_by_admin", "ticket_state": "resolved"},
            ["ticket.state.updated", "ticket.resolved"],
        ),
        ("ticket", {"part_type": 7}, []),
    ],
)
def test_which_topics_tell_of_a_part(kind: str, part: dict[str, Any] | None, topics: list[str]) -> None:
    assert topics_of(kind, {}, part) == topics
    assert set(topics) <= TOPICS


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.UNAUTHORIZED, Misconfigured),
        (Fault.RATE_LIMITED, Retryable),
        (Fault.SERVER_ERROR_BEFORE, Retryable),
        (Fault.RESET_AFTER, Retryable),
        (Fault.NOT_FOUND, Retryable),
    ],
)
async def test_a_search_that_fails(here: Lab, fault: Fault, kind: type[Exception]) -> None:
    here.vendor.next(fault)
    with pytest.raises(kind):
        await changes(here)


async def test_a_used_up_window_is_waited_for(here: Lab) -> None:
    here.world.assign(here.begin(), here.world.admins[ANN], "team", HUMANS)
    here.vendor.limits.left = 0
    here.vendor.limits.reset = lambda: clock.unix() + 1
    before = clock.monotonic()
    assert len(await changes(here)) == 1
    assert clock.monotonic() - before >= 0.9


async def test_a_longer_pause_ends_the_look(here: Lab) -> None:
    here.tools.pauses.pause(here.settings.id, 60)
    with pytest.raises(Retryable) as caught:
        await changes(here)
    assert caught.value.after is not None
    assert 55 < caught.value.after <= 60
    assert here.world.requests == []


async def test_a_conversation_deleted_meanwhile_is_passed_over(here: Lab) -> None:
    ann = here.world.admins[ANN]
    for _ in range(2):
        here.world.assign(here.begin(), ann, "team", HUMANS)
    here.vendor.next(Fault.NONE, Fault.NOT_FOUND)
    assert len(await changes(here)) == 1


def test_no_token_no_reconciler(here: Lab) -> None:
    empty = settings_for(here.vendor.url)
    secrets = empty.auth.access_token
    bare = msgspec.structs.replace(empty.auth, access_token=type(secrets)([]))
    assert reconciler(msgspec.structs.replace(empty, auth=bare), here.tools) is None


# --- enrich


def wanted(ticket_id: str, *names: str) -> Wanted:
    return Wanted(route="r", ticket=Ticket(id=ticket_id), names=names)


async def test_conversation_and_contact_cost_two_calls(here: Lab) -> None:
    number = here.begin()
    here.world.say(number, "comment", here.customer, "<p>Hello<br>again</p>")
    found = await enricher(here.settings, here.tools).fetch(wanted(number, "conversation", "contact"))
    parts = found["conversation"]["conversation_parts"]["conversation_parts"]
    assert [part["body"] for part in parts] == ["Hello\nagain"]
    assert found["contact"]["name"] == "Cleo"
    assert len(here.world.requests) == 2


async def test_a_ticket_s_contact(here: Lab) -> None:
    number = here.world.open_ticket("Broken", "It does not work", here.customer)["id"]
    fetch = enricher(here.settings, here.tools).fetch
    assert (await fetch(wanted(f"ticket:{number}", "contact")))["contact"]["name"] == "Cleo"
    assert (await fetch(wanted(f"ticket:{number}", "ticket")))["ticket"]["id"] == number
    here.world.tickets[number]["contacts"]["contacts"] = [{"id": "../admins"}]
    assert (await fetch(wanted(f"ticket:{number}", "contact")))["contact"] is None


async def test_what_is_gone(here: Lab) -> None:
    fetch = enricher(here.settings, here.tools).fetch
    for ticket_id, code in (("1", "ticket_gone"), ("../me", "bad_ticket_id")):
        with pytest.raises(Rejected) as caught:
            await fetch(wanted(ticket_id, "conversation"))
        assert caught.value.code == code
