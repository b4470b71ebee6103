"""One worker as the operator sees them, and how they are found among many."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sqlalchemy import select, update

from core.access import invitations
from core.payouts.tables import Payout
from core.workers import standing, suspensions
from core.workers.records import Kind, add_evidence
from core.workers.suspensions import About
from core.workers.tables import WorkerAppeal
from hub.pages.record import months_of
from tests.integration.pages.conftest import HTML, Stage, words
from tests.integration.pages.test_operator_pages import answered


async def _seen(stage: Stage, who: str) -> str:
    page = await stage.operator.http.get(f"/operator/people/{who}", headers=HTML)
    assert page.status_code == 200
    return words(page.text)


async def test_what_is_known_of_a_worker_and_their_appeal_is_decided_with_it_in_view(stage: Stage) -> None:
    ana = stage.worker.id
    turn = await stage.offer()
    async with stage.services.work.begin("test.past") as tx:
        await add_evidence(tx, ana, "incident_triage", Kind.GOLD, 1.0)
        await add_evidence(tx, ana, "incident_triage", Kind.QA, 0.0)
    async with stage.services.work.begin("test.past") as tx:
        await standing.set_tier(tx, ana, 2, "Known from before", actor="person:one")
    async with stage.services.work.begin("test.past") as tx:
        down = await standing.set_tier(tx, ana, 1, "Two <accounts>", actor="person:one")
    async with stage.services.work.begin("test.past") as tx:
        await suspensions.appeal(tx, ana, About.TIER, down.id, "It was not me", stage.services.trust)
    page = await _seen(stage, ana)
    for told in (
        "Ana@example.test".lower(),
        "Trust: tier 1, known",
        "2 judged answers, 1 to known questions, 0 of 1 as reviewers see it",
        "2 → 1",
        "Two <accounts>",
        "It was not me",
        "incident_triage 1.0 1.0",
        "14 days since an operator lowered your tier.",
        turn,
    ):
        assert told in page, told
    async with stage.services.work.read() as session:
        appeal = (await session.scalars(select(WorkerAppeal.id))).one()
    fields = {"verdict": "grant", "answer": "You are right", "back": "person"}
    decided = await stage.operator.post(f"/operator/people/appeals/{appeal}", **fields)
    assert (decided.status_code, decided.headers["location"]) == (303, f"/operator/people/{ana}")
    assert (await stage.hub.worker(ana)).tier == 2
    assert "You are right" in await _seen(stage, ana)


async def test_what_is_done_about_a_worker_comes_back_to_their_page(stage: Stage) -> None:
    home = f"/operator/people/{stage.worker.id}"
    done = await stage.operator.post(home, do="suspend", text="Copied <i>", back="person")
    assert (done.status_code, done.headers["location"]) == (303, home)
    page = await stage.operator.http.get(home, headers=HTML)
    assert "Copied &lt;i&gt;" in page.text
    assert "suspended" in words(page.text)
    wrong = await stage.operator.post(home, do="suspend", text="Again", back="person")
    assert (wrong.status_code, "suspended already" in words(wrong.text)) == (422, True)
    link = await stage.operator.post(home, do="link", text="", back="person")
    assert "/sign-in/" in words(link.text)
    assert (await stage.operator.http.get("/operator/people/per_none", headers=HTML)).status_code == 404
    assert (
        await stage.operator.post("/operator/people/per_none", do="lift", back="person")
    ).status_code == 422
    assert (await stage.worker.http.get(home, headers=HTML)).status_code == 403


async def test_a_worker_is_found_among_many(stage: Stage) -> None:
    async def found(q: str) -> set[str]:
        page = await stage.operator.http.get(
            "/operator/people", params={"environment": "test", "q": q}, headers=HTML
        )
        return {one for one in (stage.worker.id, stage.other.id) if one in page.text}

    ana, vic = stage.worker.id, stage.other.id
    assert await found("ANA@exam") == await found(" ana ") == await found(ana) == {ana}
    assert await found("example.test") == {ana, vic}
    assert await found("%") == await found("_") == await found("eve") == set()
    assert "Nobody of that name" in words(
        (await stage.operator.http.get("/operator/people", params={"q": "eve"}, headers=HTML)).text
    )


async def test_invitations_come_in_pages(stage: Stage) -> None:
    async with stage.services.work.begin("test.asked") as tx:
        for number in range(60):
            await invitations.ask(tx, f"new{number:02}@example.test")
    first = (await stage.operator.http.get("/operator/people", headers=HTML)).text
    [following] = re.findall(r'href="(/operator/people\?older=[^"#]+)', first)
    rest = (await stage.operator.http.get(following, headers=HTML)).text
    shown = [set(re.findall(r"new\d\d@example.test", page)) for page in (first, rest)]
    assert [len(one) for one in shown] == [50, 10]
    assert not shown[0] & shown[1]
    assert "Older invitations" not in rest


async def test_pay_is_summed_by_the_month_in_utc(stage: Stage) -> None:
    moments = [
        datetime(2026, 10, 31, 23, 59, 59, 999_000, tzinfo=UTC),
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC),
        None,
    ]
    tasks = [await answered(stage) for _ in moments]
    async with stage.services.work.begin("test.paid") as tx:
        for moment, task_id in zip(moments, tasks, strict=True):
            if moment is not None:
                left = 0 if moment == moments[0] else 3_000  # of a bank, which carries whole cents
                paid = {"state": "settled", "settled_at": moment, "remainder_msat": left}
                await tx.session.execute(update(Payout).where(Payout.task_id == task_id).values(paid))
    async with stage.services.work.read() as session:
        found = await months_of(session, stage.worker.id)
        assert await months_of(session, stage.other.id) == []
    assert [(one.month, one.answers, one.sats) for one in found] == [
        ("2026-11", 2, 1994),
        ("2026-10", 1, 1000),
    ]
