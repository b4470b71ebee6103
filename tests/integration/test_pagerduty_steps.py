"""Every step of an outcome over HTTP into the simulated PagerDuty: written, previewed, repeated, found again when a fault
left a doubt; and what each of them echoes back makes no task."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from connectors.expressions import Condition
from connectors.pagerduty.normalize import normalize
from connectors.pagerduty.reply import PagerDutyWriter, writer
from connectors.pagerduty.settings import TOPICS
from core.errors import HubError, Misconfigured, Rejected, Retryable, Uncertain
from core.intake.envelope import Ignored
from core.replies.ticketing import Write
from tests.fakes.pagerduty import Fault
from tests.fakes.pagerduty_lab import BOT, BOT_ID, Lab, lab, write

MARKER = "[hub:rep_" + "0" * 31 + "1]"

BODIES: dict[str, Any] = {
    "note": "Verified by 2 people.",
    "custom_fields": {"human_check": "answered", "human_verdict": "real"},
    "field_values": {"human_check": "answered"},
    "status_update": {"message": "It is real.", "subject": "Checkout"},
    "acknowledge": True,
    "resolve": {"resolution": "The probe was wrong."},
    "responders": {"message": "Please join.", "users": ["PUSER1"], "escalation_policies": ["PPOLICY"]},
}
CAREFUL = ("note", "status_update", "responders")  # never sent twice on a guess
AFTER = (Fault.SERVER_ERROR_AFTER, Fault.RESET_AFTER)
BEFORE = (Fault.SERVER_ERROR_BEFORE, Fault.RESET_BEFORE)


@pytest.fixture
async def here() -> AsyncIterator[Lab]:
    async with lab() as made:
        yield made


def writing(here: Lab) -> PagerDutyWriter:
    return writer(here.settings, here.tools)


def step(here: Lab, kind: str) -> Write:
    return write(here.begin(), kind, BODIES[kind])


def left(here: Lab, ticket_id: str) -> dict[str, Any]:
    """What the account holds of the steps."""
    world = here.world
    return {
        "notes": [note["content"] for note in world.notes[ticket_id]],
        "fields": {name: value for name, value in world.fields.held.get(ticket_id, {}).items() if value},
        "updates": [(one["message"], one["subject"]) for one in world.status_updates[ticket_id]],
        "responders": [one["message"] for one in world.responders[ticket_id]],
        "status": world.incident(ticket_id)["status"],
    }


CALM: dict[str, Any] = {"notes": [], "fields": {}, "updates": [], "responders": [], "status": "triggered"}
EXPECTED: dict[str, dict[str, Any]] = {
    "note": {"notes": [f"Verified by 2 people.\n\n{MARKER}"]},
    "custom_fields": {"fields": {"human_check": "answered", "human_verdict": "real"}},
    "field_values": {"fields": {"human_check": "answered"}},
    "status_update": {"updates": [(f"It is real.\n\n{MARKER}", "Checkout")]},
    "acknowledge": {"status": "acknowledged"},
    "resolve": {"status": "resolved"},
    "responders": {"responders": [f"Please join.\n\n{MARKER}"]},
}


@pytest.mark.parametrize("kind", BODIES)
async def test_a_step_does_what_it_says(here: Lab, kind: str) -> None:
    wanted = step(here, kind)
    done = await writing(here).write(wanted)
    assert left(here, wanted.ticket_id) == CALM | EXPECTED[kind]
    words = {"acknowledge": "acknowledged", "resolve": "resolved", "responders": "responders"}
    if kind == "note":
        assert done == here.world.notes[wanted.ticket_id][0]["id"]
    elif kind == "status_update":
        assert done == here.world.status_updates[wanted.ticket_id][0]["id"]
    else:
        assert done == words.get(kind, "custom_fields")


async def test_what_resolve_says_is_kept_in_the_log(here: Lab) -> None:
    wanted = step(here, "resolve")
    await writing(here).write(wanted)
    assert here.world.log[-1]["channel"]["summary"] == f"The probe was wrong.\n\n{MARKER}"


async def test_responders_are_asked_for_in_the_name_of_the_hub(here: Lab) -> None:
    wanted = step(here, "responders")
    await writing(here).write(wanted)
    [made] = here.world.responders[wanted.ticket_id]
    assert made["requester"]["id"] == BOT_ID
    assert made["responder_request_targets"] == [
        {"responder_request_target": {"id": "PUSER1", "type": "user_reference"}},
        {"responder_request_target": {"id": "PPOLICY", "type": "escalation_policy_reference"}},
    ]


@pytest.mark.parametrize("kind", BODIES)
async def test_a_preview_is_the_request_without_a_call(here: Lab, kind: str) -> None:
    wanted = step(here, kind)
    [call] = writing(here).preview(wanted)
    assert here.world.requests == []
    assert "authorization" not in call.headers
    assert call.headers["from"] == BOT
    assert call.url.startswith(f"{here.vendor.url}/incidents/{wanted.ticket_id}")
    await writing(here).write(wanted)
    sent = [(method, path) for method, path, _ in here.world.requests if method != "GET"]
    assert sent == [(call.method, call.url.removeprefix(here.vendor.url))]
    body = json.loads(call.body)
    if kind in CAREFUL:
        assert MARKER in json.dumps(body)


@pytest.mark.parametrize("kind", [kind for kind in BODIES if kind not in CAREFUL])
@pytest.mark.parametrize("fault", [*BEFORE, *AFTER, Fault.RATE_LIMITED])
async def test_what_may_be_repeated_is_repeated(here: Lab, kind: str, fault: Fault) -> None:
    wanted = step(here, kind)
    skip = [Fault.NONE] if kind == "acknowledge" else []  # it looks first
    here.vendor.next(*skip, fault)
    with pytest.raises((Uncertain, Retryable)):
        await writing(here).write(wanted)
    assert await writing(here).find(wanted) is None
    await writing(here).write(wanted)
    await writing(here).write(wanted)
    assert left(here, wanted.ticket_id) == CALM | EXPECTED[kind]


@pytest.mark.parametrize("kind", CAREFUL)
@pytest.mark.parametrize("fault", AFTER)
async def test_what_was_taken_is_found(here: Lab, kind: str, fault: Fault) -> None:
    wanted = step(here, kind)
    here.vendor.next(fault)
    with pytest.raises(Uncertain):
        await writing(here).write(wanted)
    found = await writing(here).find(wanted)
    assert found
    assert left(here, wanted.ticket_id) == CALM | EXPECTED[kind]


@pytest.mark.parametrize("kind", ["status_update", "responders"])
@pytest.mark.parametrize("fault", BEFORE)
async def test_what_pages_people_is_never_guessed(here: Lab, kind: str, fault: Fault) -> None:
    wanted = step(here, kind)
    here.vendor.next(fault)
    with pytest.raises(Uncertain):
        await writing(here).write(wanted)
    with pytest.raises(Rejected) as caught:
        await writing(here).find(wanted)
    assert caught.value.code == "cannot_tell"
    assert left(here, wanted.ticket_id) == CALM


async def test_an_incident_that_is_over_is_not_opened_by_acknowledging(here: Lab) -> None:
    wanted = step(here, "acknowledge")
    here.world.resolve(wanted.ticket_id, here.ann)
    assert await writing(here).write(wanted) == "already_resolved"
    assert here.world.incident(wanted.ticket_id)["status"] == "resolved"


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("custom_fields", {"nowhere": "x"}, "Custom field nowhere does not exist."),
        ("field_values", {"human_check": 7}, "Custom field human_check does not take this value."),
        ("field_values", {"human_check": {"a": 1}}, "`human_check` cannot hold an object"),
        ("status_update", {"message": ""}, None),
        ("page_everybody", {}, "no action `page_everybody`"),
    ],
)
async def test_a_refusal_names_the_field(here: Lab, kind: str, body: Any, says: str | None) -> None:
    wanted = write(here.begin(), kind, body)
    if says is None:  # the marker makes an empty message one with content
        await writing(here).write(wanted)
        return
    with pytest.raises(Rejected) as caught:
        await writing(here).write(wanted)
    assert says in caught.value.message


async def test_a_plan_without_responders_says_so(here: Lab) -> None:
    here.world.abilities.remove("coordinated_responding")
    with pytest.raises(Rejected) as caught:
        await writing(here).write(step(here, "responders"))
    assert caught.value.code == "missing_ability"
    assert "Take the step out of outbound" in caught.value.message


async def test_long_texts_are_cut_and_keep_the_marker(here: Lab) -> None:
    ticket_id = here.begin()
    await writing(here).write(write(ticket_id, "note", "word " * 10_000))
    await writing(here).write(write(ticket_id, "custom_fields", {"human_verdict": "ü" * 500}))
    await writing(here).write(
        write(ticket_id, "status_update", {"message": "x " * 20_000, "subject": "s" * 999})
    )
    held = left(here, ticket_id)
    assert len(held["notes"][0]) <= 25_000
    assert held["notes"][0].endswith(f"…\n\n{MARKER}")
    assert held["fields"]["human_verdict"] == "ü" * 199 + "…"
    message, subject = held["updates"][0]
    assert message.endswith(MARKER)
    assert len(subject) == 200


async def test_the_last_call_of_a_minute_makes_a_pause(here: Lab) -> None:
    wanted = step(here, "note")
    await writing(here).write(wanted)
    assert here.tools.pauses.wait(here.settings.id) == 0
    here.vendor.next(Fault.LAST_CALL)
    await writing(here).write(write(wanted.ticket_id, "note", "second", 2))
    assert 40 < here.tools.pauses.wait(here.settings.id) <= 41


@pytest.mark.parametrize(("fault", "seconds"), [(Fault.RATE_LIMITED, 17), (Fault.RATE_LIMITED_BARE, 15)])
async def test_429_makes_a_pause(here: Lab, fault: Fault, seconds: int) -> None:
    wanted = step(here, "note")
    here.vendor.next(fault)
    with pytest.raises(Retryable):
        await writing(here).write(wanted)
    assert seconds - 1 < here.tools.pauses.wait(here.settings.id) <= seconds


@pytest.mark.parametrize("kind", BODIES)
async def test_what_a_step_echoes_asks_nobody(here: Lab, kind: str) -> None:
    """With every topic subscribed and a route that takes everything."""
    inbound = msgspec.structs.replace(here.settings.inbound, topics=sorted(TOPICS))
    settings = msgspec.structs.replace(here.settings, inbound=inbound)
    everything = msgspec.structs.replace(settings.inbound.routes[3], when=Condition("`true`"))
    ticket_id = here.begin()
    hooks = here.listen()
    await writing(here).write(write(ticket_id, kind, BODIES[kind]))
    echoes = here.sent(hooks)
    assert echoes, "the account tells of everything that happens"
    for echo in echoes:
        reading = normalize(settings, echo, [everything], {})
        assert isinstance(reading, Ignored), (echo.event_type, reading)
        assert "loop_guard" in reading.reason or "marker" in reading.reason


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize(
    ("fault", "error"),
    [(Fault.UNAUTHORIZED, Misconfigured), (Fault.FORBIDDEN, Misconfigured), (Fault.NOT_FOUND, Rejected)],
)
async def test_refusals_for_good(here: Lab, kind: str, fault: Fault, error: type[HubError]) -> None:
    wanted = step(here, kind)
    here.vendor.next(fault)
    with pytest.raises(error):
        await writing(here).write(wanted)
    assert left(here, wanted.ticket_id) == CALM
