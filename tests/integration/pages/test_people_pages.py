"""The pages about people, as HTML: sign-up, the worker's account, queue and appeal, and the operator's people and lists; and
the operator's API for the lists."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import httpx
import msgspec
from sqlalchemy import select, update

from core.access.tables import Invitation
from core.workers import suspensions
from core.workers.tables import Suspension, Worker, WorkerAppeal
from hub.services import Services
from tests.integration.api.conftest import WebSettings, serving
from tests.integration.pages.conftest import HTML, Stage, client_for, words


async def test_sign_up_is_open_where_the_file_says_so_and_the_same_to_everybody(services: Services) -> None:
    async with serving(services) as closed, client_for(closed) as http:
        assert (await http.get("/join", headers=HTML)).status_code == 404
    opened = dataclasses.replace(services, settings=WebSettings(sign_up_open=True, asks_per_minute=3))
    async with serving(opened) as app, client_for(app, headers=HTML) as http:
        assert "Ask for an invitation" in words((await http.get("/join")).text)
        wrong = await http.post("/join", data={"email": "nobody"})
        assert wrong.status_code == 422
        assert 'aria-invalid="true"' in wrong.text
        said = {words((await http.post("/join", data={"email": "nina@example.test"})).text) for _ in range(2)}
        assert len(said) == 1  # whether the address is known is told to nobody
        assert (await http.post("/join", data={"email": "x@example.test"})).status_code == 429
        other = await http.post(
            "/join", data={"email": "x@example.test"}, headers={"Origin": "http://evil.test"}
        )
        assert other.status_code == 403
    async with services.work.read() as session:
        assert list(await session.scalars(select(Invitation.email))) == ["nina@example.test"]


async def test_the_account_is_saved_whole_or_shown_with_its_faults(stage: Stage) -> None:
    page = words((await stage.worker.http.get("/worker/me")).text)
    assert "From tier 2 on you can have questions assigned without accepting each." in page
    assert "Everybody begins here. You may have questions of low and medium risk." in page
    assert (
        "1 known Has shown the basics. Questions of low and medium risk. A lower bound of 65 % right answers; "
        "10 answers to questions whose answer is known A lower bound under 60 %, from 10 judged answers on; or a sudden "
        "run of wrong answers" in page
    )
    form = {"timezone": "Europe/Berlin", "mon_from": "09:00", "mon_to": "17:00", "languages": "de, en"}
    form |= {"price_floor": "21", "capacity": "4"}
    for wrong, told in (
        ({"timezone": "Mars/One"}, "Write a name such as Europe/Berlin or UTC"),
        ({"capacity": "1000"}, "Must be 0 to 100"),
        ({"price_floor": "-1"}, "Write a whole number"),
        ({"auto_assign": "yes"}, "It is open from tier 2 on; yours is 0"),
    ):
        answer = await stage.worker.post("/worker/me", **(form | wrong))
        assert (answer.status_code, told in words(answer.text)) == (422, True)
    assert (await stage.hub.worker(stage.worker.id)).capacity == 3
    async with stage.services.work.begin("test.tier") as tx:
        await tx.session.execute(update(Worker).values(tier=3))
    saved = await stage.worker.post("/worker/me", **form, auto_assign="yes")
    assert (saved.status_code, saved.headers["location"]) == (303, "/worker/me?notice=saved")
    worker = await stage.hub.worker(stage.worker.id)
    assert (worker.capacity, worker.price_floor_msat, worker.languages) == (4, 21_000, ["de", "en"])
    assert worker.auto_assign
    assert 'name="auto_assign" value="yes" checked' in (await stage.worker.http.get("/worker/me")).text
    assert (await stage.worker.http.get("/worker/earnings.csv")).text == "month,answers_paid,sats\r\n"
    assert (await stage.operator.http.get("/worker/me", headers=HTML)).status_code == 403


async def test_hours_of_the_night_and_two_a_day_survive_the_form(stage: Stage) -> None:
    hours = [
        {"day": "mon", "from": "09:00", "to": "12:00"},
        {"day": "mon", "from": "22:00", "to": "02:00"},
        {"day": "tue", "from": "13:00", "to": "17:00"},
        {"day": "sun", "from": "20:00", "to": "24:00"},
    ]
    before = (await stage.worker.api("PATCH", "/me/settings", json={"hours": hours})).json()["hours"]
    assert len(before) == 5  # as the API tells them: day by day
    page = (await stage.worker.http.get("/worker/me")).text
    inputs = re.findall(r'<input type="time" name="([a-z]{3}_(?:from|to))" value="([0-9:]*)">', page)
    shown = {name: [value for other, value in inputs if other == name] for name, _ in inputs}
    assert (shown["mon_from"], shown["mon_to"]) == (["09:00", "22:00", ""], ["12:00", "02:00", ""])
    assert (shown["sun_from"], shown["sun_to"]) == (["20:00", ""], ["00:00", ""])
    form = {"timezone": "UTC", "languages": "en", "price_floor": "0", "capacity": "3"}
    saved = await stage.worker.post("/worker/me", **form, **shown)
    assert saved.status_code == 303
    assert (await stage.worker.api("GET", "/me/settings")).json()["hours"] == before
    wrong = await stage.worker.post("/worker/me", **form, mon_from=["09:00"], mon_to=[""])
    assert (wrong.status_code, "'' is no time of day; write 09:00" in words(wrong.text)) == (422, True)


async def test_an_operator_invites_with_skills_that_there_can_be(stage: Stage) -> None:
    for fields in (
        {"email": "new@example.test", "skills": "general, Bad Skill!"},
        {"email": "new@", "skills": ""},
    ):
        assert (await stage.operator.post("/operator/people/invite", **fields)).status_code == 422
    made = await stage.operator.post(
        "/operator/people/invite", email="new@example.test", skills="law general"
    )
    [link] = re.findall(r"/join/[^<]+", made.text)
    form = words((await stage.worker.http.get(link, headers=HTML)).text)
    assert "You start with: general, law." in form
    assert "0 new Everybody begins here. Questions of low and medium risk. Everybody" in form
    assert "You can appeal against every step down; somebody else decides within 72 hours." in form
    async with stage.services.work.read() as session:
        assert list(await session.scalars(select(Invitation.skills))) == [["general", "law"]]


async def test_the_queue_is_looked_through_and_taken_from(stage: Stage) -> None:
    await stage.worker.post("/worker/availability", available="no")
    task_id = await stage.offer()
    page = (await stage.worker.http.get("/worker/queue")).text
    assert f'action="/worker/queue/{task_id}/take"' in page
    paused = await stage.worker.post(f"/worker/queue/{task_id}/take")
    assert paused.headers["location"] == "/worker/queue?notice=not_for_you"
    await stage.worker.post("/worker/availability", available="yes")
    taken = await stage.worker.post(f"/worker/queue/{task_id}/take")
    assert taken.headers["location"] == f"/worker/assignments/{await stage.assignment(task_id)}"
    gone = await stage.worker.http.get("/worker/queue?notice=task_gone")
    assert "Somebody was faster" in words(gone.text)
    assert (await stage.worker.http.get("/worker/queue?after=x", headers=HTML)).status_code == 422


async def test_suspended_heard_by_another_operator_and_back(stage: Stage) -> None:
    person = f"/operator/people/{stage.worker.id}"
    turn = await stage.assignment(await stage.offer())
    bare = await stage.operator.post(person, do="suspend", text="")
    assert (bare.status_code, "the other side reads it" in words(bare.text)) == (422, True)
    assert (await stage.operator.post(person, do="suspend", text="Two accounts")).status_code == 303
    listed = words((await stage.operator.http.get("/operator/people?environment=test")).text)
    assert "suspended Two accounts" in listed
    assert (await stage.worker.post("/worker/availability", available="yes")).headers[
        "location"
    ] == "/worker/me"
    accepted = await stage.worker.post(f"/worker/assignments/{turn}/accept")
    assert accepted.headers["location"] == "/worker/me"
    mine = words((await stage.worker.http.get("/worker/me")).text)
    assert "Your account is suspended" in mine
    assert "Two accounts" in mine
    assert "What you have earned is paid all the same." in mine
    async with stage.services.work.read() as session:
        subject = (await session.scalars(select(Suspension.id))).one()
    empty = await stage.worker.post("/worker/appeal", about="suspension", subject=subject, text="")
    assert empty.status_code == 422
    said = await stage.worker.post(
        "/worker/appeal", about="suspension", subject=subject, text="My brother <b>"
    )
    assert said.headers["location"] == "/worker/me?notice=appealed"
    page = (await stage.operator.http.get("/operator/people")).text
    assert "My brother &lt;b&gt;" in page
    assert "another operator decides" in words(page)
    async with stage.services.work.read() as session:
        appeal_id = (await session.scalars(select(WorkerAppeal.id))).one()
    own = await stage.operator.post(f"/operator/people/appeals/{appeal_id}", verdict="grant", answer="Right")
    assert (own.status_code, "Another operator" in words(own.text)) == (422, True)
    async with stage.services.work.begin("test.other") as tx:
        await suspensions.decide(
            tx, appeal_id, grant=True, answer="You are right", actor="person:two", trust=stage.services.trust
        )
    assert "suspended" not in words((await stage.operator.http.get("/operator/people?environment=test")).text)


async def test_experts_and_clusters_are_marked_by_an_operator(stage: Stage) -> None:
    person = f"/operator/people/{stage.worker.id}"
    for do, text, status in (
        ("expert", "yes", 303), ("expert", "maybe", 422), ("cluster", "same-phone", 303), ("cluster", "a b", 422),
    ):  # fmt: skip
        assert (await stage.operator.post(person, do=do, text=text)).status_code == status
    worker = await stage.hub.worker(stage.worker.id)
    assert (worker.expert, worker.cluster_id) == (True, "same-phone")
    shown = words((await stage.operator.http.get("/operator/people?environment=test")).text)
    assert "expert cluster same-phone" in shown
    assert (await stage.worker.post(person, do="expert", text="yes")).status_code == 403
    await stage.operator.post(person, do="cluster", text="")
    assert (await stage.hub.worker(stage.worker.id)).cluster_id is None


async def test_an_organisations_lists_by_page(stage: Stage) -> None:
    home = f"/operator/organisations/{stage.organisation}/people"
    assert "Nobody: everybody who fits" in words((await stage.operator.http.get(home)).text)
    for fields, told in (
        ({"who": "eve@example.test", "word": "block"}, "There is no person with the address"),
        ({"who": "per_none", "word": "block"}, "There is no such worker"),
        ({"who": stage.worker.id, "word": "love"}, "The word is allow or block"),
        ({"who": stage.worker.id, "word": "block", "reason": "x" * 501}, "at most 500 characters"),
        ({"who": stage.worker.id, "word": "block", "reason": "a\0b"}, "none of them U+0000"),
    ):
        answer = await stage.operator.post(home, **fields)
        assert (answer.status_code, told in words(answer.text)) == (422, True)
    said = await stage.operator.post(home, who="Ana@example.test", word="block", reason="rude <i>")
    assert (said.status_code, said.headers["location"]) == (303, home)
    page = await stage.operator.http.get(home)
    assert "rude &lt;i&gt;" in page.text
    task_id = await stage.offer()
    assert await stage.hub.assignments(task_id) == []  # Ana is the only one who is there
    assert (await stage.operator.post(f"{home}/{stage.worker.id}/forget")).status_code == 303
    await stage.hub.drain()
    assert [one.worker_id for one in await stage.hub.assignments(task_id)] == [stage.worker.id]
    assert (await stage.operator.post(f"{home}/{stage.worker.id}/forget")).status_code == 422
    assert (await stage.worker.post(home, who=stage.worker.id, word="block")).status_code == 403
    assert (
        await stage.operator.http.get("/operator/organisations/org_none/people", headers=HTML)
    ).status_code == 404


async def test_an_organisations_lists_and_marks_by_api(stage: Stage) -> None:
    people = f"/organisations/{stage.organisation}/people"

    async def said(method: str, path: str, status: int, who: Any = stage.operator, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {who.token}"}
        async with client_for(stage.worker.app, headers=headers) as http:
            answer: httpx.Response = await http.request(method, f"/operator/api{path}", **options)
        assert answer.status_code == status, answer.text
        return msgspec.json.decode(answer.content) if answer.content else None

    ana, vic = stage.worker.id, stage.other.id
    for one, word in ((ana, "allow"), (vic, "block")):
        put = await said("PUT", f"{people}/{one}", 200, json={"word": word, "reason": "r"})
        assert (put["workerId"], put["word"]) == (one, word)
    first = await said("GET", f"{people}?limit=1", 200)
    rest = await said("GET", f"{people}?limit=1&cursor={first['nextCursor']}", 200)
    found = {one["workerId"]: one["word"] for one in first["data"] + rest["data"]}
    assert (found, rest["hasMore"]) == ({ana: "allow", vic: "block"}, False)
    wrong = await said("PUT", f"{people}/{ana}", 400, json={"word": "love"})
    assert wrong["errors"][0]["field"] == "word"
    assert (await said("PUT", f"{people}/per_none", 404, json={"word": "block"}))["title"] == "Not Found"
    await said("DELETE", f"{people}/{vic}", 204)
    assert (await said("DELETE", f"{people}/{vic}", 409))["type"] == "urn:hub:problem:not_listed"
    marked = await said("PATCH", f"/workers/{ana}", 200, json={"expert": True, "cluster": "home"})
    assert (marked["expert"], marked["cluster"]) == (True, "home")
    assert (await said("PATCH", f"/workers/{ana}", 200, json={"cluster": None}))["cluster"] is None
    bad = await said("PATCH", f"/workers/{ana}", 422, json={"cluster": "A B"})
    assert bad["errors"][0]["field"] == "cluster"
    assert (await said("PATCH", f"/workers/{ana}", 400, json={"tier": 4}))["errors"][0]["field"] == "tier"
    for method, path in (("GET", people), ("PUT", f"{people}/{ana}"), ("PATCH", f"/workers/{ana}")):
        await said(method, path, 403, stage.worker, json={"word": "allow"})
    assert (
        await stage.operator.http.get(f"/operator/api{people}")
    ).status_code == 401  # a cookie is not taken
    opened = await said("POST", "/sign-in", 200, json={"token": stage.operator.link})
    assert opened["token"]
    await said("POST", "/sign-in", 403, json={"token": stage.worker.link})
