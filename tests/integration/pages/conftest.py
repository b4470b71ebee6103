"""The pages and the worker API over a real database, with people who are signed in. The application is built as in
tests/integration/api."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from html import unescape
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from core import clock, ids
from core.access import people, sessions
from core.access.roles import Role
from core.db.unit_of_work import Transaction
from core.intake.tables import TaskMessage
from core.tasks.model import Environment
from core.workers import actions as workers
from core.workers.model import NewWorker
from hub.services import Services
from tests.factories_routing import Hub, a_task, an_organisation
from tests.integration.api.conftest import BASE, app, services, serving, sink

__all__ = ["app", "services", "serving", "sink"]

ORIGIN = {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}
HTML = {"Accept": "text/html"}


class Who(msgspec.Struct, kw_only=True):
    """Somebody who is signed in: `http` carries the cookie, `token` is the session, `link` an unused one-time link."""

    id: str
    app: Litestar
    http: httpx.AsyncClient
    token: str
    csrf: str
    link: str

    async def post(self, path: str, **fields: Any) -> httpx.Response:
        """As a browser posts a form of ours."""
        return await self.http.post(path, data={"_csrf_token": self.csrf, **fields}, headers=ORIGIN | HTML)

    async def api(self, method: str, path: str, **options: Any) -> httpx.Response:
        """As a worker's client calls the API."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        async with client_for(self.app, headers=headers) as http:
            return await http.request(method, f"/worker/api{path}", **options)


class Stage(msgspec.Struct, kw_only=True):
    """An organisation, a worker and an operator, and the jobs that bring offers."""

    hub: Hub
    services: Services
    organisation: str
    worker: Who
    operator: Who
    other: Who

    async def offer(self, kind: str = "incident_triage", **values: Any) -> str:
        """Post a task and bring it to a worker; the id of the task."""
        found = self.services.types.get(kind)
        if found.output_schema is not None:
            values.setdefault("output_schema", found.output_schema)
        async with self.services.work.begin("test.task") as tx:
            task_id = await a_task(tx, self.organisation, kind=found, skills=[], **values)
        await self.hub.drain()
        return task_id

    async def assignment(self, task_id: str) -> str:
        """The id of the worker's assignment of that task."""
        [mine] = [one for one in await self.hub.assignments(task_id) if one.worker_id == self.worker.id]
        return mine.id


def client_for(app: Litestar, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url=BASE, **options
    )


async def sign_in(app: Litestar, services: Services, tx: Transaction, person_id: str) -> Who:
    person = await people.get(tx.session, person_id)
    opened = await sessions.open_session(tx, person)
    await tx.session.flush()
    found = await sessions.find(tx.session, opened.token.reveal())
    assert found is not None
    http = client_for(app, cookies={"__Host-hub_session": opened.token.reveal()})
    link = await sessions.make_link(tx, person_id, actor="test")
    return Who(
        id=person_id,
        app=app,
        http=http,
        token=opened.token.reveal(),
        csrf=found.csrf_token,
        link=link.reveal(),
    )


@pytest.fixture
async def stage(app: Litestar, services: Services) -> AsyncGenerator[Stage]:
    async with services.work.begin("test.people") as tx:
        organisation = await an_organisation(tx)
        someone = {
            name: await people.create(tx, role=role, name=name, email=f"{name}@example.test", actor="test")
            for name, role in (("Ana", Role.WORKER), ("Otto", Role.OPERATOR), ("Vic", Role.WORKER))
        }
        for name, available in (("Ana", True), ("Vic", False)):
            new = NewWorker(
                person_id=someone[name].id,
                environment=Environment.TEST,
                available=available,
                capacity=3,
                reliability=0.9,
                skills=frozenset({"incident_triage", "refund_review", "general"}),
            )
            await workers.create(tx, new, actor="test")
        who = {name: await sign_in(app, services, tx, person.id) for name, person in someone.items()}
    hub = Hub(services.work, *services.types, rate=services.rate())
    yield Stage(
        hub=hub,
        services=services,
        organisation=organisation,
        worker=who["Ana"],
        operator=who["Otto"],
        other=who["Vic"],
    )
    for one in who.values():
        await one.http.aclose()


def words(html: str) -> str:
    """What a person reads of a page: without tags, blanks collapsed."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html))).strip()


async def said(stage: Stage, task_id: str, *messages: tuple[str | None, str]) -> None:
    """(author, text) that were added to the ticket of this task, in this order."""
    async with stage.services.work.begin("test.said") as tx:
        for number, (author, text) in enumerate(messages):
            tx.session.add(
                TaskMessage(
                    id=ids.new("msg"),
                    task_id=task_id,
                    item_id=f"part-{number}",
                    author=author,
                    text=text,
                    at=clock.now(),
                )
            )
            await tx.session.flush()
