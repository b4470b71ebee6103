"""The pure parts of the Intercom writer: who had it before, option ids for labels, what a wait means."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.calls import Answer
from connectors.intercom.client import refusal, said, wait_of
from connectors.intercom.reply import marked, part_id_in
from connectors.intercom.settings import TOPICS, IntercomStep
from connectors.intercom.steps import Assignee, agent_input, is_assigned, named_assignee, previous_assignee
from core import clock
from core.errors import HubError, Misconfigured, Rejected, Retryable, Uncertain

HUB = "99"
NOBODY = Assignee(kind="admin", id="0")


def given(kind: str, number: object, author: str = "1") -> dict[str, Any]:
    return {"assigned_to": {"type": kind, "id": number}, "author": {"type": "admin", "id": author}}


@pytest.mark.parametrize(
    ("parts", "assignee"),
    [
        ([], NOBODY),
        ([given("team", "7")], NOBODY),
        ([given("admin", "5"), given("team", "7")], Assignee(kind="admin", id="5")),
        ([given("admin", 5), given("team", "7"), given("team", "7")], Assignee(kind="admin", id="5")),
        ([given("team", "6"), given("team", "7"), given("team", "6", HUB)], Assignee(kind="team", id="6")),
        ([given("team", "../x"), {"assigned_to": None}, given("team", "7")], NOBODY),
        ([given("admin", "5"), given("nobody_admin", None), given("team", "7")], NOBODY),
        ([given("team", "7"), given("nobody_admin", None)], Assignee(kind="team", id="7")),
    ],
)
def test_previous(parts: list[dict[str, Any]], assignee: Assignee) -> None:
    assert previous_assignee(parts, HUB) == assignee


def test_named() -> None:
    assert named_assignee("previous") is None
    assert named_assignee("unassigned") == NOBODY
    assert named_assignee("team:7") == Assignee(kind="team", id="7")
    assert named_assignee("admin:7") == Assignee(kind="admin", id="7")


@pytest.mark.parametrize(
    ("thing", "assignee", "there"),
    [
        ({"admin_assignee_id": 5, "team_assignee_id": None}, Assignee(kind="admin", id="5"), True),
        ({"admin_assignee_id": "0", "team_assignee_id": "7"}, Assignee(kind="team", id="7"), True),
        ({"admin_assignee_id": "0"}, NOBODY, True),
        ({"admin_assignee_id": None}, NOBODY, True),
        ({"admin_assignee_id": 5}, NOBODY, False),
        ({}, Assignee(kind="team", id="7"), False),
    ],
)
def test_is_assigned(thing: dict[str, Any], assignee: Assignee, there: bool) -> None:
    assert is_assigned(thing, assignee) is there


def test_labels_become_option_ids_and_ids_stay() -> None:
    attributes = [{"identifier": "a", "options": [{"id": "o1", "label": "Yes"}]}, {"identifier": "b"}]
    body = agent_input("s", {"values": {"a": "Yes", "b": "Yes", "c": True}, "attributes": attributes})
    assert body == {
        "step_id": "s",
        "attribute_values": [
            {"identifier": "a", "value": "o1"},
            {"identifier": "b", "value": "Yes"},
            {"identifier": "c", "value": True},
        ],
    }
    assert agent_input("s", {"values": {"a": "o1"}})["attribute_values"] == [
        {"identifier": "a", "value": "o1"}
    ]


def test_the_marker_stands_in_the_open() -> None:
    assert marked("<p>x</p>", "[hub:rep_1]") == "<p>x</p>\n<p>[hub:rep_1]</p>"
    assert marked("x [hub:rep_1]", "[hub:rep_1]") == "x [hub:rep_1]"


def test_the_part_of_an_answer() -> None:
    parts = [
        {"id": "1", "body": "m", "created_at": 1},
        {"id": "2", "body": "m", "created_at": 2},
        {"id": "3", "created_at": 3},
    ]
    assert part_id_in({"id": "9", "conversation_parts": {"conversation_parts": parts}}, "m") == "2"
    assert part_id_in({"id": "9", "body": "x m"}, "m") == "9"
    for answer in (None, [], {"id": "9"}, {"id": "../9", "body": "m"}):
        with pytest.raises(Uncertain):
            part_id_in(answer, "m")


def test_reset_is_a_unix_time() -> None:
    now = clock.unix()
    assert wait_of({"x-ratelimit-reset": str(now + 8)}) in (7.0, 8.0)
    assert wait_of({"x-ratelimit-reset": str(now + 10**6), "retry-after": "3"}) == 3.0
    assert wait_of({"x-ratelimit-reset": str(now - 50), "retry-after": "3"}) == 3.0
    assert wait_of({"x-ratelimit-reset": "soon"}) is None
    assert wait_of({}) is None


def answered(status: int, *errors: dict[str, Any]) -> Answer:
    body = {"type": "error.list", "request_id": "r-1", "errors": list(errors)}
    return Answer(status=status, body=body, headers={})


@pytest.mark.parametrize(
    ("status", "writes", "kind"),
    [
        (400, True, Rejected),
        (401, True, Misconfigured),
        (402, True, Misconfigured),
        (403, True, Misconfigured),
        (404, True, Rejected),
        (408, True, Uncertain),
        (409, True, Retryable),
        (422, True, Rejected),
        (429, True, Retryable),
        (500, True, Uncertain),
        (500, False, Retryable),
        (503, True, Uncertain),
    ],
)
def test_refusals(status: int, writes: bool, kind: type[HubError]) -> None:
    error = refusal(answered(status, {"code": "c", "field": "f", "message": "m"}), writes=writes)
    assert type(error) is kind
    assert "c f m (request r-1)" in error.message


def test_what_an_answer_says() -> None:
    assert said(answered(400)) == "no reason given (request r-1)"
    assert said(Answer(status=500, body=None, headers={})) == "no reason given"
    assert said(answered(400, {"code": "a"}, {"message": "b"})) == "a; b (request r-1)"


def test_a_step_does_one_thing() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        IntercomStep()
    with pytest.raises(ValueError, match="exactly one"):
        IntercomStep(close=True, tag="x")
    with pytest.raises(ValueError, match="would do nothing"):
        IntercomStep(close=False)


def test_topics_are_documented_ones() -> None:
    assert len(TOPICS) == 38
    assert all(topic == "ping" or "." in topic for topic in TOPICS)
