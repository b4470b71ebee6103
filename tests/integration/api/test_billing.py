"""Balance, top-ups, statements, and the word about a task that waits for funds."""

from __future__ import annotations

import csv
import dataclasses
import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from connectors.rails.sandbox import FILE_NAME, SandboxRail
from connectors.rails.sandbox_controls import SandboxControls
from core import clock
from core.access.tables import Organisation
from core.billing import actions as billing
from core.billing import monthly
from core.billing.top_ups import Terms, look_now
from core.ledger.tables import LedgerTransfer
from core.tasks.model import Environment
from hub.services import Services
from tests.factories import DOLLAR, SAT, problems
from tests.integration.api.conftest import Tenant, client_for, refund, serving
from tests.payout_lab import Lab

MONTH = clock.now().strftime("%Y-%m")


def with_sandbox(services: Services, folder: Path, **terms: Any) -> Services:
    sandbox = SandboxRail(folder / FILE_NAME)
    terms = {"rail": "sandbox", "most_msat": 1_000_000 * SAT} | terms
    return dataclasses.replace(services, rails={"sandbox": sandbox}, top_ups=Terms(**terms))


async def credited(services: Services, tenant: Tenant, dollars: int, reference: str = "wire 1") -> None:
    async with services.work.begin("test.credit") as tx:
        await billing.credit(
            tx, tenant.organisation_id, Environment.LIVE, dollars * DOLLAR, reference, "test"
        )


async def test_a_task_that_waits_for_funds_says_so_until_they_come(
    services: Services, tenant: Tenant, tmp_path: Path
) -> None:
    hub = with_sandbox(services, tmp_path)
    async with serving(hub) as app, client_for(app, tenant.live) as client:
        made = (await client.post("/v1/tasks", json=refund())).json()
        assert (made["status"], made["waitingFor"]) == ("posted", "funds")
        assert (await client.get(f"/v1/tasks/{made['id']}")).json() == made
        [listed] = (await client.get("/v1/tasks")).json()["data"]
        assert listed["waitingFor"] == "funds"
        assert (await client.get("/v1/balance")).json() == {
            "availableSats": 0,
            "availableMsat": 0,
            "reservedSats": 0,
            "reservedMsat": 0,
            "tasksWaiting": 1,
        }

        asked = await client.post("/v1/top-ups", json={"amountSats": 1_000}, headers={"Idempotency-Key": "a"})
        top_up = asked.json()
        assert asked.status_code == 201
        assert (top_up["status"], top_up["amountSats"], top_up["receivedMsat"]) == ("open", 1_000, 0)
        again = await client.post("/v1/top-ups", json={"amountSats": 1_000}, headers={"Idempotency-Key": "a"})
        assert again.json() == top_up
        other = await client.post("/v1/top-ups", json={"amountSats": 2_000}, headers={"Idempotency-Key": "a"})
        assert other.status_code == 422

        SandboxControls(tmp_path / FILE_NAME).pay_ours(top_up["invoice"])
        await look_now(hub.work, hub.rails, top_up["id"], actor="test")
        async with hub.work.begin("billing.fund_waiting") as tx:
            await billing.fund_waiting(tx, tenant.organisation_id, "live")

        paid = (await client.get(f"/v1/top-ups/{top_up['id']}")).json()
        assert (paid["status"], paid["receivedMsat"]) == ("credited", 1_000 * SAT)
        assert clock.now() - datetime.fromisoformat(paid["paidAt"]) < timedelta(minutes=1)
        assert "waitingFor" not in (await client.get(f"/v1/tasks/{made['id']}")).json()
        balance = (await client.get("/v1/balance")).json()
        assert (balance["availableSats"], balance["reservedSats"], balance["tasksWaiting"]) == (400, 600, 0)
        assert (await client.get("/v1/top-ups")).json() == {"data": [paid], "hasMore": False}
    assert await problems(services.work) == []


async def test_a_funded_task_says_nothing_about_funds(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v1/tasks", json=refund())).json()
    assert "waitingFor" not in made


@pytest.mark.parametrize(
    ("body", "status", "details"),
    [
        ({}, 400, {"amountSats": "Field is required"}),
        ({"amountSats": "12"}, 400, {"amountSats": "Expected `int`, got `str`"}),
        ({"amountSats": 0.5}, 400, {"amountSats": "Expected `int`, got `float`"}),
        ({"amountSats": 0}, 400, {"amountSats": "Expected `int` >= 1"}),
        ({"amountSats": 9}, 422, {"amountSats": "Must be 10 to 1000000 sat"}),
        ({"amountSats": 1_000_001}, 422, {"amountSats": "Must be 10 to 1000000 sat"}),
    ],
)
async def test_a_wrong_amount_is_named(
    services: Services,
    tenant: Tenant,
    tmp_path: Path,
    body: dict[str, Any],
    status: int,
    details: dict[str, str],
) -> None:
    hub = with_sandbox(services, tmp_path, least_msat=10 * SAT)
    async with serving(hub) as app, client_for(app, tenant.live) as client:
        answer = await client.post("/v1/top-ups", json=body)
    assert (answer.status_code, answer.json()["error"]["details"]) == (status, details)


async def test_a_hub_that_cannot_be_paid_says_so(services: Services, tenant: Tenant) -> None:
    hub = dataclasses.replace(services, rails={}, top_ups=Terms())
    async with serving(hub) as app, client_for(app, tenant.test) as client:
        answer = await client.post("/v1/top-ups", json={"amountSats": 100})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_top_up")


async def test_wrong_parameters_and_names(client: httpx.AsyncClient) -> None:
    for path in ("/v1/top-ups?after=x", "/v1/top-ups?limit=0", f"/v1/statements/{MONTH}?format=pdf"):
        assert (await client.get(path)).status_code == 400
    assert (await client.get("/v1/top-ups/top_%00")).status_code == 404


async def test_the_month_adds_up_and_its_movements_are_a_file(services: Services, tenant: Tenant) -> None:
    await credited(services, tenant, 10)
    async with serving(services) as app, client_for(app, tenant.live) as client:
        made = (await client.post("/v1/tasks", json=refund())).json()
        await client.post("/v1/tasks", json=refund("b"))
        await client.post(f"/v1/tasks/{made['id']}/cancel")
        told = (await client.get(f"/v1/statements/{MONTH}")).json()
        months = (await client.get("/v1/statements")).json()
        file = await client.get(f"/v1/statements/{MONTH}", params={"format": "csv"})
        lines = await client.get(f"/v1/statements/{MONTH}", params={"format": "jsonl"})
    assert months == {"data": [{"month": MONTH, "status": "open"}]}
    assert (
        told.items()
        >= {
            "month": MONTH,
            "status": "open",
            "plan": "pay_as_you_go",
            "openingMsat": 0,
            "closingMsat": 10 * DOLLAR,
            "availableMsat": 9_400 * SAT,
            "reservedMsat": 600 * SAT,
            "lines": [{"kind": "credit", "transfers": 1, "amountMsat": 10 * DOLLAR}],
            "tasksCreated": 2,
            "tasksVerified": 0,
            "payouts": 0,
            "payoutsUsd": 0,
        }.items()
    )
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [row["kind"] for row in rows] == [
        "opening",
        "credit",
        "reserve",
        "reserve",
        "release",
        "closing",
    ]
    assert rows[-1]["balance_msat"] == str(9_400 * SAT)
    assert file.headers["Content-Disposition"] == f'attachment; filename="statement-{MONTH}.csv"'
    assert len(lines.text.splitlines()) == len(rows)


@pytest.mark.parametrize(
    ("month", "status"),
    [("2020-01", 404), ("2999-01", 404), ("2026-13", 422), ("2026-1", 422), ("x", 422), ("%00", 422)],
)
async def test_a_month_that_is_none(client: httpx.AsyncClient, month: str, status: int) -> None:
    assert (await client.get(f"/v1/statements/{month}")).status_code == status


async def moved_back(services: Services, tenant: Tenant, months: int) -> str:
    """The tenant and all that it did so far are that many months old; the month's name."""
    start = clock.now().replace(day=1, hour=12)
    for _ in range(months):
        start = (start - timedelta(days=15)).replace(day=1)
    async with services.work.begin("test.age") as tx:
        owner = Organisation.id == tenant.organisation_id
        await tx.session.execute(
            update(Organisation).where(owner).values(created_at=start, plan="enterprise")
        )
        at = clock.to_ms(start)
        if tx.dialect == "sqlite":
            await tx.execute("DROP TRIGGER ledger_transfers_no_update")
        else:
            await tx.execute("ALTER TABLE ledger_transfers DISABLE TRIGGER ALL")
        await tx.session.execute(
            update(LedgerTransfer)
            .where(LedgerTransfer.id.like(f"credit:{tenant.organisation_id}%"))
            .values(created_at=clock.from_ms(at))
        )
    return start.strftime("%Y-%m")


async def test_enterprise_months_are_closed_once_and_kept(
    services: Services, tenant: Tenant, tmp_path: Path
) -> None:
    await credited(services, tenant, 10)
    before = await moved_back(services, tenant, 2)
    lab = Lab(services.work, tmp_path)
    async with services.work.begin("test.start") as tx:
        monthly.schedule(tx, await tx.now_ms(), ahead=0)
    first = await lab.take("billing.close_month")
    assert first is not None
    await monthly.close_months(services.work, first, services.plans)
    following = await lab.take("billing.close_month")  # the slot of the next month
    assert following is not None
    async with serving(services) as app, client_for(app, tenant.live) as client:
        months = (await client.get("/v1/statements")).json()["data"]
        kept = (await client.get(f"/v1/statements/{before}")).json()
    assert [(one["month"] == MONTH, one["status"]) for one in months] == [
        (True, "open"),
        (False, "closed"),
        (False, "closed"),
    ]
    assert (kept["status"], kept["plan"], kept["closingMsat"]) == ("closed", "enterprise", 10 * DOLLAR)

    await monthly.close_months(services.work, following, services.plans)  # nothing is left to close
    async with services.work.begin("test.plan") as tx:  # nor does a kept one change
        await tx.session.execute(update(Organisation).values(plan="growth"))
    async with serving(services) as app, client_for(app, tenant.live) as client:
        assert (await client.get(f"/v1/statements/{before}")).json() == kept


async def test_the_test_environment_has_its_own(client: httpx.AsyncClient) -> None:
    told = (await client.get(f"/v1/statements/{MONTH}")).json()
    assert [line["kind"] for line in told["lines"]] == ["grant"]
