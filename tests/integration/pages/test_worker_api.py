"""The worker API, as a worker's own client uses it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from core import clock
from tests.integration.pages.conftest import Stage, said

GOOD = {"severity": "minor", "action": "watch", "summary": "The error rate is falling since the last deploy."}


async def taken(stage: Stage, **values: Any) -> str:
    """The id of an accepted assignment."""
    assignment = await stage.assignment(await stage.offer(**values))
    assert (await stage.worker.api("POST", f"/assignments/{assignment}/accept")).status_code == 200
    return assignment


async def test_a_link_becomes_a_session_once(stage: Stage) -> None:
    body = {"token": stage.worker.link}
    opened = await stage.other.http.post("/worker/api/sign-in", json=body)
    assert opened.status_code == 200
    headers = {"Authorization": f"Bearer {opened.json()['token']}"}
    me = await stage.other.http.get("/worker/api/me", headers=headers)
    assert me.json()["name"] == "Ana"
    again = await stage.other.http.post("/worker/api/sign-in", json=body)
    assert again.status_code == 401
    assert again.headers["content-type"] == "application/problem+json"
    operator = await stage.other.http.post("/worker/api/sign-in", json={"token": stage.operator.link})
    assert operator.status_code == 403


async def test_only_a_workers_bearer_token_opens_it(stage: Stage) -> None:
    # the cookie alone is not enough: no other site can make a browser act
    assert (await stage.worker.http.get("/worker/api/offers")).status_code == 401
    assert (await stage.operator.api("GET", "/offers")).status_code == 403
    wrong = {"Authorization": "Bearer " + "x" * 43}
    assert (await stage.worker.http.get("/worker/api/offers", headers=wrong)).status_code == 401


async def test_offer_in_full(stage: Stage) -> None:
    before = clock.now_ms()
    task_id = await stage.offer(payout_currency="USD", payout_amount=Decimal("0.50"))
    listed = (await stage.worker.api("GET", "/offers")).json()
    [offer] = listed["data"]
    assert offer["taskId"] == task_id
    assert offer["pay"] == {"sats": 500, "usd": "0.50", "promised": "USD"}
    assert (offer["state"], offer["kind"], offer["title"]) == ("offered", "primary", "Triage an incident")
    assert before <= round(_ms(listed["serverTime"])) < _ms(offer["expiresAt"]) < _ms(offer["dueAt"])
    assert (await stage.other.api("GET", "/offers")).json()["data"] == []


def _ms(text: str) -> int:

    return clock.to_ms(datetime.fromisoformat(text))


def _iso(moment: datetime) -> str:
    return clock.iso(moment)


async def test_the_task_in_full(stage: Stage) -> None:
    assignment = await taken(stage, payload={"incident": "502 on checkout"}, task_metadata={"secret": "VIP"})
    found = await stage.worker.api("GET", f"/assignments/{assignment}")
    task = found.json()
    assert task["payload"] == {"incident": "502 on checkout"}
    assert task["schema"]["required"] == ["severity", "action", "summary"]
    assert task["deadline"] == task["turn"]["dueAt"]
    assert task["instructions"].startswith("Read the incident.")
    until = _iso((await stage.hub.task(task["turn"]["taskId"])).hard_stop_at)
    assert task["late"] == {"paid": True, "until": until, "now": False, "nearlyUp": False}
    assert (task["mayExtend"], task["usualMinutes"] > 0) == (True, True)
    assert "VIP" not in found.text
    assert [one["id"] for one in (await stage.worker.api("GET", "/work")).json()["data"]] == [assignment]


async def test_a_draft_goes_from_one_device_to_the_other(stage: Stage) -> None:
    assignment = await taken(stage)
    form = {"/severity": ["1"], "/summary": ["half"]}
    saved = await stage.worker.api("PUT", f"/assignments/{assignment}/draft", json={"form": form})
    assert saved.status_code == 204
    assert (await stage.worker.api("GET", f"/assignments/{assignment}")).json()["draft"] == form
    wrong = await stage.worker.api("PUT", f"/assignments/{assignment}/draft", json={"form": [1]})
    assert wrong.status_code == 400


async def test_a_wrong_answer_is_told_by_pointer(stage: Stage) -> None:
    assignment = await taken(stage)
    output = GOOD | {"severity": "huge", "summary": "short"}
    answer = await stage.worker.api("POST", f"/assignments/{assignment}/answer", json={"output": output})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:hub:problem:answer_invalid"
    assert {error["field"] for error in problem["errors"]} == {"/severity", "/summary"}


async def test_the_same_answer_twice_is_one_and_another_a_conflict(stage: Stage) -> None:
    assignment = await taken(stage)
    path = f"/assignments/{assignment}/answer"
    first = await stage.worker.api("POST", path, json={"output": GOOD})
    again = await stage.worker.api("POST", path, json={"output": GOOD})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    other = await stage.worker.api("POST", path, json={"output": GOOD | {"severity": "major"}})
    assert other.status_code == 409


async def test_history_says_what_was_decided_why_and_what_became_of_the_money(stage: Stage) -> None:
    right, wrong = await taken(stage), await taken(stage)
    bad = GOOD | {"severity": "critical"}  # the rules of the type: critical is not just watched
    await stage.worker.api("POST", f"/assignments/{right}/answer", json={"output": GOOD})
    await stage.worker.api("POST", f"/assignments/{wrong}/answer", json={"output": bad})
    await stage.hub.drain()
    listed = (await stage.worker.api("GET", "/history")).json()
    by_id = {one["id"]: one for one in listed["data"]}
    assert (by_id[right]["state"], by_id[right]["outcome"]) == ("counted", "Accepted")
    assert by_id[right]["payout"]["words"] == "waits for your payout address"
    assert by_id[right]["payout"]["sats"] == 1000
    assert (by_id[wrong]["state"], by_id[wrong]["payout"]) == ("refused", None)
    assert "A critical incident cannot just be watched." in by_id[wrong]["why"]
    me = (await stage.worker.api("GET", "/me")).json()
    assert (me["paidSats"], me["owedSats"], me["load"], me["testMoney"]) == (0, 1000, 0, True)


async def test_history_by_pages(stage: Stage) -> None:
    ids: list[str] = []
    for _ in range(3):
        ids.append(await stage.assignment(await stage.offer()))
        await stage.worker.api("POST", f"/assignments/{ids[-1]}/decline")
    first = (await stage.worker.api("GET", "/history?limit=2")).json()
    assert [one["id"] for one in first["data"]] == [ids[2], ids[1]]
    rest = (await stage.worker.api("GET", f"/history?limit=2&cursor={first['nextCursor']}")).json()
    assert [one["id"] for one in rest["data"]] == [ids[0]]
    assert (rest["hasMore"], rest["nextCursor"]) == (False, None)
    assert (await stage.worker.api("GET", "/history?limit=0")).status_code == 400


async def test_settings(stage: Stage) -> None:
    paused = await stage.worker.api("POST", "/me/availability", json={"available": False})
    assert paused.json()["available"] is False
    missing = await stage.worker.api("POST", "/me/availability", json={})
    assert missing.status_code == 400
    saved = await stage.worker.api("PUT", "/me/payout-address", json={"payoutAddress": "Ana@Wallet.Example"})
    assert saved.json()["payoutAddress"] == "ana@wallet.example"
    wrong = await stage.worker.api("PUT", "/me/payout-address", json={"payoutAddress": "nowhere"})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["field"] == "payoutAddress"
    taken_away = await stage.worker.api("PUT", "/me/payout-address", json={"payoutAddress": None})
    assert taken_away.json()["payoutAddress"] is None


async def test_strangers_bodies_are_400_never_500(stage: Stage) -> None:
    assignment = await taken(stage)
    path = f"/assignments/{assignment}/answer"
    for content in (
        b"",
        b"[]",
        b"{",
        b'{"output": "\\u0000"}',
        b'{"output":' + b"[" * 200 + b"]" * 200 + b"}",
    ):
        answer = await stage.worker.api(
            "POST", path, content=content, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 400, content[:20]


async def test_what_was_said_since_is_read_beside_the_question(stage: Stage) -> None:
    task_id = await stage.offer(connector="acme", ticket_id="T1", escalation_key="K1")
    assignment = await stage.assignment(task_id)
    await stage.worker.api("POST", f"/assignments/{assignment}/accept")
    await said(stage, task_id, ("Ann", "first"), (None, "second <b>\nline"))

    task = (await stage.worker.api("GET", f"/assignments/{assignment}")).json()

    assert [(one["author"], one["text"]) for one in task["messages"]] == [
        ("Ann", "first"),
        (None, "second <b>\nline"),
    ]
    assert abs(_ms(task["messages"][0]["at"]) - clock.now_ms()) < 60_000


async def test_a_task_that_no_connector_made_has_no_messages(stage: Stage) -> None:
    assignment = await taken(stage)

    assert (await stage.worker.api("GET", f"/assignments/{assignment}")).json()["messages"] == []
