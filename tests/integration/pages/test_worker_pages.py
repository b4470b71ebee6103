"""The worker's pages as a browser without JavaScript uses them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.integration.pages.conftest import HTML, ORIGIN, Stage, said, words


async def test_signing_in_takes_a_press_of_the_button(stage: Stage) -> None:
    stage.worker.http.cookies.clear()
    path = f"/sign-in/{stage.worker.link}"
    for _ in range(3):  # a mail scanner follows the link as often as it likes
        shown = await stage.worker.http.get(path)
        assert shown.status_code == 200
        assert "set-cookie" not in shown.headers
    used = await stage.worker.http.post(path, headers=ORIGIN)
    assert (used.status_code, used.headers["location"]) == (303, "/worker")
    assert "HttpOnly" in used.headers["set-cookie"]
    again = await stage.worker.http.post(path, headers=ORIGIN)
    assert again.status_code == 401
    assert "no longer valid" in words(again.text)


async def test_home_shows_offers_in_sats_and_dollars(stage: Stage) -> None:
    await stage.offer(payout_currency="USD", payout_amount=Decimal("1.00"))
    page = await stage.worker.http.get("/worker")
    assert page.status_code == 200
    text = words(page.text)
    assert "TEST MONEY" in text
    assert "Triage an incident 1,000 sats $1.00" in text
    assert "Answer this offer: less than a minute left" in text
    assert '<html lang="en">' in page.text
    assert 'href="#main"' in page.text


async def test_security_headers_are_on_every_page(stage: Stage) -> None:
    await stage.offer()
    for who, path in (
        (stage.worker, "/worker"),
        (stage.worker, "/worker/history"),
        (stage.worker, "/sign-in"),
        (stage.operator, "/operator"),
        (stage.operator, "/operator/money"),
    ):
        page = await who.http.get(path)
        assert page.status_code == 200, path
        policy = page.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["cache-control"] == "no-store"
        assert "style=" not in page.text
        assert "onclick" not in page.text


async def test_accept_opens_the_task_and_nothing_is_preselected(stage: Stage) -> None:
    task_id = await stage.offer(payload={"customer_message": "<script>alert(1)</script>", "n": [1, None]})
    assignment = await stage.assignment(task_id)
    offer = words((await stage.worker.http.get(f"/worker/assignments/{assignment}")).text)
    assert "If you are late, the task is offered to others. Until " in offer
    assert (
        "your answer still counts, and is paid in full if it is the first that passes. Giving it back"
        in offer
    )
    taken = await stage.worker.post(f"/worker/assignments/{assignment}/accept")
    assert (taken.status_code, taken.headers["location"]) == (303, f"/worker/assignments/{assignment}")
    page = await stage.worker.http.get(f"/worker/assignments/{assignment}")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "Customer message" in words(page.text)
    assert " checked" not in page.text
    assert " selected" not in page.text


async def test_metadata_is_never_shown(stage: Stage) -> None:
    task_id = await stage.offer(task_metadata={"internal": "customer-is-vip"})
    assignment = await stage.assignment(task_id)
    await stage.worker.post(f"/worker/assignments/{assignment}/accept")
    page = await stage.worker.http.get(f"/worker/assignments/{assignment}")
    assert "customer-is-vip" not in page.text
    answer = await stage.worker.api("GET", f"/assignments/{assignment}")
    assert answer.status_code == 200
    assert "customer-is-vip" not in answer.text


async def test_a_draft_is_kept_and_restored(stage: Stage) -> None:
    task_id = await stage.offer()
    assignment = await stage.assignment(task_id)
    path = f"/worker/assignments/{assignment}"
    await stage.worker.post(f"{path}/accept")
    saved = await stage.worker.http.post(
        f"{path}/draft",
        data={"_csrf_token": stage.worker.csrf, "/summary": "half a thought"},
        headers=ORIGIN | {"Accept": "application/json"},
    )
    assert saved.status_code == 204
    page = await stage.worker.http.get(path)
    assert "half a thought" in page.text
    assert stage.worker.csrf not in str((await stage.worker.api("GET", f"/assignments/{assignment}")).json())
    pressed = await stage.worker.post(f"{path}/draft", **{"/summary": "a whole thought"})
    assert (pressed.status_code, pressed.headers["location"]) == (303, f"{path}#answer")


async def test_faults_are_shown_at_their_fields_and_nothing_typed_is_lost(stage: Stage) -> None:
    task_id = await stage.offer()
    assignment = await stage.assignment(task_id)
    path = f"/worker/assignments/{assignment}"
    await stage.worker.post(f"{path}/accept")
    page = await stage.worker.post(path, **{"/summary": "too short"})
    assert page.status_code == 422
    text = words(page.text)
    assert "3 answers need another look" in text
    assert 'aria-invalid="true"' in page.text
    assert "too short" in page.text


LINES = {
    "type": "object",
    "required": ["lines"],
    "properties": {
        "lines": {
            "title": "Lines",
            "type": "array",
            "minItems": 1,
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        }
    },
}


async def test_rows_are_added_and_taken_away_by_buttons(stage: Stage) -> None:
    assignment = await stage.assignment(await stage.offer("question", output_schema=LINES))
    path = f"/worker/assignments/{assignment}"
    await stage.worker.post(f"{path}/accept")
    first = {"_rows:/lines": "1", "/lines/0/name": "one"}
    added = await stage.worker.post(path, **first, **{"_add:/lines": "1"})
    assert (added.status_code, added.headers["location"]) == (303, f"{path}#answer")
    page = (await stage.worker.http.get(path)).text
    assert 'value="one"' in page
    assert 'name="/lines/1/name"' in page
    both = {"_rows:/lines": "2", "/lines/0/name": "one", "/lines/1/name": "two"}
    await stage.worker.post(path, **both, **{"_remove:/lines/0": "1"})
    page = (await stage.worker.http.get(path)).text
    assert 'value="two"' in page
    assert 'value="one"' not in page
    assert 'name="/lines/1/name"' not in page


async def test_a_good_answer_is_thanked_for(stage: Stage) -> None:
    task_id = await stage.offer(
        output_schema={"type": "object", "required": ["why"], "properties": {"why": {"type": "string"}}}
    )
    assignment = await stage.assignment(task_id)
    path = f"/worker/assignments/{assignment}"
    await stage.worker.post(f"{path}/accept")
    sent = await stage.worker.post(path, **{"/why": "because"})
    assert (sent.status_code, sent.headers["location"]) == (303, path)
    page = await stage.worker.http.get(path)
    assert "Thank you! Being checked" in words(page.text)
    history = await stage.worker.http.get("/worker/history")
    assert "Triage an incident 1,000 sats ≈ $1.00 Being checked" in words(history.text)
    repeated = await stage.worker.post(path, **{"/why": "because"})
    assert repeated.status_code == 303


async def test_declined_released_and_lost_turns(stage: Stage) -> None:
    first = await stage.assignment(await stage.offer())
    declined = await stage.worker.post(f"/worker/assignments/{first}/decline")
    assert declined.headers["location"] == "/worker?notice=declined"
    second = await stage.assignment(await stage.offer())
    await stage.worker.post(f"/worker/assignments/{second}/accept")
    released = await stage.worker.post(f"/worker/assignments/{second}/release")
    assert released.headers["location"] == "/worker?notice=released"
    gone = await stage.worker.post(f"/worker/assignments/{first}/accept")
    assert gone.headers["location"] == "/worker?notice=gone"
    home = words((await stage.worker.http.get("/worker?notice=gone")).text)
    assert "no longer open" in home
    assert "Declined" in home
    assert "Given back" in home


async def test_somebody_elses_turn_is_not_there(stage: Stage) -> None:
    assignment = await stage.assignment(await stage.offer())
    for path in (f"/worker/assignments/{assignment}", "/worker/assignments/asg_unknown"):
        assert (await stage.other.http.get(path, headers=HTML)).status_code == 404
    assert (await stage.other.post(f"/worker/assignments/{assignment}/accept")).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}])
async def test_a_form_without_its_token_does_nothing(stage: Stage, headers: dict[str, str]) -> None:
    assignment = await stage.assignment(await stage.offer())
    answer = await stage.worker.http.post(f"/worker/assignments/{assignment}/accept", headers=headers | HTML)
    assert answer.status_code == 403


async def test_settings(stage: Stage) -> None:
    paused = await stage.worker.post("/worker/availability", available="no")
    assert paused.headers["location"] == "/worker?notice=paused"
    assert "You get no new offers." in words((await stage.worker.http.get("/worker")).text)
    wrong = await stage.worker.post("/worker/payout-address", payout_address="not an address")
    assert wrong.status_code == 422
    assert "Must look like name@example.com" in words(wrong.text)
    assert 'value="not an address"' in wrong.text
    saved = await stage.worker.post("/worker/payout-address", payout_address="Ana@Wallet.Example")
    assert saved.headers["location"] == "/worker?notice=address"
    assert 'value="ana@wallet.example"' in (await stage.worker.http.get("/worker")).text


async def test_the_refreshed_part_is_304_while_nothing_changed(stage: Stage) -> None:
    await stage.worker.post("/worker/availability", available="no")
    first = await stage.worker.http.get("/worker/desk")
    same = await stage.worker.http.get("/worker/desk", headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, same.status_code, same.content) == (200, 304, b"")


async def test_static_files_are_cached_by_their_hash(stage: Stage) -> None:
    html = (await stage.worker.http.get("/worker")).text
    address = html.split('<link rel="stylesheet" href="')[1].split('"')[0]
    found = await stage.worker.http.get(address)
    assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert found.headers["content-type"] == "text/css; charset=utf-8"
    other = await stage.worker.http.get(address.split("?")[0])
    assert other.headers["cache-control"] == "no-cache"
    assert (await stage.worker.http.get("/static/..%2Fapp.py")).status_code == 404


async def test_addresses_that_no_row_can_have(stage: Stage) -> None:
    for path in ("/worker/assignments/a%00b", "/worker/history?before=%00", "/operator?status=%00"):
        assert (await stage.operator.http.get(path, headers=HTML)).status_code in (403, 404)


async def test_without_a_session_the_way_leads_to_sign_in(stage: Stage) -> None:
    stage.worker.http.cookies.clear()
    answer = await stage.worker.http.get("/worker", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/worker")
    assert (await stage.worker.http.get("/")).headers["location"] == "/sign-in"


async def test_sign_out_ends_the_session(stage: Stage) -> None:
    out = await stage.worker.post("/sign-out")
    assert out.headers["location"] == "/sign-in"
    stage.worker.http.cookies.set("__Host-hub_session", stage.worker.token)
    assert (await stage.worker.http.get("/worker")).status_code == 401


async def test_what_was_said_since_stands_under_the_question(stage: Stage) -> None:
    task_id = await stage.offer(connector="acme", ticket_id="T1", escalation_key="K1")
    assignment = await stage.assignment(task_id)
    path = f"/worker/assignments/{assignment}"
    await stage.worker.post(f"{path}/accept")
    assert "Said since" not in (await stage.worker.http.get(path)).text
    await said(stage, task_id, ("Ann <ann>", "<img src=x onerror=alert(1)>"), (None, "and more"))

    page = await stage.worker.http.get(path)

    assert "<img src=x" not in page.text
    read = words(page.text)
    assert "Said since Ann <ann>" in read
    assert read.index("onerror") < read.index("Somebody") < read.index("and more") < read.index("Your answer")
