"""What the doctor says of a sound account, and of each thing that can be wrong with one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import msgspec
import pytest

from connectors.connector import Check, Visit
from connectors.expressions import PlainTemplate
from connectors.pagerduty.doctor import doctor
from connectors.pagerduty.normalize import normalize
from connectors.pagerduty.settings import PagerDutyStep, Responders
from connectors.pagerduty.setup import setup
from connectors.secret_refs import Secrets
from core.intake.envelope import Ignored
from hub.demo.fake_pagerduty import Subscription
from tests.fakes.pagerduty import Fault
from tests.fakes.pagerduty_lab import HOOK, PUBLIC, SECRET, Lab, lab, settings_for

FIELDS = [f"custom field {name}" for name in ("human_check", "human_task", "human_verdict")]
ALL = [
    "webhook secret", "token", "sender", "own user", *FIELDS, "subscription", "canary note", "clock", "rate limit",
]  # fmt: skip


@pytest.fixture
async def here() -> AsyncIterator[Lab]:
    async with lab() as made:
        yield made


async def checks(here: Lab, ticket_id: str = "", public_url: str = PUBLIC) -> dict[str, Check]:
    found = await doctor(here.settings, here.tools, Visit(public_url=public_url, ticket_id=ticket_id))
    assert len({one.name for one in found}) == len(found)
    assert all(one.fix for one in found if one.ok is False), "what fails has a fix"
    assert not any(one.fix for one in found if one.ok), "what is well needs none"
    return {one.name: one for one in found}


def change(here: Lab, **changes: Any) -> None:
    here.settings = msgspec.structs.replace(here.settings, **changes)


async def test_all_is_well(here: Lab) -> None:
    await setup(here.settings, here.tools, PUBLIC)
    incident_id = here.begin()
    found = await checks(here, incident_id)
    assert {name: one.ok for name, one in found.items()} == dict.fromkeys(ALL, True)
    assert here.world.notes[incident_id] == [], "the canary is gone again"


async def test_the_canary_s_echo_asks_nobody(here: Lab) -> None:
    hooks, incident_id = here.listen(), here.begin()
    here.sent(hooks)
    await checks(here, incident_id)
    [echo] = here.sent(hooks)
    assert isinstance(normalize(here.settings, echo, here.settings.inbound.routes, None), Ignored)


async def test_without_an_incident_nothing_is_written(here: Lab) -> None:
    here.begin()
    canary = (await checks(here))["canary note"]
    assert canary.ok is None
    assert "--ticket" in canary.fix
    assert {method for method, _, _ in here.world.requests} == {"GET"}


@pytest.mark.parametrize("incident_id", ["Q0000000000000", "../users"])
async def test_an_incident_that_is_not_there(here: Lab, incident_id: str) -> None:
    canary = (await checks(here, incident_id))["canary note"]
    assert canary.ok is False
    assert "incident" in canary.said


async def test_a_wrong_token_ends_the_visit(here: Lab) -> None:
    here.settings = settings_for(here.vendor.url, token="wrong")
    found = await checks(here)
    assert list(found) == ["webhook secret", "token"]
    assert found["token"].ok is False
    assert "Create New API Key" in found["token"].fix
    assert "PAGERDUTY_API_TOKEN" in found["token"].fix


async def test_no_token(here: Lab) -> None:
    here.settings = settings_for(here.vendor.url, token="")
    found = await checks(here)
    assert found["token"].ok is False
    assert "empty" in found["token"].said
    assert here.world.requests == []


async def test_pagerduty_is_down(here: Lab) -> None:
    here.vendor.next(Fault.SERVER_ERROR_BEFORE)
    found = await checks(here)
    assert found["token"].ok is None


async def test_no_webhook_secret(here: Lab) -> None:
    there = here.settings.auth.webhook_secrets.entries
    expired = Secrets([msgspec.structs.replace(one, until=date(2020, 1, 1)) for one in there])
    change(here, auth=msgspec.structs.replace(here.settings.auth, webhook_secrets=expired))
    found = (await checks(here))["webhook secret"]
    assert found.ok is False
    assert "hub connectors setup demo-oncall" in found.fix


async def test_no_such_sender(here: Lab) -> None:
    here.bot["email"] = "somebody@demo.example"
    found = await checks(here)
    assert found["sender"].ok is False
    assert "Add Users" in found["sender"].fix
    assert "own user" not in found


async def test_a_sender_that_is_not_known_as_our_own(here: Lab) -> None:
    guard = msgspec.structs.replace(here.settings.loop_guard, ignore_agents=[])
    change(here, auth=msgspec.structs.replace(here.settings.auth, user_id=None), loop_guard=guard)
    found = (await checks(here))["own user"]
    assert found.ok is False
    assert "user_id: PHUBBOT" in found.fix


async def test_another_user_s_id(here: Lab) -> None:
    change(here, auth=msgspec.structs.replace(here.settings.auth, user_id=here.ann["id"]))
    assert (await checks(here))["own user"].ok is False


async def test_fields_that_are_missing_or_of_another_kind(here: Lab) -> None:
    here.world.fields.defined = [one for one in here.world.fields.defined if one["name"] != "human_task"]
    here.world.fields.defined[0]["data_type"] = "boolean"
    here.world.fields.defined[1]["field_type"] = "multi_value"
    found = await checks(here)
    assert [found[name].ok for name in FIELDS] == [False, False, False]
    assert "Base Incident > Fields > New Field" in found["custom field human_task"].fix
    assert "field_values" in found["custom field human_check"].fix


async def test_no_responders_in_this_plan(here: Lab) -> None:
    call = Responders(message=PlainTemplate("Please join", html=False), users=["PUSER1"])
    outbound = msgspec.structs.replace(here.settings.outbound, failed=[PagerDutyStep(responders=call)])
    change(here, outbound=outbound)
    assert (await checks(here))["responders"].ok is True
    here.world.abilities.remove("coordinated_responding")
    assert (await checks(here))["responders"].ok is False


async def test_no_subscription(here: Lab) -> None:
    found = (await checks(here))["subscription"]
    assert found.ok is False
    assert HOOK in found.said
    assert "hub connectors setup demo-oncall" in found.fix


async def test_a_subscription_to_another_host(here: Lab) -> None:
    here.listen()
    found = (await checks(here, public_url="https://moved.example"))["subscription"]
    assert found.ok is False
    assert f"only to {HOOK}" in found.said


async def test_a_subscription_in_trouble(here: Lab) -> None:
    hooks = here.world.subscribe(Subscription(HOOK, [SECRET], frozenset({"incident.triggered"})))
    found = (await checks(here))["subscription"]
    assert found.ok is False
    assert "incident.custom_field_values.updated" in found.said
    hooks.active = False
    assert (await checks(here))["subscription"].said == "it is switched off"
    hooks.disabled = True
    assert (await checks(here))["subscription"].said == "PagerDuty disabled it for 24 hours"


@pytest.mark.parametrize(
    ("position", "name"), [(1, "sender"), (2, "custom fields"), (3, "subscription"), (4, "canary note")]
)
async def test_a_key_that_may_not_do_a_part_of_it(here: Lab, position: int, name: str) -> None:
    """The others are made all the same."""
    incident_id = here.begin()
    here.listen()
    here.vendor.next(*[Fault.NONE] * position, Fault.FORBIDDEN)
    found = await checks(here, incident_id)
    assert found[name].ok is False
    assert "not read-only" in found[name].fix
    assert [one.name for one in found.values() if one.ok is not True] == [name]


async def test_the_rate_limit_is_nearly_used_up(here: Lab) -> None:
    here.vendor.next(Fault.LAST_CALL)
    found = (await checks(here))["rate limit"]
    assert found.ok is False
    assert found.said == "0 of 960 calls left this minute"


async def test_a_clock_that_is_apart(here: Lab) -> None:
    here.vendor.next(Fault.OLD_DATE)
    found = (await checks(here))["clock"]
    assert found.ok is False
    assert "NTP" in found.fix
