"""The simulated PagerDuty judged by somebody else's client: pdpyras with its own defaults, paging, wrapping and errors, and
nothing of our connector."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from hub.demo.fake_pagerduty import PagerDuty
from tests.fakes.pagerduty import Fault, serve

with warnings.catch_warnings():
    # 5.4.1 announces its successor at import; see connectors/pagerduty/client.py.
    warnings.filterwarnings("ignore", message='The package "pdpyras" is deprecated', category=UserWarning)
    pdpyras: Any = import_module("pdpyras")


def account() -> PagerDuty:
    world = PagerDuty(token="token")
    world.add_user("Ann", "ann@demo.example", "PANN")
    return world


def session_for(url: str, token: str = "token") -> Any:
    session = pdpyras.APISession(token, default_from="ann@demo.example")
    session.url, session.trust_env = url, False
    return session


async def driven(work: Callable[[Any], Any], world: PagerDuty, *faults: Fault, token: str = "token") -> Any:
    """What `work` gives with a session of its own, in a thread."""
    async with serve(world) as vendor:
        vendor.next(*faults)

        def inside() -> Any:
            with session_for(vendor.url, token) as session:
                return work(session)

        return await asyncio.to_thread(inside)


async def test_the_life_of_an_incident() -> None:
    world = account()

    def work(pd: Any) -> list[Any]:
        made = pd.rpost("incidents", json={"type": "incident", "title": "Checkout is slow"})
        path = f"incidents/{made['id']}"
        note = pd.rpost(f"{path}/notes", json={"content": "on it"})
        pd.put(f"{path}/notes/{note['id']}", json={"note": {"content": "on it now"}})  # newer than pdpyras
        states = [
            pd.rput(path, json={"type": "incident_reference", "status": status})["status"]
            for status in ("acknowledged", "resolved")
        ]
        values = pd.put(
            f"{path}/custom_fields/values",
            json={"custom_fields": [{"name": "human_check", "value": "requested"}]},
        )
        update = pd.post(f"{path}/status_updates", json={"message": "It is over.", "subject": "Checkout"})
        target = {"responder_request_target": {"id": "PBOB", "type": "user_reference"}}
        asked = pd.post(
            f"{path}/responder_requests",
            json={"requester_id": "PANN", "message": "join", "responder_request_targets": [target]},
        )
        notes = [one["content"] for one in pd.rget(f"{path}/notes")]
        gone = pd.delete(f"{path}/notes/{note['id']}").status_code
        return [states, values.status_code, update.status_code, asked.status_code, notes, gone, made["id"]]

    *seen, incident_id = await driven(work, world)
    assert seen == [["acknowledged", "resolved"], 201, 200, 200, ["on it now"], 204]
    assert world.notes[incident_id] == []
    assert world.incident(incident_id)["status"] == "resolved"
    assert world.status_updates[incident_id][0]["message"] == "It is over."
    assert world.responders[incident_id][0]["requester"]["id"] == "PANN"


async def test_its_pager_reads_every_page() -> None:
    world = account()
    made = [world.trigger(f"Incident {number}")["id"] for number in range(230)]
    ends = {"since": "2020-01-01T00:00:00Z", "until": "2999-01-01T00:00:00Z"}

    def work(pd: Any) -> list[list[str]]:
        entries = pd.iter_all("log_entries", params={**ends, "include[]": ["incidents"]})
        return [[one["id"] for one in pd.iter_all("incidents")], [one["incident"]["id"] for one in entries]]

    incidents, entries = await driven(work, world)
    assert incidents == made
    assert entries == made[::-1]


async def test_users_are_found_and_subscriptions_made() -> None:
    world = account()
    wanted = {
        "type": "webhook_subscription",
        "delivery_method": {"type": "http_delivery_method", "url": "https://hub.example/hook"},
        "events": ["incident.triggered"],
        "filter": {"type": "account_reference"},
    }

    def work(pd: Any) -> list[Any]:
        made = pd.rpost("webhook_subscriptions", json=wanted)
        listed = pd.list_all("webhook_subscriptions")
        pinged = pd.post(f"webhook_subscriptions/{made['id']}/ping").status_code
        enabled = pd.post(f"webhook_subscriptions/{made['id']}/enable").status_code
        user = pd.find("users", "ann@demo.example", attribute="email")
        secrets = ["secret" in one["delivery_method"] for one in (made, *listed)]
        return [secrets, pinged, enabled, user["id"], pd.get("abilities").json()["abilities"]]

    seen = await driven(work, world)
    assert seen == [[True, False], 202, 200, "PANN", ["teams", "coordinated_responding", "custom_fields"]]
    assert world.subscriptions[0].waiting == 1


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("incidents/Q0", 404, 2100), ("log_entries/R0", 404, 2100), ("nowhere", 404, 2100)],
)
async def test_its_errors_carry_pagerduty_s_codes(path: str, status: int, code: int) -> None:
    def work(pd: Any) -> tuple[int, int]:
        answer = pd.get(path)
        return answer.status_code, answer.json()["error"]["code"]

    assert await driven(work, account()) == (status, code)


async def test_a_wrong_token_is_its_own_error() -> None:
    with pytest.raises(pdpyras.PDClientError) as caught:
        await driven(lambda pd: pd.get("incidents"), account(), token="wrong")
    assert caught.value.response.status_code == 401


async def test_left_to_itself_it_sends_a_note_twice() -> None:
    """Why `client.py` switches its retries off."""
    world = account()
    incident_id = world.trigger("Checkout is slow")["id"]
    await driven(
        lambda pd: pd.rpost(f"incidents/{incident_id}/notes", json={"content": "once"}),
        world,
        Fault.RESET_AFTER,
    )
    assert [note["content"] for note in world.notes[incident_id]] == ["once", "once"]


def test_what_reads_webhooks_loads_no_client() -> None:
    """requests and what it brings cost a tenth of a second at every start of the hub."""
    code = "import sys, connectors.pagerduty; print(*({'pdpyras', 'requests', 'urllib3'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
