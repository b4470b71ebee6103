"""The operator's page of payouts: who may see it, and the kill switch with its audit."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from core.audit.tables import AuditEntry
from tests.integration.pages.conftest import HTML, Stage, words

HOME = "/operator/payouts"


async def test_workers_get_403(stage: Stage) -> None:
    assert (await stage.worker.http.get(HOME, headers=HTML)).status_code == 403


@pytest.mark.parametrize("path", ["pause", "resume", "explain", "pay_1/retry"])
async def test_only_an_operator_with_a_token_changes_anything(stage: Stage, path: str) -> None:
    assert (await stage.worker.post(f"{HOME}/{path}")).status_code == 403
    assert (await stage.operator.http.post(f"{HOME}/{path}", headers=HTML)).status_code == 403


async def test_the_kill_switch(stage: Stage) -> None:
    assert "going out" in words((await stage.operator.http.get(HOME)).text)
    done = await stage.operator.post(f"{HOME}/pause", reason="the <node> is moved")
    assert (done.status_code, done.headers["location"]) == (303, HOME)
    page = (await stage.operator.http.get(HOME)).text
    assert "the &lt;node&gt; is moved" in page
    assert f'action="{HOME}/resume"' in page
    assert (await stage.operator.post(f"{HOME}/resume")).status_code == 303
    assert "the <node> is moved" not in words((await stage.operator.http.get(HOME)).text)
    async with stage.services.work.read() as session:
        entries = await session.scalars(select(AuditEntry).where(AuditEntry.subject == "hub"))
        found = [(one.actor, one.action) for one in entries if one.action.startswith("payouts.")]
    assert sorted(found) == [
        (f"person:{stage.operator.id}", "payouts.paused"),
        (f"person:{stage.operator.id}", "payouts.resumed"),
    ]


async def test_a_payout_that_is_not_there(stage: Stage) -> None:
    assert (await stage.operator.http.get(f"{HOME}/pay_1", headers=HTML)).status_code == 404
