"""A worker's whole way in a real browser, against the whole stack: sign in by link, take an offer, fill the form by
keyboard alone, lose the page, come back, be told what is wrong, submit, be paid."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from core.access import sessions
from tests.e2e.browser import DESKTOP, PHONE, browser, fits, need_chromium, screenshot, small_targets, watch
from tests.stack.world import World, world
from tests.wait import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

INCIDENT = {
    "incident": "Checkout API: error rate above 5 %",
    "service": "checkout-api",
    "startedAt": "2026-11-23T21:04:00Z",
    "whatTheMonitorSaw": (
        "POST /checkout answers 502 for 6.4 % of requests since 21:04 UTC; the usual is 0.1 %.\n"
        "The deploy of 21:01 (build 4211) raised the connection pool of the payment client from 20 to 200."
    ),
    "recentChanges": ["21:01 deploy checkout-api build 4211", "20:15 feature flag new-cart at 10 %"],
    "dashboard": "https://grafana.example.com/d/checkout",
}
SCHEMA = {
    "type": "object",
    "required": ["severity", "action", "summary"],
    "properties": {
        "severity": {
            "title": "How bad is it for customers?",
            "enum": ["false_alarm", "minor", "major", "critical"],
            "x-hub-enum-titles": ["False alarm", "Minor", "Major", "Critical"],
        },
        "action": {
            "title": "What should happen first?",
            "enum": ["ignore", "watch", "acknowledge", "page_the_team", "roll_back"],
            "x-hub-enum-titles": ["Ignore", "Watch", "Acknowledge", "Page the team", "Roll back"],
        },
        "summary": {
            "title": "Why, in one or two sentences",
            "type": "string",
            "minLength": 20,
            "maxLength": 600,
        },
    },
}
SUMMARY = (
    "The deploy at 21:01 exhausts the payment provider's connections; rolling back restores the old pool."
)


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncGenerator[World]:
    need_chromium()
    async with world(tmp_path / "hub", f"sqlite:///{tmp_path}/hub.db", people_count=1) as running:
        yield running


async def link_of(stack: World) -> str:
    """A one-time link for the only person of the world."""
    async with stack.work.read() as session:
        person = await sessions.find(session, stack.tokens[0])
    assert person is not None
    async with stack.work.begin("test.link") as tx:
        token = await sessions.make_link(tx, person.person_id, actor="test")
    return f"{stack.hub.url}/sign-in/{token.reveal()}"


async def post_incident(stack: World, **changes: Any) -> str:
    task = await stack.create(
        {
            "idempotencyKey": "incident-1",
            "taskType": "incident_triage",
            "slaSeconds": 1200,
            "payload": INCIDENT,
            "outputSchema": SCHEMA,
            "payout": {"currency": "USD", "maxAmount": 1.00},
            "metadata": {"internal": "never shown"},
            **changes,
        }
    )
    return task["id"]


async def press_until_focused(page: Page, selector: str, key: str = "Tab") -> None:
    """Tab on until the element has the focus, as somebody without a mouse does."""
    for _ in range(60):
        if await page.evaluate("(s) => document.activeElement?.matches(s) ?? false", selector):
            return
        await page.keyboard.press(key)
    raise AssertionError(f"the keyboard does not reach {selector}")


async def test_a_worker_answers_by_keyboard_and_is_paid(stack: World) -> None:
    task_id = await post_incident(stack)
    async with browser() as chromium:
        context = await chromium.new_context(viewport=PHONE, reduced_motion="reduce")
        page = await context.new_page()
        complaints = watch(page)

        await page.goto(await link_of(stack))
        await press_until_focused(page, "main button")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{stack.hub.url}/worker")
        await expect(page.get_by_text("TEST MONEY")).to_be_visible()

        # the offer comes by itself: nothing is reloaded here
        accept = page.get_by_role("button", name="Accept")
        await expect(accept).to_be_visible(timeout=20_000)
        await expect(page.get_by_text("1,000 sats")).to_be_visible()
        await expect(page.get_by_text("$1.00")).to_be_visible()
        assert await fits(page)
        assert await small_targets(page) == []
        await screenshot(page, "home-phone")
        await press_until_focused(page, "[id^=accept-]")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Your answer")).to_be_visible()

        assert await page.locator("input:checked, option[selected]").count() == 0
        assert "never shown" not in await page.content()
        assert await fits(page)
        assert await small_targets(page) == []
        await expect(page.locator(".clock .left")).to_have_text("19 min left", timeout=20_000)

        # wrong input: told at the field, focus on the summary, what was typed is still there
        await press_until_focused(page, "textarea")
        await page.keyboard.type("Too short")
        await expect(page.locator("#saved")).to_have_text("Draft saved")
        await page.keyboard.press("Control+Enter")
        summary = page.get_by_role("alert")
        await expect(summary).to_contain_text("3 answers need another look")
        await expect(summary).to_be_focused()
        await expect(page.locator("textarea")).to_have_value("Too short")
        await expect(page.locator("textarea")).to_have_attribute("aria-invalid", "true")
        assert await fits(page)
        await screenshot(page, "task-phone-errors")

        # a draft survives a reload
        await press_until_focused(page, "input[type=radio]")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        await expect(page.get_by_label("Major")).to_be_checked()
        await press_until_focused(page, "input[type=radio]:not([name='/severity'])")
        await page.keyboard.press("ArrowUp")
        await press_until_focused(page, "textarea")
        await page.keyboard.press("Control+A")
        await page.keyboard.type(SUMMARY)
        await expect(page.locator("#saved")).to_have_text("Draft saved")
        await page.goto(page.url)
        await expect(page.locator("textarea")).to_have_value(SUMMARY)
        await expect(page.get_by_label("Major")).to_be_checked()
        await expect(page.get_by_label("Roll back")).to_be_checked()
        await page.evaluate("window.scrollTo(0, 0)")
        await screenshot(page, "task-phone")
        await page.set_viewport_size(DESKTOP)
        await screenshot(page, "task-desktop")
        await page.emulate_media(color_scheme="dark")
        await screenshot(page, "task-desktop-dark")
        await page.emulate_media(color_scheme="light")
        await page.set_viewport_size(PHONE)

        await press_until_focused(page, "button[data-submit]")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
        await screenshot(page, "done-phone")

        async def paid() -> bool:
            task = await stack.get(task_id)
            return task is not None and "payoutResult" in task

        await wait_until(paid, timeout=30)
        await page.goto(f"{stack.hub.url}/worker/history")
        await expect(page.locator(".history li")).to_contain_text("Accepted")
        await expect(page.locator(".history li")).to_contain_text("Paid")
        await press_until_focused(page, "summary")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Preimage")).to_be_visible()
        assert await fits(page)
        await screenshot(page, "history-phone")
        assert complaints == []


REFUND = {
    "type": "object",
    "required": ["decision"],
    "properties": {
        "decision": {"title": "Decision", "enum": ["pay", "refuse"], "x-hub-enum-titles": ["Pay", "Refuse"]},
        "reason": {"title": "Why not", "type": "string", "minLength": 3},
    },
    "if": {"properties": {"decision": {"const": "refuse"}}, "required": ["decision"]},
    "then": {"required": ["reason"]},
    "else": {"properties": {"reason": False}},
}


async def test_questions_that_depend_on_an_answer_keep_the_focus(stack: World) -> None:
    await post_incident(stack, taskType="question", outputSchema=REFUND)
    async with browser() as chromium:
        page = await (await chromium.new_context(viewport=PHONE)).new_page()
        complaints = watch(page)
        await page.goto(await link_of(stack))
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("button", name="Accept").click(timeout=20_000)
        await press_until_focused(page, "input[type=radio]")
        await page.keyboard.press("Space")
        await expect(page.get_by_label("Pay")).to_be_checked()
        await page.keyboard.press("ArrowDown")
        await expect(page.get_by_label("Refuse")).to_be_checked()
        why = page.get_by_label("Why not")
        await expect(why).to_have_attribute("aria-required", "true")
        await expect(page.get_by_label("Refuse")).to_be_focused()
        await why.fill("Outside the policy")
        await page.get_by_role("button", name="Submit answer").click()
        await expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
        assert complaints == []


async def test_everything_works_without_javascript(stack: World) -> None:
    await post_incident(stack)
    async with browser() as chromium:
        context = await chromium.new_context(viewport=PHONE, java_script_enabled=False)
        page = await context.new_page()
        await page.goto(await link_of(stack))
        await page.get_by_role("button", name="Sign in").click()

        async def offered() -> bool:
            await page.goto(f"{stack.hub.url}/worker")
            return await page.get_by_role("button", name="Accept").count() == 1

        await wait_until(offered, timeout=20, every=0.3)
        await page.get_by_role("button", name="Accept").click()
        await page.get_by_label("Why, in one or two sentences").fill("Only half a thought, kept for later")
        await page.get_by_role("button", name="Save draft").click()
        await page.goto(f"{stack.hub.url}/worker")
        await page.get_by_role("link", name="Continue").click()
        await expect(page.get_by_label("Why, in one or two sentences")).to_have_value(
            "Only half a thought, kept for later"
        )
        await page.get_by_label("Minor").check()
        await page.get_by_label("Watch").check()
        await page.get_by_role("button", name="Submit answer").click()
        await expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
