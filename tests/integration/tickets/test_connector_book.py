"""Connector files that change while the hub runs: swapped as a whole, a broken change leaves the former in use."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import hmac
import os
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from connectors.config import ConnectorConfig
from core.db.unit_of_work import UnitOfWork
from core.errors import Misconfigured, Unavailable
from core.intake import records
from core.intake.tables import InboundEvent
from core.repairs.queries import still_open
from hub import config_files
from hub.connector_book import ConnectorBook
from hub.services import Services
from hub.wiring import watch_files
from tests.integration.api.conftest import CONFIG, client_for, services, serving, sink
from tests.wait import wait_until

__all__ = ["services", "sink"]

SECRET = "old-secret"
EXAMPLE = Path(__file__).parents[1] / "connectors_cli/pagerduty.yaml"
BODY = b'{"event": {"id": "%s", "event_type": "pagey.ping", "data": {"id": "P1"}}}'


class Files:
    """A configuration folder that a test writes into."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.connectors = folder / "connectors"
        self.connectors.mkdir()
        self.secret = folder / "webhook.secret"
        self.secret.write_text(SECRET)
        self.text = EXAMPLE.read_text().replace("[env:PAGERDUTY_WEBHOOK_SECRET]", f"[file:{self.secret}]")
        self._times = 0
        self.write("desk.yaml", self.text)

    def write(self, name: str, text: str) -> None:
        """As a deployment does: the whole file at once, under another number."""
        new = self.folder / f"{name}.new"
        new.write_text(text)
        self._times += 1
        os.utime(new, ns=(self._times, self._times))
        new.rename(self.connectors / name)

    def load(self) -> dict[str, ConnectorConfig]:
        return config_files.connectors(self.folder, {"PAGERDUTY_API_TOKEN": "token"})

    def book(self) -> ConnectorBook:
        return ConnectorBook(self.folder, self.load)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    folder = tmp_path / "config"
    folder.mkdir()
    shutil.copytree(CONFIG / "connectors/fixtures", tmp_path / "fixtures")
    return Files(folder)


class Told:
    """What a watch says; `away` makes it fail as a database that does not answer."""

    def __init__(self) -> None:
        self.changes = 0
        self.broken: list[str] = []
        self.away = 0

    def _fail(self) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable("database_unavailable", "not now")

    async def on_change(self) -> None:
        self._fail()
        self.changes += 1

    async def on_broken(self, error: Misconfigured) -> None:
        self._fail()
        self.broken.append(error.message)


Watch = Callable[[ConnectorBook], Awaitable[Told]]


@pytest.fixture
async def watch() -> AsyncGenerator[Watch]:
    running: list[asyncio.Task[None]] = []

    async def start(book: ConnectorBook) -> Told:
        told = Told()
        running.append(asyncio.create_task(book.watch(told.on_change, told.on_broken, every=0.01)))
        await wait_until(lambda: told.changes == 1)  # what is in use from the start
        return told

    yield start
    for one in running:
        assert not one.done()
        one.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def secrets(book: ConnectorBook) -> list[str]:
    found = book["demo-oncall"].settings.auth.webhook_secrets.entries  # pyright: ignore[reportAttributeAccessIssue] -- PagerDuty's settings
    return [one.secret.reveal() for one in found]


def test_nothing_changed(files: Files) -> None:
    book = files.book()
    before = book["demo-oncall"]

    assert not book.refresh()
    assert book["demo-oncall"] is before
    assert list(book) == ["demo-oncall"]


def test_a_changed_file_is_in_use_as_a_whole(files: Files) -> None:
    book = files.book()
    files.write("desk.yaml", files.text.replace("mode: live", "mode: shadow"))

    assert book.refresh()
    assert book["demo-oncall"].settings.mode == "shadow"
    assert not book.refresh()


def test_a_broken_change_leaves_the_former_in_use_and_is_said_once(files: Files) -> None:
    book = files.book()
    files.write("desk.yaml", files.text.replace("mode: live", "mode: alive"))

    with pytest.raises(Misconfigured, match=r"desk\.yaml:7: mode"):
        book.refresh()
    assert not book.refresh()
    assert book["demo-oncall"].settings.mode == "live"

    files.write("desk.yaml", files.text)
    assert book.refresh()


def test_a_file_that_is_no_text(files: Files) -> None:
    book = files.book()
    (files.connectors / "other.yaml").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(Misconfigured, match=r"other\.yaml: not UTF-8"):
        book.refresh()


def test_a_hub_does_not_start_with_half_of_its_connectors(files: Files) -> None:
    files.write("desk.yaml", "version: 1")

    with pytest.raises(Misconfigured):
        files.book()


def test_a_secret_file_is_rotated(files: Files) -> None:
    book = files.book()
    assert secrets(book) == [SECRET]

    files.secret.write_text("new-secret")
    assert book.refresh()
    assert secrets(book) == ["new-secret"]

    files.secret.unlink()
    assert book.refresh()
    assert secrets(book) == [""]  # disabled, and said by a warning
    assert book["demo-oncall"].warnings


def test_files_come_and_go(files: Files) -> None:
    book = files.book()
    files.write("second.yaml", files.text.replace("id: demo-oncall", "id: second"))
    assert book.refresh()
    assert sorted(book) == ["demo-oncall", "second"]

    (files.connectors / "desk.yaml").unlink()
    assert book.refresh()
    assert (list(book), len(book), "demo-oncall" in book) == (["second"], 1, False)

    files.write("twin.yaml", files.text.replace("id: demo-oncall", "id: second"))
    with pytest.raises(Misconfigured, match="used by another file"):
        book.refresh()


async def test_a_watch_tells_of_changes_and_of_what_is_broken(files: Files, watch: Watch) -> None:
    told = await watch(files.book())

    files.write("desk.yaml", "version: 1")
    await wait_until(lambda: len(told.broken) == 1)
    files.write("desk.yaml", files.text)
    await wait_until(lambda: told.changes == 2)
    assert (len(told.broken), told.changes) == (1, 2)


async def test_a_watch_tells_again_when_the_database_was_away(files: Files, watch: Watch) -> None:
    told = await watch(files.book())

    told.away = 3
    files.write("desk.yaml", "version: 1")
    await wait_until(lambda: len(told.broken) == 1)
    told.away = 3
    files.write("desk.yaml", files.text)
    await wait_until(lambda: told.changes == 2)


async def test_a_broken_change_is_a_repair_item_until_it_is_mended(work: UnitOfWork, files: Files) -> None:
    async def repairs() -> list[tuple[str, str]]:
        async with work.read() as session:
            return [(one.subject, one.kind) for one in await still_open(session)]

    async def known() -> bool:
        async with work.read() as session:
            return await records.named(session, "demo-oncall") is not None

    watching = asyncio.create_task(watch_files(work, files.book(), every=0.01))
    await wait_until(known)
    files.write("desk.yaml", "version: 1")
    await wait_until(repairs)
    assert await repairs() == [("connectors", "configuration")]
    files.write("desk.yaml", files.text)

    async def mended() -> bool:
        return await repairs() == []

    await wait_until(mended)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_no_delivery_is_lost_while_files_change(services: Services, files: Files, watch: Watch) -> None:
    """Posts without a pause while the file is rewritten, rotated and broken: each is answered 202 and stored."""
    book = files.book()
    await watch(book)
    sent: list[str] = []
    stop = asyncio.Event()

    async def change() -> None:
        for number in range(12):
            files.write("desk.yaml", files.text.replace("urgent-incident", f"urgent-{number}"))
            await asyncio.sleep(0.02)
            files.write("desk.yaml", "broken: [")
            await asyncio.sleep(0.02)
        stop.set()

    async with serving(dataclasses.replace(services, connectors=book)) as app, client_for(app) as http:
        changing = asyncio.create_task(change())
        while not stop.is_set():
            name = f"e{len(sent)}"
            body = BODY % name.encode()
            mac = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
            headers = {"X-PagerDuty-Signature": f"v1={mac}"}
            answer = await http.post("/hooks/in/demo-oncall", content=body, headers=headers)
            assert answer.status_code == 202
            sent.append(name)
        await changing

    async with services.work.read() as session:
        stored = set(await session.scalars(select(InboundEvent.delivery_id)))
    assert stored == set(sent)
    assert len(sent) > 12
