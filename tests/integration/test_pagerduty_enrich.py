"""What a route wants to see is fetched from the simulated PagerDuty: the incident and its parts, the whole of a note that
the webhook cut off, and the refusals of the port."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from connectors.pagerduty.enrich import enricher
from connectors.pagerduty.normalize import normalize
from connectors.pagerduty.settings import CONTEXTS
from core.errors import HubError, Misconfigured, Rejected, Retryable
from core.intake.envelope import Escalation, Ignored, InboundDelivery, Ticket, Wanted
from tests.fakes.pagerduty import Fault
from tests.fakes.pagerduty_lab import Lab, lab

CUT = 100  # characters that a test's webhook leaves of a note


@pytest.fixture
async def here() -> AsyncIterator[Lab]:
    async with lab() as made:
        yield made


def wanted(incident_id: str, *names: str) -> Wanted:
    return Wanted(route="r", ticket=Ticket(id=incident_id), names=names)


async def test_everything_that_a_route_may_ask_for(here: Lab) -> None:
    incident_id = here.begin("Checkout is slow")
    here.world.add_note(incident_id, "on it", here.ann)
    here.ask(incident_id)
    found = await enricher(here.settings, here.tools).fetch(wanted(incident_id, *CONTEXTS))
    assert set(found) == CONTEXTS
    assert found["incident"]["title"] == "Checkout is slow"
    assert found["incident"]["incident_number"] == 1
    assert [alert["severity"] for alert in found["alerts"]] == ["critical"]
    assert [note["content"] for note in found["notes"]] == ["on it"]
    assert {one["name"]: one["value"] for one in found["custom_fields"]} == {
        "human_check": "requested",
        "human_verdict": None,
        "human_task": None,
    }
    assert [one["type"] for one in found["log_entries"]] == [
        "field_value_change_log_entry",
        "annotate_log_entry",
        "trigger_log_entry",
    ]
    assert found["trigger_log_entry"]["channel"]["details"] == {"error_rate": "7 %"}
    paths = [path for _, path, _ in here.world.requests]
    assert len(paths) == len(CONTEXTS), "the incident is read once, for itself and for its first entry"


async def test_only_what_is_wanted_is_asked_for(here: Lab) -> None:
    incident_id = here.begin()
    assert set(await enricher(here.settings, here.tools).fetch(wanted(incident_id, "notes"))) == {"notes"}
    assert here.world.requests == [("GET", f"/incidents/{incident_id}/notes", 200)]


async def test_an_incident_without_a_first_entry(here: Lab) -> None:
    incident_id = here.begin()
    here.world.incident(incident_id)["first_trigger_log_entry"] = {"id": "../users"}
    found = await enricher(here.settings, here.tools).fetch(wanted(incident_id, "trigger_log_entry"))
    assert found == {"trigger_log_entry": None}


async def test_a_storm_of_alerts_is_bounded(here: Lab) -> None:
    incident_id = here.begin()
    here.world.alerts[incident_id] = [{"id": f"P{number}"} for number in range(750)]
    found = await enricher(here.settings, here.tools).fetch(wanted(incident_id, "alerts"))
    assert [alert["id"] for alert in found["alerts"]] == [f"P{number}" for number in range(500)]
    assert len(here.world.requests) == 5


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.SERVER_ERROR_BEFORE, Retryable),
        (Fault.RESET_BEFORE, Retryable),
        (Fault.RATE_LIMITED, Retryable),
        (Fault.NOT_JSON, Retryable),
        (Fault.UNAUTHORIZED, Misconfigured),
        (Fault.FORBIDDEN, Misconfigured),
        (Fault.NOT_FOUND, Rejected),
    ],
)
async def test_refusals(here: Lab, fault: Fault, error: type[HubError]) -> None:
    incident_id = here.begin()
    here.vendor.next(fault)
    with pytest.raises(error):
        await enricher(here.settings, here.tools).fetch(wanted(incident_id, "notes"))


async def test_an_id_that_is_none_reaches_no_path(here: Lab) -> None:
    with pytest.raises(Rejected):
        await enricher(here.settings, here.tools).fetch(wanted("../users", "incident"))
    assert here.world.requests == []


def trimmed(delivery: InboundDelivery) -> InboundDelivery:
    """As PagerDuty sends a note above 55 KB (docs/webhooks/02-Behavior.md)."""
    body = msgspec.json.decode(delivery.body)
    data = body["event"]["data"]
    data |= {"content": data["content"][:CUT], "trimmed": True}
    return msgspec.structs.replace(delivery, body=msgspec.json.encode(body))


async def test_a_trimmed_note_is_read_whole(here: Lab) -> None:
    incident_id, hooks = here.begin(), here.listen()
    here.world.add_note(incident_id, f"/ask {'x ' * 200}is it safe?", here.ann)
    [delivery] = map(trimmed, here.sent(hooks))
    routes = here.settings.inbound.routes
    first = normalize(here.settings, delivery, routes, None)
    assert isinstance(first, Wanted)
    assert first.names == ("notes",)
    context = await enricher(here.settings, here.tools).fetch(first)
    reading = normalize(here.settings, delivery, routes, context)
    assert isinstance(reading, Escalation)
    assert reading.task["payload"]["question"].endswith("is it safe?")


async def test_the_marker_at_the_end_of_a_trimmed_note_is_seen(here: Lab) -> None:
    incident_id, hooks = here.begin(), here.listen()
    here.world.add_note(incident_id, f"/ask {'x ' * 200}[hub:rep_1]", here.ann)
    [delivery] = map(trimmed, here.sent(hooks))
    first = normalize(here.settings, delivery, here.settings.inbound.routes, None)
    assert isinstance(first, Wanted)
    context = await enricher(here.settings, here.tools).fetch(first)
    reading = normalize(here.settings, delivery, here.settings.inbound.routes, context)
    assert reading == Ignored(reason="carries our own marker")


async def test_a_trimmed_note_that_is_gone_is_read_as_it_came(here: Lab) -> None:
    incident_id, hooks = here.begin(), here.listen()
    note = here.world.add_note(incident_id, f"/ask {'x ' * 200}", here.ann)
    [delivery] = map(trimmed, here.sent(hooks))
    here.world.delete_note(incident_id, note["id"])
    reading = normalize(here.settings, delivery, here.settings.inbound.routes, {"notes": []})
    assert isinstance(reading, Escalation)
    assert reading.key == note["id"]


async def test_the_field_route_sees_the_incident_and_the_first_event(here: Lab) -> None:
    incident_id, hooks = here.begin("Checkout is slow"), here.listen()
    here.ask(incident_id)
    [delivery] = here.sent(hooks)
    first = normalize(here.settings, delivery, here.settings.inbound.routes, None)
    assert isinstance(first, Wanted)
    context = await enricher(here.settings, here.tools).fetch(first)
    reading = normalize(here.settings, delivery, here.settings.inbound.routes, context)
    assert isinstance(reading, Escalation)
    assert reading.task["title"] == "Checkout is slow"
    assert reading.task["payload"]["details"] == {"error_rate": "7 %"}
    assert reading.task["payload"]["asked_by"] == "Ann"
    assert reading.key == "human_check:first:0"
