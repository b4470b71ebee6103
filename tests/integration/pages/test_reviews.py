"""The pages of reviews, gold and checks over a real database: a live answer goes through QA by an operator's click, a refused
one is appealed, gold is edited, a missed item is disputed. Nobody without the right sees any of it."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from core.access.tables import Organisation
from core.billing.actions import credit
from core.db.unit_of_work import Transaction
from core.tasks.model import Environment
from core.tasks.tables import Task
from core.verification.tables import GoldItem, Review
from core.workers.tables import Worker
from tests.integration.pages.conftest import HTML, Stage, words

GOOD = {"severity": "minor", "action": "watch", "summary": "It is a little slow since the last deploy."}


async def live(stage: Stage) -> None:
    """Ana works for real: in the test environment nobody reviews."""
    async with stage.services.work.begin("test.live") as tx:
        for name in (stage.worker.id, stage.other.id):
            row = await tx.session.get_one(Worker, name)
            row.environment = str(Environment.LIVE)
        await fund(tx, stage.organisation)


async def fund(tx: Transaction, organisation: str) -> None:
    await credit(tx, organisation, "live", 100_000_000, "first", "test")


async def asked(stage: Stage, risk: str) -> tuple[str, Review]:
    """A live task of that risk that Ana has answered; it waits for a reviewer."""
    async with stage.services.work.begin("test.tier") as tx:
        (await tx.session.get_one(Worker, stage.worker.id)).tier = 3
    task_id = await stage.offer(environment=str(Environment.LIVE), risk_tier=risk)
    await stage.hub.answer(task_id, GOOD)
    await stage.hub.drain()
    async with stage.services.work.read() as session:
        review = await session.scalar(select(Review).where(Review.task_id == task_id))
    assert review is not None
    async with stage.services.work.begin("test.plan") as tx:  # the pages know the plans of the shipped file
        (await tx.session.get_one(Organisation, stage.organisation)).plan = "pay_as_you_go"
    return task_id, review


async def test_an_operator_decides_and_a_worker_appeals(stage: Stage) -> None:
    await live(stage)
    task_id, review = await asked(stage, "high")
    for who in (stage.worker, stage.other):
        assert (await who.http.get("/reviews", headers=HTML)).status_code == 403
    listed = await stage.operator.http.get("/reviews", headers=HTML)
    assert "Not enough answers of this kind were checked yet" in words(listed.text)
    shown = await stage.operator.http.get(f"/reviews/{review.id}", headers=HTML)
    assert "It is a little slow since the last deploy." in words(shown.text)
    assert re.search(r'name="right" value="(sub_\w+)"', shown.text)
    nothing = await stage.operator.post(f"/reviews/{review.id}", verdict="right")
    assert nothing.status_code == 422
    no = await stage.operator.post(f"/reviews/{review.id}", verdict="none", note="It is not minor")
    assert (no.status_code, no.headers["location"]) == (303, "/reviews")
    mine = await stage.assignment(task_id)
    page = await stage.worker.http.get(f"/worker/assignments/{mine}", headers=HTML)
    assert "It is not minor" in words(page.text)
    assert "Ask for another look" in words(page.text)
    assert (await stage.worker.post(f"/worker/assignments/{mine}/appeal", said="It is")).status_code == 303
    page = await stage.worker.http.get(f"/worker/assignments/{mine}", headers=HTML)
    assert "You asked for another look" in words(page.text)
    async with stage.services.work.read() as session:
        appeal = await session.scalar(select(Review).where(Review.kind == "appeal"))
    assert appeal is not None
    seen = await stage.operator.http.get(f"/reviews/{appeal.id}", headers=HTML)
    assert "Somebody else has to decide this one" in words(seen.text)
    decided = await stage.operator.post(f"/reviews/{appeal.id}", verdict="uphold")
    assert decided.status_code == 403


async def test_right_is_paid_and_becomes_gold(stage: Stage) -> None:
    await live(stage)
    task_id, review = await asked(stage, "high")
    shown = await stage.operator.http.get(f"/reviews/{review.id}", headers=HTML)
    [name] = re.findall(r'name="right" value="(sub_\w+)"', shown.text)
    await stage.operator.post(f"/reviews/{review.id}", verdict="right", right=name)
    async with stage.services.work.read() as session:
        assert (await session.get_one(Task, task_id)).status == "verified"
        [item] = await session.scalars(select(GoldItem))
        assert item.answer == GOOD
    trail = words((await stage.operator.http.get(f"/operator/tasks/{task_id}")).text)
    for told in (
        "Rests on 1 answer, a reviewer's word",
        "uncertified (0 audits)",
        "Stage qa pass",
        "Decided: a reviewer looks",
    ):
        assert told in trail
    page = await stage.operator.http.get("/operator/gold", headers=HTML)
    assert item.id in page.text
    await stage.operator.post(f"/operator/gold/{item.id}/retire")
    page = await stage.operator.http.get("/operator/gold", headers=HTML)
    assert "retired" in words(page.text)


@pytest.mark.parametrize(
    ("answer", "status"), [('{"severity": "minor"}', 422), ("[", 422), ('{"eligible": true}', 303)]
)
async def test_gold_by_hand(stage: Stage, answer: str, status: int) -> None:
    kind = "incident_triage" if "severity" in answer else "refund_eligibility"
    response = await stage.operator.post(
        "/operator/gold", task_type=kind, environment="test", payload='{"a": 1}', answer=answer
    )
    assert response.status_code == status
    if status == 422:
        assert 'role="alert"' in response.text
    assert (await stage.worker.http.get("/worker/checks", headers=HTML)).status_code == 200
    assert (await stage.worker.http.get("/operator/gold", headers=HTML)).status_code == 403
