"""A worker's account, queue and quizzes through the API, as a client of theirs uses it; the pages are in
`test_people_pages.py`."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from core import clock
from core.tasks.model import Environment
from core.workers import suspensions
from core.workers.quizzes import Quizzes
from core.workers.tables import Worker
from hub import config_files
from hub.services import PeopleFiles, Services
from tests.integration.api.conftest import CONFIG
from tests.integration.pages.conftest import Stage, words


@pytest.fixture
def services(services: Services) -> Services:
    """With the quizzes that are shipped."""
    shipped = config_files.people(CONFIG)
    general = [one for one in shipped.quizzes if one.skill in ("general", "data_entry")]
    return dataclasses.replace(services, people=PeopleFiles(trust=shipped.trust, quizzes=Quizzes(general)))


async def _said(stage: Stage, method: str, path: str, status: int = 200, **options: Any) -> Any:
    answer = await stage.worker.api(method, path, **options)
    assert answer.status_code == status, answer.text
    return answer.json()


def _errors(problem: Any) -> dict[str, str]:
    return {one["field"]: one["detail"] for one in problem["errors"]}


async def test_the_queue_in_pages_taking_more_time_and_giving_back(stage: Stage) -> None:
    await _said(stage, "POST", "/me/availability", json={"available": False})
    tasks = [await stage.offer(age=30 - n) for n in range(3)]  # nobody takes offers: they wait
    first = await _said(stage, "GET", "/queue?limit=2")
    assert [one["taskId"] for one in first["data"]] == tasks[:2]
    assert first["data"][0]["title"] == "Triage an incident"
    assert first["data"][0]["pay"]["sats"] == 1000
    rest = await _said(stage, "GET", f"/queue?limit=2&cursor={first['nextCursor']}")
    assert ([one["taskId"] for one in rest["data"]], rest["hasMore"]) == (tasks[2:], False)
    wrong = await _said(stage, "GET", "/queue?cursor=x", 422)
    assert _errors(wrong) == {"cursor": "Use `nextCursor` of a page"}
    paused = await _said(stage, "POST", f"/queue/{tasks[0]}/take", 409)
    assert paused["detail"] == "You are paused, suspended or outside of your hours: switch offers on first"
    await _said(stage, "POST", "/me/availability", json={"available": True})
    turn = await _said(stage, "POST", f"/queue/{tasks[0]}/take")
    assert turn["state"] == "accepted"
    assert await _said(stage, "POST", f"/queue/{tasks[0]}/take") == turn  # twice is once
    again = await stage.other.api("POST", f"/queue/{tasks[0]}/take")
    assert (again.status_code, again.json()["type"]) == (409, "urn:hub:problem:task_gone")
    assert (await stage.worker.api("POST", "/queue/nothing/take")).status_code == 404
    due = (await _said(stage, "GET", f"/assignments/{turn['id']}"))["deadline"]
    later = await _said(stage, "POST", f"/assignments/{turn['id']}/extend")
    assert later["dueAt"] > due
    assert (await _said(stage, "POST", f"/assignments/{turn['id']}/extend"))["dueAt"] == later["dueAt"]
    assert (await stage.other.api("POST", f"/assignments/{turn['id']}/extend")).status_code == 404
    assert (await _said(stage, "POST", f"/assignments/{turn['id']}/release"))["state"] == "released"
    over = await _said(stage, "POST", f"/assignments/{turn['id']}/extend", 409)
    assert over["detail"] == "This task is no longer in your hands"


async def test_a_quiz_is_begun_answered_once_and_its_skill_held(stage: Stage) -> None:
    quiz = stage.services.people.quizzes.get("data_entry")
    listed = {one["skill"]: one for one in (await _said(stage, "GET", "/quizzes"))["data"]}
    assert (listed["general"]["held"], listed["general"]["mayBegin"]) == (True, False)
    assert (listed["incident_triage"]["quiz"], listed["incident_triage"]["held"]) == (False, True)
    assert (listed["data_entry"]["mayBegin"], listed["data_entry"]["triesLeft"]) == (True, quiz.tries)
    attempt = await _said(stage, "POST", "/quizzes/data_entry/begin")
    assert (attempt["state"], len(attempt["questions"]), attempt["right"]) == ("open", quiz.draw, None)
    assert await _said(stage, "GET", "/quizzes/data_entry") | {"serverTime": ""} == listed["data_entry"] | {
        "open": attempt["id"],
        "mayBegin": False,
        "serverTime": "",
    }
    name = attempt["questions"][0]["id"]
    body: dict[str, Any] = {"attempt": attempt["id"], "answers": {name: 99}}
    wrong = await _said(stage, "POST", "/quizzes/data_entry/answers", 422, json=body)
    assert _errors(wrong) == {name: "Choose one that is shown"}
    missing = await _said(stage, "POST", "/quizzes/data_entry/answers", 400, json={"answers": {}})
    assert _errors(missing) == {"attempt": "Field is required"}
    right = {one.id: one.right for one in quiz.questions}
    body["answers"] = {one["id"]: one["options"].index(right[one["id"]]) for one in attempt["questions"]}
    ended = await _said(stage, "POST", "/quizzes/data_entry/answers", json=body)
    assert (ended["state"], ended["right"], ended["questions"]) == ("passed", quiz.draw, [])
    again = await _said(stage, "POST", "/quizzes/data_entry/answers", json=body | {"answers": {}})
    assert (again["state"], again["right"]) == ("passed", quiz.draw)
    assert (await _said(stage, "GET", "/quizzes/data_entry"))["held"]
    held = await _said(stage, "POST", "/quizzes/data_entry/begin", 409)
    assert held["type"] == "urn:hub:problem:skill_held"
    assert (await stage.worker.api("POST", "/quizzes/nothing/begin")).status_code == 404


async def test_a_failed_quiz_says_when_the_next_try_is_open(stage: Stage) -> None:
    attempt = await _said(stage, "POST", "/quizzes/data_entry/begin")
    body: dict[str, Any] = {"attempt": attempt["id"], "answers": {}}
    assert (await _said(stage, "POST", "/quizzes/data_entry/answers", json=body))["state"] == "failed"
    shown = await _said(stage, "GET", "/quizzes/data_entry")
    assert (shown["last"]["state"], shown["last"]["right"], shown["mayBegin"]) == ("failed", 0, False)
    wait = await _said(stage, "POST", "/quizzes/data_entry/begin", 409)
    assert wait["detail"] == f"The next try is open from {shown['nextTryAt']} on"


async def test_settings_change_together_or_not_at_all_and_name_what_is_wrong(stage: Stage) -> None:
    hours = [{"day": "mon", "from": "09:00", "to": "17:00"}, {"day": "sun", "from": "00:00", "to": "24:00"}]
    wanted: dict[str, Any] = {"timezone": "Europe/Berlin", "hours": hours, "languages": ["DE", "en"]}
    wanted |= {"priceFloorSats": 21, "capacity": 5}
    changed = await _said(stage, "PATCH", "/me/settings", json=wanted)
    assert {name: changed[name] for name in wanted} == wanted | {"languages": ["de", "en"]}
    assert (changed["autoAssign"], changed["mayAutoAssign"]) == (False, False)
    for body, status, told in (
        ({"nope": 1}, 400, {"nope"}),
        ({"capacity": "many", "languages": "de"}, 400, {"capacity", "languages"}),
        ({"capacity": 101, "languages": ["fr"]}, 422, {"capacity"}),
        ({"priceFloorSats": -1}, 400, {"priceFloorSats"}),
        ({"languages": ["fr"], "timezone": "Mars/One"}, 422, {"timezone"}),
        ({"hours": [{"day": "mon", "from": "9", "to": "17:00"}]}, 422, {"hours[0]"}),
        ({"languages": ["not a language"]}, 422, {"languages"}),
    ):
        problem = await _said(stage, "PATCH", "/me/settings", status, json=body)
        assert set(_errors(problem)) == told
    assert await _said(stage, "GET", "/me/settings") == changed
    low = await _said(stage, "PATCH", "/me/settings", 409, json={"capacity": 2, "autoAssign": True})
    assert low["detail"] == "It is open from tier 2 on; yours is 0"
    assert await _said(stage, "GET", "/me/settings") == changed
    async with stage.services.work.begin("test.tier") as tx:
        await tx.session.execute(update(Worker).values(tier=2))
    switched = await _said(stage, "PATCH", "/me/settings", json={"autoAssign": True, "hours": []})
    assert (switched["autoAssign"], switched["hours"], switched["timezone"]) == (True, [], "Europe/Berlin")


async def test_standing_earnings_and_the_rules_of_the_tiers(stage: Stage) -> None:
    stands = await _said(stage, "GET", "/me/standing")
    assert (stands["tier"], stands["name"], stands["reliability"], stands["records"]) == (0, "new", 0.9, [])
    assert stands["missing"][0] == "10 questions whose answer is known; there are 0."
    tiers = (await _said(stage, "GET", "/tiers"))["data"]
    assert [(one["tier"], one["autoAssign"]) for one in tiers] == [
        (0, False), (1, False), (2, True), (3, True), (4, True),
    ]  # fmt: skip
    assert tiers[1]["enter"]["gold"] == 10
    assert (tiers[2]["risks"], tiers[2]["may"]) == (
        ["low", "medium", "high"],
        ["questions of low, medium and high risk", "questions assigned without accepting each, if they wish"],
    )
    assert tiers[1]["comesIn"] == [
        "a lower bound of 65 % right answers", "10 answers to questions whose answer is known",
    ]  # fmt: skip
    assert "Up one tier at a time, at most one in 24 hours." in (await _said(stage, "GET", "/tiers"))["rules"]
    assert await _said(stage, "GET", "/me/earnings") == {
        "months": [], "paidSats": 0, "onItsWaySats": 0, "owedSats": 0,
    }  # fmt: skip


async def test_a_suspended_worker_reads_why_appeals_once_and_is_still_owed_what_was_earned(
    stage: Stage,
) -> None:
    turn = await stage.assignment(await stage.offer())
    await _said(stage, "POST", f"/assignments/{turn}/accept")
    await _said(stage, "PUT", "/me/payout-address", json={"payoutAddress": "ana@sandbox.test"})
    async with stage.services.work.begin("operator.worker") as tx:
        row = await suspensions.suspend(tx, stage.worker.id, "Two accounts", actor="person:op")
    output = {"severity": "minor", "action": "watch", "summary": "The error rate is falling since."}
    await _said(stage, "POST", f"/assignments/{turn}/answer", 201, json={"output": output})
    await stage.hub.drain()
    earned = await _said(stage, "GET", "/me/earnings")
    assert earned["owedSats"] + earned["onItsWaySats"] == 1000  # verified and reserved, suspended or not
    waiting = await stage.offer()
    assert (await _said(stage, "GET", "/offers"))["data"] == []
    assert (await stage.worker.api("POST", f"/queue/{waiting}/take")).status_code == 409
    assert (await _said(stage, "POST", "/me/availability", 409, json={"available": True}))[
        "detail"
    ].startswith("Your account is suspended")
    told = await _said(stage, "GET", "/me/suspensions")
    assert (told["suspended"], told["data"][0]["reason"], told["data"][0]["appeal"]) == (
        True,
        "Two accounts",
        None,
    )
    body = {"about": "suspension", "subject": row.id, "text": " "}
    assert "text" in _errors(await _said(stage, "POST", "/me/appeals", 422, json=body))
    body["text"] = "My brother lives here too"
    made = await _said(stage, "POST", "/me/appeals", 201, json=body)
    assert (made["state"], made["text"]) == ("open", "My brother lives here too")
    assert (await _said(stage, "POST", "/me/appeals", 409, json=body))["type"] == "urn:hub:problem:appealed"
    assert (await stage.other.api("POST", "/me/appeals", json=body)).status_code == 404
    assert "about" in _errors(await _said(stage, "POST", "/me/appeals", 400, json=body | {"about": "me"}))
    assert (await _said(stage, "GET", "/me/suspensions"))["data"][0]["appeal"] == made


async def test_one_refusal_too_many_is_told_where_it_is_made(stage: Stage) -> None:
    told: list[Any] = []
    for _ in range(3):
        turn = await stage.assignment(await stage.offer())
        told.append(await _said(stage, "POST", f"/assignments/{turn}/decline"))
    assert [one.get("paused", False) for one in told] == [False, False, True]
    settings = await _said(stage, "GET", "/me/settings")
    assert (settings["available"], settings["pausedBecause"]) == (False, "declined_in_a_row")
    assert (await _said(stage, "GET", "/me"))["off"] == {"why": "declined_in_a_row", "until": None}
    assert (await _said(stage, "POST", "/me/availability", json={"available": True}))["available"]


async def test_why_no_offers_come_is_told_on_the_page_and_by_the_api(stage: Stage) -> None:
    async def told() -> tuple[str | None, bool, str]:
        off = (await _said(stage, "GET", "/me"))["off"]
        page = words((await stage.worker.http.get("/worker")).text)
        return (None, False, page) if off is None else (off["why"], off["until"] is not None, page)

    assert (await told())[:2] == (None, False)
    day = (clock.now() + timedelta(days=2)).strftime("%a").lower()
    hours = [{"day": day, "from": "09:00", "to": "10:00"}]
    await _said(stage, "PATCH", "/me/settings", json={"hours": hours})
    why, until, page = await told()
    assert (why, until) == ("hours", True)
    assert page.count("You are outside of your hours; offers come again from ") == 2
    assert "09:00 UTC on. Change your hours" in page
    assert "Get offers" not in page  # it would change nothing
    await _said(stage, "POST", "/me/availability", json={"available": False})
    why, _, page = await told()
    assert (why, "Your offers are switched off." in page, "Get offers" in page) == ("paused", True, True)
    async with stage.services.work.begin("operator.worker") as tx:
        await suspensions.suspend(tx, stage.worker.id, "Two accounts", actor="person:op")
    why, _, page = await told()
    assert (why, "Your account is suspended: why, and how to appeal" in page) == ("suspended", True)
    assert "Get offers" not in page


async def test_a_changed_payout_address_waits_whichever_way_it_is_changed(stage: Stage) -> None:
    async with stage.services.work.begin("test.live") as tx:
        await tx.session.execute(update(Worker).values(environment=str(Environment.LIVE)))
    for address in ("ana@sandbox.test", "thief@sandbox.test"):
        await _said(stage, "PUT", "/me/payout-address", json={"payoutAddress": address})
        worker = await stage.hub.worker(stage.worker.id)
        assert worker.payout_address == address
        usable = worker.payout_address_usable_at
        assert usable is not None
        hours = (usable - worker.idle_since).total_seconds() / 3600
        assert hours == pytest.approx(0 if address.startswith("ana") else 24, abs=0.1)
