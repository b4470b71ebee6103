"""A real browser for the tests of the pages: Debian's chromium, driven by Playwright, with its console watched."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}


def need_chromium() -> None:
    """Under CI a missing browser is a failure; elsewhere the test says what was not tested, and why."""
    if CHROMIUM.exists():
        return
    told = f"untested: {CHROMIUM} is missing; install the Debian package `chromium`"
    if os.environ.get("CI") == "true":
        pytest.fail(told)
    pytest.skip(told)


@asynccontextmanager
async def browser() -> AsyncGenerator[Browser]:
    need_chromium()
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield running
        await running.close()


def watch(page: Page) -> list[str]:
    """Everything the page complains of: scripts that fail, and what the content security policy refused."""
    complaints: list[str] = []

    def told(message: ConsoleMessage) -> None:
        # A 422 answer is what a form with faults gets; the browser logs it as an error.
        if message.type == "error" and "422" not in message.text:
            complaints.append(message.text)

    page.on("console", told)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


async def fits(page: Page) -> bool:
    """True when nothing makes the page scroll sideways."""
    return await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


async def small_targets(page: Page) -> list[str]:
    """Buttons, fields and chips that are smaller than a thumb (44 px high, as drawn)."""
    return await page.evaluate(
        """() => [...document.querySelectorAll("main button, main .button, main select, main textarea, main .chip,"
          + " main input:not([type=hidden]):not([type=radio]):not([type=checkbox])")]
          .filter((e) => e.checkVisibility() && !e.classList.contains("visually-hidden"))
          .filter((e) => e.getBoundingClientRect().height < 44)
          .map((e) => e.outerHTML.slice(0, 120))"""
    )


async def screenshot(page: Page, name: str) -> None:
    """Kept when HUB_SCREENSHOTS names a folder."""
    folder = os.environ.get("HUB_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)
