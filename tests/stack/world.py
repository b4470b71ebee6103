"""A whole world for a test: the hub's processes, a PagerDuty, a callback sink, a person who answers, and the oracle
that holds all their stories against each other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from core.access import keys, organisations, people, sessions
from core.access.roles import Role
from core.access.sealing import Sealer
from core.db.engine import Database
from core.db.migrate import upgrade
from core.db.unit_of_work import UnitOfWork
from core.tasks.model import Environment
from core.workers import actions as workers
from core.workers.model import NewWorker
from hub.demo.fake_pagerduty import PagerDuty, Subscription, app, deliver
from hub.wiring import own_key
from tests.fakes.pagerduty import FaultyPagerDuty
from tests.fakes.sink import Sink, serve_sink
from tests.stack.processes import Processes, running

CONNECTOR = "demo-oncall"
TOKEN = "test-token"
WEBHOOK_SECRET = "test-webhook-secret"
GOOD = {"severity": "minor", "action": "watch", "summary": "The error rate is falling since the last deploy."}


@dataclass
class World:
    """`acked` are the ids that somebody was promised: tasks by the API, deliveries by the webhook route."""

    hub: Processes
    database: Database
    work: UnitOfWork
    pagerduty: FaultyPagerDuty
    subscription: Subscription
    sink: Sink
    api_key: str
    tokens: list[str]
    acked: list[str] = field(default_factory=list)

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """POST /v1/tasks as a client that never gives up: the same key until there is an answer."""
        headers = {"Authorization": f"Bearer {self.api_key}"}
        for _ in range(1800):
            try:
                async with (
                    aiohttp.ClientSession(headers=headers) as http,
                    http.post(f"{self.hub.url}/v1/tasks", json=body) as answer,
                ):
                    if answer.status in (200, 201):
                        task = await answer.json()
                        self.acked.append(task["id"])
                        return task
                    assert answer.status >= 500, await answer.text()
            except (aiohttp.ClientError, OSError):
                pass
            await asyncio.sleep(0.1)
        raise AssertionError("the hub never took the task")

    async def get(self, task_id: str) -> dict[str, Any] | None:
        headers = {"Authorization": f"Bearer {self.api_key}"}
        try:
            async with (
                aiohttp.ClientSession(headers=headers) as http,
                http.get(f"{self.hub.url}/v1/tasks/{task_id}") as answer,
            ):
                return await answer.json() if answer.status == 200 else None
        except (aiohttp.ClientError, OSError):
            return None

    async def raise_incident(self, title: str = "Checkout API: error rate above 5 %") -> str:
        """An incident at PagerDuty; its webhook is delivered by `deliver_webhooks`."""
        return self.pagerduty.world.trigger(title, priority="P2")["id"]

    async def deliver_webhooks(self) -> None:
        """PagerDuty's own loop, until cancelled."""
        async with aiohttp.ClientSession() as http:
            while True:
                await deliver(self.subscription, http)
                await asyncio.sleep(0.1)

    async def answer_everything(self, output: dict[str, Any] | None = None) -> None:
        """The people: take what is offered, answer it, until cancelled."""
        await asyncio.gather(*(self._person(token, output or GOOD) for token in self.tokens))

    async def _person(self, token: str, output: dict[str, Any]) -> None:
        base = f"{self.hub.url}/worker/api"
        while True:
            try:
                async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
                    async with http.get(f"{base}/offers") as answer:
                        offers = (await answer.json())["data"] if answer.status == 200 else []
                    for offer in offers:
                        async with http.post(f"{base}/assignments/{offer['id']}/accept", json={}):
                            pass
                    async with http.get(f"{base}/work") as answer:
                        mine = (await answer.json())["data"] if answer.status == 200 else []
                    for one in mine:
                        async with http.post(
                            f"{base}/assignments/{one['id']}/answer", json={"output": output}
                        ):
                            pass
            except (aiohttp.ClientError, OSError):
                pass
            await asyncio.sleep(0.1)


@asynccontextmanager
async def world(
    folder: Path, database_url: str, *, people_count: int = 2, lease_seconds: int = 3
) -> AsyncIterator[World]:
    database = Database(database_url)
    await upgrade(database)
    work = UnitOfWork(database)
    sealer = Sealer([own_key(folder)])
    api_key, tokens = await seed(work, sealer, people_count)
    fake = FaultyPagerDuty(PagerDuty(TOKEN))
    fake.world.add_user("Hub bot", "hub-bot@demo.example", "PHUBBOT")
    root = web.Application()
    root.add_subapp("/pagerduty", app(fake.world, [fake.middleware]))
    runner = web.AppRunner(root, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    env = {
        "PAGERDUTY_API_TOKEN": TOKEN,
        "PAGERDUTY_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "HUB_SIMULATOR_URL": fake.url,
        "HUB__JOBS__LEASE_SECONDS": str(lease_seconds),
        "HUB__TARGETS__ALLOW": "127.0.0.0/8",
    }
    try:
        async with serve_sink() as sink, running(folder, database_url, env) as processes:
            subscription = Subscription(
                f"{processes.url}/hooks/in/{CONNECTOR}", [WEBHOOK_SECRET], retry_every=0.3
            )
            fake.world.subscribe(subscription)
            yield World(processes, database, work, fake, subscription, sink, api_key, tokens)
    finally:
        fake.released.set()
        await runner.cleanup()
        await database.close()


async def seed(work: UnitOfWork, sealer: Sealer, people_count: int) -> tuple[str, list[str]]:
    async with work.begin("test.seed") as tx:
        organisation = await organisations.create(
            tx, name="demo", plan="pay_as_you_go", sealer=sealer, actor="test"
        )
        minted = await keys.mint(tx, organisation.id, Environment.TEST, name="test", actor="test")
        tokens: list[str] = []
        for number in range(people_count):
            person = await people.create(
                tx, role=Role.WORKER, name=f"Person {number}", email=f"p{number}@test.example", actor="test"
            )
            await workers.create(
                tx,
                NewWorker(
                    person_id=person.id,
                    environment=Environment.TEST,
                    tier=4,
                    reliability=0.9,
                    capacity=5,
                    skills=frozenset({"incident_triage", "general", "refund_review"}),
                    available=True,
                    payout_address=f"person-{number}@sandbox.test",
                ),
                actor="test",
            )
            tokens.append((await sessions.open_session(tx, person)).token.reveal())
    return minted.secret.reveal(), tokens


def in_ci() -> bool:
    return os.environ.get("CI") == "true"
