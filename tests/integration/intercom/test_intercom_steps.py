"""The other steps of the Intercom writer against the simulated workspace: conversations and tickets, values for Fin,
previews."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.intercom.reply import IntercomWriter
from core.errors import HubError, Misconfigured, Rejected, Retryable, Uncertain
from core.replies.ticketing import Moot
from tests.fakes.intercom import Fault
from tests.fakes.intercom_lab import ANN, BOTS, HUB, HUMANS, Lab, write

ATTRIBUTES = [
    {"identifier": "v.ok", "label": "Approve", "data_type": "boolean"},
    {
        "identifier": "v.why",
        "label": "Reason",
        "data_type": "list",
        "options": [{"id": "o1", "label": "Defective"}],
    },
]


async def test_steps_of_a_conversation(here: Lab, ours: IntercomWriter) -> None:
    number = here.begin()
    steps: list[tuple[str, Any]] = [
        ("set_attributes", {"human_task": "t1"}),
        ("set_values", {"human_task": 3}),
        ("tag", "hitl-answered"),
        ("tag", "7522908"),
        ("untag", "ask-human"),
        ("untag", "ask-human"),
        ("assign", {"to": f"team:{HUMANS}"}),
        ("snooze", {"lasting": "1h"}),
        ("open", True),
        ("close", True),
    ]
    for kind, body in steps:
        asked = write(number, kind, body)
        assert await ours.write(asked) == kind
        assert await ours.find(asked) == (kind if kind == "assign" else None)
    stored = here.world.conversation(number)
    assert stored["custom_attributes"] == {"human_task": 3}
    assert [tag["name"] for tag in stored["tags"]["tags"]] == ["hitl-answered"]
    assert (stored["team_assignee_id"], stored["state"]) == (HUMANS, "closed")
    assert [part["part_type"] for part in here.parts(number)] == ["assignment", "snoozed", "open", "close"]
    looked = [path for method, path, _ in here.world.requests if (method, path) == ("GET", "/tags")]
    assert len(looked) == 1  # the list of tags is asked for once


async def test_steps_of_a_ticket(here: Lab, ours: IntercomWriter) -> None:
    number = here.world.open_ticket("Broken", "It does not work", here.customer)["id"]
    steps: list[tuple[str, Any]] = [
        ("set_attributes", {"Root cause": "cable"}),
        ("tag", "hitl-answered"),
        ("untag", "hitl-answered"),
        ("assign", {"to": f"admin:{ANN}"}),
        ("ticket_state", "in progress"),
        ("snooze", {"lasting": "1h"}),
        ("open", True),
        ("close", True),
    ]
    for kind, body in steps:
        assert await ours.write(write(f"ticket:{number}", kind, body)) == kind
    stored = here.world.ticket(number)
    assert stored["ticket_attributes"]["Root cause"] == "cable"
    assert (stored["admin_assignee_id"], stored["open"]) == (ANN, False)
    assert stored["ticket_state"]["internal_label"] == "In progress"


async def test_back_to_whoever_had_it_before(here: Lab, ours: IntercomWriter) -> None:
    number, ann = here.begin(), here.world.admins[ANN]
    for kind, assignee in (("admin", ANN), ("team", BOTS), ("team", HUMANS)):
        here.world.assign(number, ann, kind, assignee)
    asked = write(number, "assign", {"to": "previous"})
    assert await ours.find(asked) is None
    here.vendor.next(Fault.NONE, Fault.RESET_AFTER)
    with pytest.raises(Uncertain):
        await ours.write(asked)
    assert await ours.find(asked) == "assign"
    assert here.world.conversation(number)["team_assignee_id"] == BOTS
    await ours.write(asked)  # and again: still the same
    assert here.world.conversation(number)["team_assignee_id"] == BOTS


async def test_nobody_had_it_before(here: Lab, ours: IntercomWriter) -> None:
    number = here.begin()
    here.world.assign(number, here.world.admins[ANN], "admin", ANN)
    await ours.write(write(number, "assign", {"to": "previous"}))
    assert here.world.conversation(number)["admin_assignee_id"] is None
    assert await ours.find(write(number, "assign", {"to": "unassigned"})) == "assign"


@pytest.mark.parametrize(
    ("kind", "body", "code", "part"),
    [
        ("tag", "no such tag", "no_such_tag", "create it under Settings"),
        ("set_attributes", {"nope": "x"}, "refused", "nope"),
        ("assign", {"to": "team:1"}, "ticket_gone", "assignee_id"),
        ("ticket_state", "In progress", "not_a_ticket", "ticket_state"),
        ("collect_agent_input", {"values": {"a": 1}}, "not_a_procedure", "collect_agent_input"),
        ("comment", {"body": " "}, "empty_text", "body"),
        ("teleport", True, "unknown_step", "teleport"),
    ],
)
async def test_what_is_refused_names_the_field(
    here: Lab, ours: IntercomWriter, kind: str, body: Any, code: str, part: str
) -> None:
    with pytest.raises(Rejected) as caught:
        await ours.write(write(here.begin(), kind, body))
    assert caught.value.code == code
    assert part in caught.value.message


async def test_an_unknown_ticket_state(here: Lab, ours: IntercomWriter) -> None:
    number = here.world.open_ticket("Broken", "It does not work", here.customer)["id"]
    for state, code in (("Done", "no_such_state"), ("1", "refused")):
        with pytest.raises(Rejected) as caught:
            await ours.write(write(f"ticket:{number}", "ticket_state", state))
        assert caught.value.code == code


# --- Fin procedures


async def test_fin_gets_its_input_once(here: Lab, ours: IntercomWriter) -> None:
    item = here.world.ask_a_human(here.begin(), "Refund?", ATTRIBUTES)
    ticket_id = f"procedure:{item['conversation_id']}:{item['step_id']}"
    body = {"values": {"v.ok": True, "v.why": "Defective"}, "attributes": ATTRIBUTES}
    asked = write(ticket_id, "collect_agent_input", body)
    assert await ours.write(asked) == "collect_agent_input"
    assert here.world.procedures[item["step_id"]]["answer"] == {"v.ok": True, "v.why": "o1"}
    with pytest.raises(Moot) as caught:
        await ours.write(asked)
    assert "already been fulfilled" in caught.value.message
    assert await ours.find(asked) is None


async def test_an_expired_procedure_is_moot(here: Lab, ours: IntercomWriter) -> None:
    item = here.world.ask_a_human(here.begin(), "Refund?", ATTRIBUTES, expires_at=1)
    asked = write(
        f"procedure:{item['conversation_id']}:{item['step_id']}",
        "collect_agent_input",
        {"values": {"v.ok": True}},
    )
    with pytest.raises(Moot) as caught:
        await ours.write(asked)
    assert "expired" in caught.value.message


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.SERVER_ERROR_AFTER, Uncertain),
        (Fault.RESET_AFTER, Uncertain),
        (Fault.RATE_LIMITED, Retryable),
        (Fault.FORBIDDEN, Misconfigured),
    ],
)
async def test_a_procedure_under_faults(
    here: Lab, ours: IntercomWriter, fault: Fault, kind: type[HubError]
) -> None:
    item = here.world.ask_a_human(here.begin(), "Refund?", ATTRIBUTES[:1])
    asked = write(
        f"procedure:{item['conversation_id']}:{item['step_id']}",
        "collect_agent_input",
        {"values": {"v.ok": True}},
    )
    here.vendor.next(fault)
    with pytest.raises(kind):
        await ours.write(asked)


@pytest.mark.parametrize("values", [None, {}, [], "x"])
async def test_values_must_be_given(here: Lab, ours: IntercomWriter, values: Any) -> None:
    item = here.world.ask_a_human(here.begin(), "Refund?", ATTRIBUTES)
    asked = write(
        f"procedure:{item['conversation_id']}:{item['step_id']}", "collect_agent_input", {"values": values}
    )
    with pytest.raises(Rejected) as caught:
        await ours.write(asked)
    assert caught.value.code == "no_values"


async def test_a_note_beside_a_procedure_goes_into_its_conversation(here: Lab, ours: IntercomWriter) -> None:
    number = here.begin()
    item = here.world.ask_a_human(number, "Refund?", ATTRIBUTES)
    await ours.write(write(f"procedure:{number}:{item['step_id']}", "note", "<p>No answer</p>"))
    assert [part["part_type"] for part in here.parts(number)] == ["note"]


# --- previews


@pytest.mark.parametrize(
    ("kind", "body", "calls"),
    [
        ("note", "<p>x</p>", [("POST", "/conversations/21/reply")]),
        ("comment", {"body": "x"}, [("POST", "/conversations/21/reply")]),
        ("tag", "hitl-answered", [("GET", "/tags"), ("POST", "/conversations/21/tags")]),
        ("untag", "7522907", [("DELETE", "/conversations/21/tags/7522907")]),
        ("assign", {"to": "previous"}, [("POST", "/conversations/21/parts")]),
        ("assign", {"to": "team:5"}, [("POST", "/conversations/21/parts")]),
        ("set_attributes", {"human_task": "t"}, [("PUT", "/conversations/21")]),
        ("snooze", {"lasting": "1h"}, [("POST", "/conversations/21/parts")]),
        ("close", True, [("POST", "/conversations/21/parts")]),
    ],
)
async def test_a_preview_sends_nothing_and_shows_no_token(
    here: Lab, ours: IntercomWriter, kind: str, body: Any, calls: list[tuple[str, str]]
) -> None:
    shown = ours.preview(write("21", kind, body))
    assert [(call.method, call.url.removeprefix(here.vendor.url)) for call in shown] == calls
    for call in shown:
        assert "authorization" not in call.headers
        assert call.headers["intercom-version"] == "2.14"
        assert "token" not in str(call.headers)
    assert here.world.requests == []


async def test_the_preview_is_what_is_sent(here: Lab, ours: IntercomWriter) -> None:
    asked = write(here.begin(), "note", "<p>x</p>")
    [shown] = ours.preview(asked)
    assert msgspec.json.decode(shown.body) == {
        "message_type": "note",
        "type": "admin",
        "admin_id": HUB,
        "body": f"<p>x</p>\n<p>{asked.marker}</p>",
    }
    [procedure] = ours.preview(write("procedure:21:a-b", "collect_agent_input", {"values": {"v.ok": True}}))
    assert procedure.url == f"{here.vendor.url}/procedures/21/collect_agent_input"
    assert procedure.headers["intercom-version"] == "Preview"
    assert msgspec.json.decode(procedure.body) == {
        "step_id": "a-b",
        "attribute_values": [{"identifier": "v.ok", "value": True}],
    }
    [state] = ours.preview(write("ticket:21", "ticket_state", "4517894"))
    assert (state.method, msgspec.json.decode(state.body)) == (
        "PUT",
        {"ticket_state_id": "4517894", "admin_id": int(HUB)},
    )
