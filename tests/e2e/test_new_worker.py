"""Somebody new, in a real browser against the whole stack: an operator's invitation, the form, a quiz that fails nobody
who knows, the skill, the first offer, the answer, the pay. And the same pages by phone without a sideways scroll."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from connectors import yaml_file
from core.access import people, sessions
from core.access.roles import Role
from tests.e2e.browser import PHONE, browser, fits, need_chromium, screenshot, watch
from tests.stack.world import World, world
from tests.wait import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
BANK = Path(__file__).parents[2] / "config" / "quizzes" / "refund_review.yaml"


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncGenerator[World]:
    need_chromium()
    async with world(tmp_path / "hub", f"sqlite:///{tmp_path}/hub.db", people_count=0) as running:
        yield running


async def operator_link(stack: World) -> str:
    async with stack.work.begin("test.operator") as tx:
        one = await people.create(
            tx, role=Role.OPERATOR, name="Olga", email="olga@example.test", actor="test"
        )
        token = await sessions.make_link(tx, one.id, actor="test")
    return f"{stack.hub.url}/sign-in/{token.reveal()}"


async def fill_the_quiz(page: Page, *, well: bool) -> None:
    """Every question that is shown, right or wrong."""
    bank = {one["text"]: one for one in yaml_file.read(BANK.read_text(), BANK.name)["questions"]}
    asked = page.locator("fieldset")
    assert await asked.count() == 6
    for number in range(6):
        one = asked.nth(number)
        question = bank[(await one.locator("legend").inner_text()).split(". ", 1)[1]]
        wrong = next(option for option in question["options"] if option != question["right"])
        await one.get_by_label(question["right"] if well else wrong, exact=True).check()
    await page.get_by_role("button", name="Send answers").click()


async def test_from_the_invitation_to_the_first_pay(stack: World) -> None:
    async with browser() as chromium:
        desk = await (await chromium.new_context()).new_page()
        await desk.goto(await operator_link(stack))
        await desk.get_by_role("button", name="Sign in").click()
        await desk.get_by_role("link", name="People").click()
        await desk.get_by_label("E-mail address").fill("nina@example.test")
        await desk.get_by_label("for the test environment").check()
        await desk.get_by_role("button", name="Make an invitation").click()
        link = await desk.locator("#link").inner_text()

        page = await (await chromium.new_context(viewport=PHONE)).new_page()
        complaints = watch(page)
        await page.goto(link)
        await page.get_by_role("button", name="Begin").click()  # nothing filled in: told what is missing
        await expect(page.get_by_role("alert")).to_contain_text("2 fields")
        await page.get_by_label("Your name").fill("Nina")
        await page.get_by_label("Your time zone").fill("Europe/Berlin")
        await page.get_by_label("Lightning address").fill("nina@sandbox.test")
        await page.get_by_label("I have read and accept them").check()
        assert await fits(page)
        await screenshot(page, "join-phone")
        await page.get_by_role("button", name="Begin").click()
        await expect(page.get_by_role("status")).to_contain_text("You are in")
        await desk.goto(link)  # one use
        await expect(desk.get_by_role("heading", name="Link not valid")).to_be_visible()

        card = page.locator("li.card", has=page.get_by_role("heading", name="Review of refunds"))
        await card.get_by_role("button", name="Begin the quiz").click()
        assert "right:" not in await page.content()
        assert await fits(page)
        await screenshot(page, "quiz-phone")
        await fill_the_quiz(page, well=True)
        await expect(page.get_by_role("status")).to_contain_text("Passed")
        await expect(card.get_by_text("Yours")).to_be_visible()

        await page.goto(f"{stack.hub.url}/worker")
        await page.get_by_role("button", name="Get offers").click()
        task = await stack.create(
            {
                "idempotencyKey": "refund-1",
                "taskType": "refund_eligibility",
                "payload": {"orderId": "order-1", "reason": "damaged"},
                "outputSchema": {
                    "type": "object",
                    "required": ["eligible"],
                    "properties": {"eligible": {"type": "boolean", "title": "Eligible?"}},
                },
                "payout": {"currency": "USD", "maxAmount": 0.50},
            }
        )
        await page.get_by_role("button", name="Accept").click(timeout=30_000)
        await page.get_by_role("button", name="More time").click()
        await expect(page.get_by_role("button", name="More time")).to_have_count(0)
        await page.get_by_label("Yes").check()
        await page.get_by_role("button", name="Submit answer").click()
        await expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()

        async def paid() -> bool:
            found = await stack.get(task["id"])
            return found is not None and "payoutResult" in found

        await wait_until(paid, timeout=30)
        await page.goto(f"{stack.hub.url}/worker/me")
        await expect(page.get_by_role("heading", name="Trust: tier 0, new")).to_be_visible()
        await expect(page.get_by_role("row", name="500")).to_contain_text("1")
        assert await fits(page)
        await screenshot(page, "account-phone")
        assert complaints == []


async def test_a_quiz_that_failed_cools_down(stack: World) -> None:
    async with browser() as chromium:
        desk = await (await chromium.new_context()).new_page()
        await desk.goto(await operator_link(stack))
        await desk.get_by_role("button", name="Sign in").click()
        await desk.goto(f"{stack.hub.url}/operator/people")
        await desk.get_by_label("E-mail address").fill("ned@example.test")
        await desk.get_by_role("button", name="Make an invitation").click()
        page = await (await chromium.new_context(viewport=PHONE, java_script_enabled=False)).new_page()
        await page.goto(await desk.locator("#link").inner_text())
        await page.get_by_label("Your name").fill("Ned")
        await page.get_by_label("I have read and accept them").check()
        await page.get_by_role("button", name="Begin").click()
        card = page.locator("li.card", has=page.get_by_role("heading", name="Review of refunds"))
        await card.get_by_role("button", name="Begin the quiz").click()
        await fill_the_quiz(page, well=False)
        await expect(page.get_by_role("status")).to_contain_text("Not passed")
        await expect(card).to_contain_text("0 right where 5 are needed")
        await expect(card).to_contain_text("The next try opens")
        await expect(card.get_by_role("button")).to_have_count(0)
