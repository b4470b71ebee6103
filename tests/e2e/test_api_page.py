"""The API's documentation page in a real browser: every operation is drawn under the strict policy, and nothing is
loaded from elsewhere or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from core.db.engine import Database
from core.db.migrate import upgrade
from hub.api import schema
from tests.e2e.browser import DESKTOP, browser, need_chromium, watch
from tests.stack.processes import ROOT, Processes, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


async def test_the_page_draws_every_operation_from_our_own_files(tmp_path: Path) -> None:
    need_chromium()
    url = f"sqlite:///{tmp_path}/hub.db"
    database = Database(url)
    await upgrade(database)
    await database.close()
    port = free_port()
    environment = {
        "HUB_DATA_DIR": str(tmp_path),
        "HUB_DATABASE_URL": url,
        "HUB_CONFIG_DIR": str(ROOT / "config"),
        "HUB__SERVER__PORT": str(port),
    }
    web = Processes(tmp_path, environment, port)
    web.start("web")
    try:
        await web.ready()
        async with browser() as chromium:
            page = await (await chromium.new_context(viewport=DESKTOP)).new_page()
            complaints, asked = watch(page), list[str]()
            page.on("request", lambda request: asked.append(request.url))
            await page.goto(f"{web.url}/docs")
            operations = sum(len(item) for item in schema.document(web.url)["paths"].values())
            await expect(page.locator(".opblock")).to_have_count(operations)
            await page.locator("#operations-Tasks-createTask .opblock-summary-control").click()
            await expect(page.locator("#operations-Tasks-createTask")).to_contain_text("idempotencyKey")
    finally:
        web.stop_all()

    assert complaints == []
    assert len(asked) >= 5
    assert [address for address in asked if not address.startswith((web.url, "data:"))] == []
