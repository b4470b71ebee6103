"""The operator's organisations: who may change what, paying in by credit and by Lightning, the plan, the month, and the books
as files."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from sqlalchemy import select

from connectors.rails.sandbox import FILE_NAME
from connectors.rails.sandbox_controls import SandboxControls
from core import clock
from core.audit.tables import AuditEntry
from core.billing.tables import TopUp
from tests.factories import SAT, balance, problems
from tests.integration.pages.conftest import HTML, Stage, words

HOME = "/operator/organisations"
MONTH = clock.now().strftime("%Y-%m")


@pytest.mark.parametrize("path", ["credit", "top-up", "look", "plan"])
async def test_only_an_operator_with_a_token_changes_anything(stage: Stage, path: str) -> None:
    address = f"{HOME}/{stage.organisation}/{path}"
    assert (await stage.worker.post(address)).status_code == 403
    assert (await stage.operator.http.post(address, headers=HTML)).status_code == 403
    assert (await stage.worker.http.get(HOME, headers=HTML)).status_code == 403


async def test_a_credit_counts_once_and_nonsense_is_told(stage: Stage) -> None:
    address = f"{HOME}/{stage.organisation}"
    for _ in range(2):
        done = await stage.operator.post(
            f"{address}/credit", sats="1500", reference="wire <7>", environment="live"
        )
        assert (done.status_code, done.headers["location"]) == (303, f"{address}?environment=live")
    for wrong in ({"sats": "-1"}, {"sats": "1.5"}, {"sats": "many"}, {"sats": "1" * 30}, {"reference": ""}):
        fields = {"sats": "1", "reference": "x", "environment": "live"} | wrong
        assert (await stage.operator.post(f"{address}/credit", **fields)).status_code == 422
    assert await balance(stage.services.work, f"{stage.organisation}:live:prefund") == 1_500 * SAT
    listed = words((await stage.operator.http.get(HOME)).text)
    assert "1,500 sats" in listed
    assert (await stage.operator.http.get(f"{HOME}/org_none", headers=HTML)).status_code == 404


async def test_an_invoice_is_shown_paid_and_credited(stage: Stage, tmp_path: Path) -> None:
    address = f"{HOME}/{stage.organisation}"
    asked = await stage.operator.post(f"{address}/top-up", sats="2500", environment="live")
    assert asked.status_code == 303
    async with stage.services.work.read() as session:
        row = (await session.scalars(select(TopUp))).one()
    page = (await stage.operator.http.get(f"{address}?environment=live")).text
    assert row.invoice in page
    SandboxControls(tmp_path / FILE_NAME).pay_ours(row.invoice)
    await stage.operator.post(f"{address}/look", top_up=row.id, environment="live")
    told = words((await stage.operator.http.get(f"{address}?environment=live")).text)
    assert "credited sandbox 2,500 sats 2,500 sats" in told
    assert (
        await stage.operator.post(f"{address}/look", top_up="top_none", environment="live")
    ).status_code == 404
    assert await problems(stage.services.work) == []


async def test_waiting_tasks_are_named(stage: Stage) -> None:
    await stage.offer(funded=False, environment="live")
    told = words((await stage.operator.http.get(f"{HOME}/{stage.organisation}?environment=live")).text)
    assert "1 task waits for funds" in told


async def test_the_plan_is_changed_and_its_promise_shown(stage: Stage) -> None:
    address = f"{HOME}/{stage.organisation}"
    assert (await stage.operator.post(f"{address}/plan", plan="none")).status_code == 422
    assert (await stage.operator.post(f"{address}/plan", plan="enterprise")).status_code == 303
    told = words((await stage.operator.http.get(f"{address}?environment=live")).text)
    assert "enterprise: 3 answers to a task, expert pool, monthly statement" in told
    async with stage.services.work.read() as session:
        found = await session.scalars(
            select(AuditEntry).where(AuditEntry.action == "organisation.plan_changed")
        )
        assert [one.actor for one in found] == [f"person:{stage.operator.id}"]


async def test_the_month_and_its_movements(stage: Stage) -> None:
    await stage.operator.post(
        f"{HOME}/{stage.organisation}/credit", sats="1500", reference="7", environment="live"
    )
    address = f"{HOME}/{stage.organisation}/statements/{MONTH}"
    page = words((await stage.operator.http.get(f"{address}?environment=live")).text)
    assert "as it stands" in page
    assert "credit 1 1,500 sats closing 1,500 sats" in page
    file = await stage.operator.http.get(f"{address}/movements?environment=live")
    assert [row["kind"] for row in csv.DictReader(io.StringIO(file.text))] == ["opening", "credit", "closing"]
    assert (
        await stage.operator.http.get(f"{HOME}/{stage.organisation}/statements/2001-01", headers=HTML)
    ).status_code == 404
    assert (
        await stage.operator.http.get(f"{HOME}/{stage.organisation}?environment=moon", headers=HTML)
    ).status_code == 422


async def test_the_books_as_files(stage: Stage) -> None:
    books = "/operator/money/books"
    rows = list(csv.DictReader(io.StringIO((await stage.operator.http.get(f"{books}/transfers.csv")).text)))
    lines = (await stage.operator.http.get(f"{books}/transfers.jsonl")).text.splitlines()
    assert len(rows) == len(lines) > 0
    assert [row["hash"] for row in rows] == [json.loads(line)["hash"] for line in lines]
    named = {
        json.loads(line)["id"]
        for line in (await stage.operator.http.get(f"{books}/accounts.jsonl")).text.splitlines()
    }
    assert f"{stage.organisation}:test:prefund" in named
    for name in ("people.csv", "transfers.pdf", "transfers"):
        assert (await stage.operator.http.get(f"{books}/{name}", headers=HTML)).status_code == 404
    assert (await stage.worker.http.get(f"{books}/transfers.csv", headers=HTML)).status_code == 403
    account = f"{stage.organisation}:test:prefund"
    file = await stage.operator.http.get("/operator/money/statement/file", params={"account": account})
    assert file.text.splitlines()[0].startswith('"at","id","kind"')
    gone = await stage.operator.http.get(
        "/operator/money/statement/file", params={"account": "none"}, headers=HTML
    )
    assert gone.status_code == 404
