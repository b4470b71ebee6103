"""What the doctor says of a sound workspace, and of each thing that can be wrong with one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web

from connectors.connector import Check, Visit
from connectors.intercom.doctor import doctor
from connectors.intercom.setup import setup
from connectors.secret_refs import Secrets
from core import clock
from tests.fakes.intercom import Fault
from tests.fakes.intercom_lab import HUB, Lab, lab


@pytest.fixture
async def here() -> AsyncIterator[Lab]:
    async with lab(timeout=5) as made:
        yield made


@pytest.fixture
async def hub() -> AsyncIterator[str]:
    """Something that answers HEAD where the hub's route would."""

    async def head(_: web.Request) -> web.Response:
        return web.Response(status=200)

    application = web.Application()
    application.router.add_head("/hooks/in/demo-intercom", head)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def checks(here: Lab, public_url: str, ticket_id: str = "", **changes: Any) -> dict[str, Check]:
    settings = msgspec.structs.replace(here.settings, **changes)
    visit = Visit(public_url=public_url, ticket_id=ticket_id)
    found = await doctor(settings, here.tools, visit)
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


async def test_all_is_well(here: Lab, hub: str) -> None:
    found = await checks(here, hub, here.begin())
    assert {name: one.ok for name, one in found.items()} == dict.fromkeys(
        [
            "client secret", "webhook address", "token", "workspace", "region", "clock", "rate limit", "act_as_admin",
            "attributes", "tags", "assignees", "note read back",
        ],
        True,
    )  # fmt: skip


async def test_without_a_ticket_nothing_is_written(here: Lab, hub: str) -> None:
    found = await checks(here, hub)
    assert found["note read back"].ok is None
    assert {method for method, _, _ in here.world.requests} == {"GET"}


async def test_a_refused_token_ends_the_visit(here: Lab, hub: str) -> None:
    here.world.token = "another"
    found = await checks(here, hub)
    assert list(found) == ["client secret", "webhook address", "token"]
    assert found["token"].ok is False
    assert "auth.access_token" in found["token"].fix


async def test_no_client_secret(here: Lab, hub: str) -> None:
    auth = msgspec.structs.replace(here.settings.auth, client_secrets=Secrets([]))
    assert (await checks(here, hub, auth=auth))["client secret"].ok is False


@pytest.mark.parametrize(
    ("name", "ok", "said", "fix"),
    [
        ("workspace", False, "abc123def", "app_id: abc123def"),
        ("region", False, "eu", "region: eu"),
        ("act_as_admin", False, "no Inbox seat", "Inbox seat"),
        ("attributes", False, "`human_task` is there twice", "Settings > Data > Conversations"),
        ("tags", False, "`hitl-answered` is missing", "Settings > Data > Tags"),
        ("rate limit", False, "3 of 167", "delivery.rate"),
    ],
)
async def test_what_is_wrong(here: Lab, hub: str, name: str, ok: bool, said: str, fix: str) -> None:
    world = here.world
    world.region = "EU"
    world.admins[HUB]["has_inbox_seat"] = False
    world.attributes.append("human_task")
    world.tags.clear()
    here.vendor.limits.left = 3
    check = (await checks(here, hub, app_id="other"))[name]
    assert check.ok is ok
    assert said in check.said
    assert fix in check.fix


async def test_what_is_missing(here: Lab, hub: str) -> None:
    here.world.attributes.clear()
    found = await checks(here, hub, act_as_admin="1")
    assert found["attributes"].said == "`human_task` is missing"
    assert found["act_as_admin"].said == "1 is no teammate"


async def test_an_assignee_that_is_gone(here: Lab, hub: str) -> None:
    outbound = here.settings.outbound
    assign = outbound.verified[-1].assign
    assert assign is not None
    gone = msgspec.structs.replace(outbound.verified[-1], assign=msgspec.structs.replace(assign, to="team:1"))
    found = await checks(here, hub, outbound=msgspec.structs.replace(outbound, verified=[gone]))
    assert (found["assignees"].ok, found["assignees"].said) == (False, "team:1 does not exist")


async def test_the_address(here: Lab, hub: str) -> None:
    assert (await checks(here, f"{hub}/elsewhere"))["webhook address"].ok is False
    real = await checks(here, "http://hub.example", test_base_url=None, environment="live")
    assert real["webhook address"].ok is False
    assert "not https" in real["webhook address"].said


async def test_a_clock_that_is_wrong(here: Lab, hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "unix", lambda: 1_000_000_000)
    found = await checks(here, hub)
    assert found["clock"].ok is False
    assert "NTP" in found["clock"].fix


async def test_a_note_that_cannot_be_written(here: Lab, hub: str) -> None:
    found = await checks(here, hub, "1")
    assert found["note read back"].ok is False
    found = await checks(here, hub, "last")
    assert found["note read back"].ok is False


async def test_a_permission_that_is_missing_is_not_known(here: Lab, hub: str) -> None:
    here.vendor.next(Fault.NONE, Fault.FORBIDDEN)
    found = await checks(here, hub)
    assert found["act_as_admin"].ok is None
    assert "Read admins" in found["act_as_admin"].fix


async def test_what_there_is_to_click(here: Lab) -> None:
    lines = await setup(here.settings, here.tools, "https://hub.example/")
    assert "https://hub.example/hooks/in/demo-intercom" in lines[1]
    assert all(topic in lines[2] for topic in here.settings.inbound.topics)
    assert lines[4:6] == [
        "Settings > Data > Conversations: the attributes human_task",
        "Settings > Data > Tags: hitl-answered",
    ]
    assert "Preview" in lines[6]
    assert here.world.requests == []
