"""The operator's pages in a real browser, against the whole stack: find a task, read its trail, check the books."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from playwright.async_api import expect

from core.access import people, sessions
from core.access.roles import Role
from tests.e2e.browser import DESKTOP, PHONE, browser, fits, need_chromium, screenshot, watch
from tests.stack.world import World, world
from tests.wait import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncGenerator[World]:
    need_chromium()
    async with world(tmp_path / "hub", f"sqlite:///{tmp_path}/hub.db", people_count=1) as running:
        yield running


async def operator_link(stack: World) -> str:
    async with stack.work.begin("test.operator") as tx:
        person = await people.create(
            tx, role=Role.OPERATOR, name="Otto", email="otto@test.example", actor="test"
        )
        token = await sessions.make_link(tx, person.id, actor="test")
    return f"{stack.hub.url}/sign-in/{token.reveal()}"


async def test_the_trail_of_a_paid_task_and_the_books(stack: World) -> None:
    deliveries = asyncio.create_task(stack.deliver_webhooks())
    answers = asyncio.create_task(stack.answer_everything())
    try:
        task = await stack.create(
            {
                "idempotencyKey": "operator-1",
                "taskType": "incident_triage",
                "payload": {"incident": "Checkout API: error rate above 5 %"},
                "payout": {"currency": "USD", "maxAmount": 0.50},
            }
        )

        async def paid() -> bool:
            found = await stack.get(task["id"])
            return found is not None and "payoutResult" in found

        await wait_until(paid, timeout=40)
    finally:
        deliveries.cancel()
        answers.cancel()
    async with browser() as chromium:
        context = await chromium.new_context(viewport=DESKTOP)
        page = await context.new_page()
        complaints = watch(page)
        await page.goto(await operator_link(stack))
        await page.get_by_role("button", name="Sign in").click()
        await expect(page).to_have_url(f"{stack.hub.url}/operator")
        await screenshot(page, "operator-tasks")
        await page.get_by_role("link", name=task["id"]).click()
        trail = page.locator(".timeline")
        for told in (
            "Task posted",
            "Offered to Person 0",
            "Answer by Person 0",
            "Stage schema",
            "Attempt 1 settled",
        ):
            await expect(trail).to_contain_text(told)
        await screenshot(page, "operator-trail")
        await page.get_by_role("link", name="Money").click()
        await page.get_by_role("button", name="Check the books").click()
        await expect(page.get_by_role("status")).to_contain_text("Every rule holds")
        await screenshot(page, "operator-money")
        await page.set_viewport_size(PHONE)
        assert await fits(page)
        await page.goto(f"{stack.hub.url}/operator?q={task['id']}")
        await expect(page).to_have_url(f"{stack.hub.url}/operator/tasks/{task['id']}")
        assert await fits(page)
        assert complaints == []
