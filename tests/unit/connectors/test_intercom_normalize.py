"""What Intercom's notifications mean: both generations of shapes, every topic, hostile content, our own echoes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.expressions import Condition
from connectors.form import Inbound
from connectors.intercom.normalize import normalize
from connectors.intercom.settings import HITL_TOPIC, TOPICS, IntercomSettings
from connectors.intercom.shapes import modern, opened, parts_of, target_of
from core.errors import Rejected
from core.intake.envelope import Addition, Cancellation, Escalation, Ignored, InboundDelivery, Reading, Wanted
from tests.fakes.intercom_lab import HUB, settings_for

FIXTURES = Path(__file__).parents[2] / "contract" / "connectors" / "intercom" / "fixtures"
SETTINGS = settings_for("http://127.0.0.1:1")


def fixture(name: str) -> dict[str, Any]:
    return json.loads((FIXTURES / f"{name}.json").read_text())


def meaning(
    body: dict[str, Any] | bytes, settings: IntercomSettings = SETTINGS, context: dict[str, Any] | None = None
) -> Reading:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    delivery = InboundDelivery(delivery_id="d", event_type="t", body=raw, headers={}, verified_by=0)
    return normalize(settings, delivery, settings.inbound.routes, context)


def asks_about_everything(settings: IntercomSettings = SETTINGS) -> IntercomSettings:
    first, *others = settings.inbound.routes
    route = msgspec.structs.replace(first, when=Condition("`true`"), enrich=[], key=None)
    return msgspec.structs.replace(settings, inbound=Inbound(topics=sorted(TOPICS), routes=[route, *others]))


def test_the_conversation_is_wanted_before_it_can_be_mapped() -> None:
    wanted = meaning(fixture("assigned"))
    assert isinstance(wanted, Wanted)
    assert (wanted.names, wanted.ticket.id) == (("conversation",), "215472621202693")
    assert (
        wanted.ticket.url == "https://app.intercom.com/a/inbox/abc123def/inbox/conversation/215472621202693"
    )
    assert isinstance(meaning(fixture("assigned"), context={"conversation": {}}), (Escalation, Wanted))


@pytest.mark.parametrize("topic", sorted(TOPICS - {HITL_TOPIC, "ping"}))
def test_every_topic_is_understood(topic: str) -> None:
    name = "ticket_created" if topic.startswith("ticket.") else "user_replied"
    body = {**fixture(name), "topic": topic}
    body["data"]["item"].pop("tags_added", None)
    found = meaning(body, asks_about_everything())
    assert isinstance(found, Escalation)
    assert found.ticket.id == ("ticket:215472629311235" if name == "ticket_created" else "215472621202693")
    assert found.origin.revision is None


@pytest.mark.parametrize("name", ["ping", "hitl"])
def test_the_other_two_topics(name: str) -> None:
    found = meaning(fixture(name), asks_about_everything())
    assert isinstance(found, Ignored if name == "ping" else Escalation)


def test_one_reply_on_two_topics_carries_one_part_id() -> None:
    """The cross-topic guard: the ids of the notifications differ, the part's does not."""
    part = fixture("user_replied")["data"]["item"]["conversation_parts"]["conversation_parts"][0]
    ticket = fixture("ticket_created")
    ticket["data"]["item"]["ticket_parts"]["ticket_parts"] = [part]
    both = [
        meaning(fixture("user_replied")),
        meaning({**ticket, "topic": "ticket.contact.replied"}, asks_about_everything()),
    ]
    assert isinstance(both[0], Addition)
    assert isinstance(both[1], Escalation)
    assert both[0].origin.item_ids == both[1].origin.item_ids == (part["id"],)


def test_the_newest_part_counts_whatever_their_order() -> None:
    item = fixture("user_replied")["data"]["item"]
    [part] = parts_of(item)
    older = {**part, "id": "1", "created_at": part["created_at"] - 5}
    item["conversation_parts"]["conversation_parts"] = [part, older]
    assert opened("conversation.user.replied", item)[1] == part


def test_a_bare_ticket_says_which_part_by_its_topic() -> None:
    """These bring every part; a note of ours may have come between the event and its delivery."""
    body = fixture("ticket_state_updated")
    [state] = body["data"]["item"]["ticket_parts"]["ticket_parts"]
    later = {"type": "ticket_part", "id": "9", "part_type": "note", "created_at": state["created_at"] + 1}
    later["author"] = {"type": "admin", "id": HUB}
    body["data"]["item"]["ticket_parts"]["ticket_parts"].append(later)
    found = meaning(body, asks_about_everything())
    assert isinstance(found, Escalation)
    assert found.origin.item_ids == (state["id"],)
    assert isinstance(meaning({**body, "topic": "ticket.created"}, asks_about_everything()), Escalation)
    assert isinstance(meaning({**body, "topic": "ticket.contact.replied"}, asks_about_everything()), Ignored)


def test_text_on_an_assignment_or_close_is_read() -> None:
    """Reply-and-assign in the composer leaves one part that carries the text, and no comment."""
    assert (
        parts_of(fixture("assigned_with_text")["data"]["item"])[0]["body"]
        == "<p>Please look at <i>this</i>.</p>"
    )
    closed = meaning(fixture("admin_closed_with_text"))
    assert isinstance(closed, Cancellation)


def test_webhooks_of_1_x_have_the_members_of_2_x() -> None:
    item = modern(fixture("old_assigned")["data"]["item"])
    assert item["source"]["body"] == "<p>Hello</p>"
    assert item["team_assignee_id"] == "814865"
    assert item["admin_assignee_id"] is None
    assert item["contacts"]["contacts"][0]["id"] == "5c9553cb27e377f24eed49f7"
    assert modern({"source": {}}) == {"source": {}}
    assert modern({"conversation_message": 3}) == {"conversation_message": 3}


def test_another_workspace_is_ignored_with_the_reason() -> None:
    found = meaning(fixture("other_workspace"))
    assert found == Ignored(reason="of the workspace other456, this file is for abc123def")
    anyone = msgspec.structs.replace(asks_about_everything(), app_id=None)
    assert isinstance(meaning(fixture("other_workspace"), anyone), Escalation)


def test_the_address_is_never_made_of_what_is_no_workspace() -> None:
    body = {**fixture("ticket_created"), "app_id": "evil.example/../x"}
    found = meaning(body, msgspec.structs.replace(asks_about_everything(), app_id=None))
    assert isinstance(found, Escalation)
    assert found.ticket.url is None


# --- loop guard


def test_our_own_teammate_is_not_heard() -> None:
    assert meaning(fixture("admin_noted_own_admin")) == Ignored(
        reason=f"written by {HUB}, which loop_guard ignores"
    )
    guard = msgspec.structs.replace(SETTINGS.loop_guard, ignore_agents=["9608799"])
    assert isinstance(
        meaning(fixture("admin_noted"), msgspec.structs.replace(SETTINGS, loop_guard=guard)), Ignored
    )


def test_a_customer_with_the_number_of_our_teammate_is_heard() -> None:
    body = fixture("user_replied")
    body["data"]["item"]["conversation_parts"]["conversation_parts"][0]["author"]["id"] = HUB
    assert isinstance(meaning(body), Addition)


def test_a_customer_may_quote_our_marker_and_a_teammate_may_not() -> None:
    assert isinstance(meaning(fixture("user_replied_quotes_our_comment")), Addition)
    assert meaning(fixture("admin_noted_own_marker")) == Ignored(reason="carries our own marker")


def test_the_tag_that_a_step_sets_is_our_own() -> None:
    settings = asks_about_everything()
    assert meaning(fixture("tagged_by_us"), settings) == Ignored(reason="a tag that our own steps set")
    assert isinstance(meaning(fixture("tagged_by_a_person"), settings), Escalation)
    both = fixture("tagged_by_us")
    both["data"]["item"]["tags_added"]["tags"].append({"type": "tag", "id": "7522908", "name": "ask-human"})
    assert isinstance(meaning(both, settings), Escalation)


# --- shapes nobody documented


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"topic":"ticket.created","data":' + b'{"item":' * 200_000,
        b'{"topic":"ticket.created","data":{"item":{"type":"ticket","id":"1\\u0000"}}}',
        b'{"topic":"ticket.created","data":{"item":{"type":"ticket","id":"\\ud800"}}}',
        b'{"topic":"ticket.created","data":{"item":{"type":"ticket","id":1e400}}}',
        b'{"topic":"ticket.created","data":{"item":{"type":"ticket","id":true}}}',
        b'{"topic":"ticket.created","data":{"item":{"type":"ticket","id":"../admins"}}}',
        b'{"topic":"ticket.created","data":{"item":{"type":"ticket","ticket":{"id":"1"}}}}',
        b'{"topic":"ticket.created","data":{"item":{"type":"x","ticket":{"id":"1"},"ticket_part":[]}}}',
        b'{"topic":"ticket.created","data":{"item":{"type":"company","id":"1"}}}',
        b'{"topic":"procedure.hitl_notification.created","data":{"item":{"conversation_id":"1","step_id":"a/b"}}}',
        b'{"topic":"procedure.hitl_notification.created","data":{"item":{"conversation_id":"last","step_id":"a"}}}',
        b'{"topic":["ticket.created"],"data":{"item":{}}}',
        b'{"topic":"conversation.admin.noted","data":{"item":{"type":"conversation","id":"1","conversation_parts":7}}}',
    ],
    ids=lambda value: repr(value)[-40:],
)
def test_what_intercom_never_sends_is_ignored(body: bytes) -> None:
    assert isinstance(meaning(body, msgspec.structs.replace(SETTINGS, app_id=None)), Ignored)


def test_hostile_text_stays_text() -> None:
    found = meaning(fixture("user_replied_hostile"))
    assert isinstance(found, Addition)
    assert found.text.startswith("{{ task.id }} {% for i in range(9) %}x{% endfor %} <b>")
    assert "alert" not in found.text


def test_off_is_off() -> None:
    off = msgspec.structs.replace(SETTINGS, mode="off")
    assert meaning(fixture("assigned"), off) == Ignored(reason="the connector's mode is off")


# --- ids


@pytest.mark.parametrize(
    ("ticket_id", "number", "is_ticket", "step"),
    [
        ("215472621202693", "215472621202693", False, ""),
        ("ticket:215", "215", True, ""),
        ("procedure:215:d5b81f72-adb9", "215", False, "d5b81f72-adb9"),
    ],
)
def test_what_an_id_stands_for(ticket_id: str, number: str, is_ticket: bool, step: str) -> None:
    target = target_of(ticket_id)
    assert (target.number, target.is_ticket, target.step) == (number, is_ticket, step)


@pytest.mark.parametrize(
    "ticket_id",
    [
        "",
        "last",
        "ticket:last",
        "1/2",
        "1\n",
        "١",
        "procedure:1",
        "procedure:1:",
        "procedure:1:a/b",
        "procedure:x:a",
        "ticket:procedure:1:a",
    ],
)
def test_what_no_id_is(ticket_id: str) -> None:
    with pytest.raises(Rejected):
        target_of(ticket_id)
