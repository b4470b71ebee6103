"""`hub connectors setup` at the simulated PagerDuty: one subscription however often it runs, and its secret shown once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from connectors.pagerduty.settings import PagerDutySubscription
from connectors.pagerduty.setup import setup
from core.errors import HubError, Misconfigured, Rejected, Retryable, Uncertain
from tests.fakes.pagerduty import Fault
from tests.fakes.pagerduty_lab import HOOK, PUBLIC, Lab, lab


@pytest.fixture
async def here() -> AsyncIterator[Lab]:
    async with lab() as made:
        yield made


async def test_the_subscription_is_made_as_the_file_says(here: Lab) -> None:
    lines = await setup(here.settings, here.tools, f"{PUBLIC}/")
    [made] = here.world.subscriptions
    assert made.url == HOOK
    assert made.filter == {"type": "account_reference"}
    assert made.topics == frozenset(here.settings.inbound.topics)
    assert made.secrets[0] in "\n".join(lines)
    assert "env:PAGERDUTY_WEBHOOK_SECRET" in lines[-1]


async def test_again_it_is_found_and_the_secret_is_not_shown(here: Lab) -> None:
    first = await setup(here.settings, here.tools, PUBLIC)
    second = await setup(here.settings, here.tools, PUBLIC)
    [made] = here.world.subscriptions
    assert sum(made.secrets[0] in line for line in (*first, *second)) == 1
    assert len(second) == 1
    assert made.id in second[0]
    assert [one for one in here.world.requests if one[0] == "POST"] == [
        ("POST", "/webhook_subscriptions", 201)
    ]


async def test_what_is_wrong_with_one_that_is_there_is_said(here: Lab) -> None:
    await setup(here.settings, here.tools, PUBLIC)
    [made] = here.world.subscriptions
    made.disabled, made.active, made.topics = True, False, frozenset({"incident.resolved"})
    lines = await setup(here.settings, here.tools, PUBLIC)
    assert made.disabled is False
    assert "it is on again" in lines[1]
    assert "incident.annotated" in lines[2]
    assert "switched off" in lines[3]


async def test_another_host_is_another_subscription(here: Lab) -> None:
    await setup(here.settings, here.tools, PUBLIC)
    await setup(here.settings, here.tools, "https://new.example")
    assert [one.url for one in here.world.subscriptions] == [HOOK, "https://new.example/hooks/in/demo-oncall"]


@pytest.mark.parametrize("kind", ["service", "team"])
async def test_of_a_service_or_a_team(here: Lab, kind: str) -> None:
    wanted = msgspec.convert({"filter": kind, "id": "PSERVICE"}, PagerDutySubscription)
    settings = msgspec.structs.replace(here.settings, subscription=wanted)
    await setup(settings, here.tools, PUBLIC)
    assert here.world.subscriptions[0].filter == {"type": f"{kind}_reference", "id": "PSERVICE"}


async def test_the_hundred_and_first_subscription_is_found(here: Lab) -> None:
    for number in range(120):
        here.listen().url = f"https://elsewhere.example/{number}"
    await setup(here.settings, here.tools, PUBLIC)
    await setup(here.settings, here.tools, PUBLIC)
    assert len(here.world.subscriptions) == 121


async def test_a_doubtful_answer_is_settled_by_running_it_again(here: Lab) -> None:
    here.vendor.next(Fault.NONE, Fault.RESET_AFTER)
    with pytest.raises(Uncertain):
        await setup(here.settings, here.tools, PUBLIC)
    [line] = await setup(here.settings, here.tools, PUBLIC)
    assert len(here.world.subscriptions) == 1
    assert "delete the subscription" in line, "its secret went with the lost answer"


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ([Fault.UNAUTHORIZED], Misconfigured),
        ([Fault.NONE, Fault.FORBIDDEN], Misconfigured),
        ([Fault.NONE, Fault.NOT_FOUND], Rejected),
        ([Fault.SERVER_ERROR_BEFORE], Retryable),
        ([Fault.NONE, Fault.RATE_LIMITED], Retryable),
    ],
)
async def test_refusals(here: Lab, faults: list[Fault], error: type[HubError]) -> None:
    here.vendor.next(*faults)
    with pytest.raises(error):
        await setup(here.settings, here.tools, PUBLIC)
    assert here.world.subscriptions == []


async def test_pagerduty_delivers_to_https_alone(here: Lab) -> None:
    settings = msgspec.structs.replace(here.settings, test_base_url=None)
    with pytest.raises(Misconfigured) as caught:
        await setup(settings, here.tools, "http://hub.example")
    assert caught.value.code == "public_url"
    assert here.world.requests == []
