"""The whole hub between four helpdesks: each raises tickets, people answer, every ticket carries the answer exactly
once; with the hub killed and started again in between, with webhooks that never arrive, with every echo coming back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import select

from core.access.sealing import Sealer
from core.db.engine import Database
from core.db.migrate import upgrade
from core.db.unit_of_work import UnitOfWork
from core.intake.states import InboundState
from core.intake.tables import InboundEvent
from core.repairs.queries import still_open
from core.replies.states import ReplyState
from core.replies.tables import Reply
from core.tasks.tables import Task
from hub.demo import answers
from hub.wiring import own_key
from tests.stack.helpdesks import Helpdesk, configured, deliver_all, helpdesks
from tests.stack.processes import ARGUMENTS, Processes, running
from tests.stack.world import seed
from tests.wait import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

TICKETS = 3  # of each helpdesk


@dataclass
class Place:
    """`raised` holds (vendor, ticket) of everything that somebody asked."""

    hub: Processes
    work: UnitOfWork
    desks: dict[str, Helpdesk]
    tokens: list[str]
    raised: list[tuple[str, str]]

    def raise_everywhere(self, title: str) -> None:
        for vendor, desk in self.desks.items():
            self.raised.extend((vendor, desk.raise_ticket(f"{title} {n}")) for n in range(TICKETS))

    def restart(self) -> None:
        """kill -9 of every process, in the middle of whatever it does."""
        for name in ARGUMENTS:
            self.hub.kill(name)
        self.hub.start_all()

    async def answered(self) -> bool:
        """Every ticket has its task, and everything that was to be written into tickets is through."""
        async with self.work.read() as session:
            tasks = list(await session.scalars(select(Task)))
            replies = list(await session.scalars(select(Reply)))
            unread = await session.scalar(
                select(InboundEvent.id).where(InboundEvent.state == InboundState.RECEIVED)
            )
        through = {reply.task_id for reply in replies if reply.state == ReplyState.DELIVERED}
        waiting = [reply for reply in replies if reply.state != ReplyState.DELIVERED]
        return len(tasks) >= len(self.raised) and not waiting and len(through) == len(tasks) and not unread

    async def story(self) -> dict[str, list[Any]]:
        """What went wrong, under its name; all lists are empty when nothing did."""
        async with self.work.read() as session:
            tasks = list(await session.scalars(select(Task)))
            replies = list(await session.scalars(select(Reply)))
            events = list(await session.scalars(select(InboundEvent)))
            repairs = [f"{one.subject}: {one.message}" for one in await still_open(session)]
        notes = {
            (vendor, ticket): [text for text in self.desks[vendor].written(ticket) if "[hub:" in text]
            for vendor, ticket in self.raised
        }
        asked = [f"{task.connector} {task.ticket_id}" for task in tasks]
        return {
            "tickets without exactly one note": [key for key, found in notes.items() if len(found) != 1],
            "tasks that nobody asked for": sorted({one for one in asked if asked.count(one) > 1}),
            "tasks without a verified answer": [t.id for t in tasks if t.status != "verified"],
            "replies": [
                f"{r.connector} {r.step}: {r.state} {r.error}" for r in replies if r.state != "delivered"
            ],
            "deliveries": [f"{e.event_type}: {e.reason}" for e in events if e.state == InboundState.FAILED],
            "repairs": repairs,
        }


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    url = f"sqlite:///{folder}/hub.db"
    database = Database(url)
    await upgrade(database)
    work = UnitOfWork(database)
    _, tokens = await seed(work, Sealer([own_key(folder)]), 4)
    try:
        async with helpdesks() as desks:
            environment = {
                "HUB_CONFIG_DIR": str(configured(folder, desks)),
                "HUB__JOBS__LEASE_SECONDS": "3",
                "HUB__TARGETS__ALLOW": "127.0.0.0/8",
                **{name: value for desk in desks.values() for name, value in desk.environment.items()},
            }
            async with running(folder, url, environment) as hub:
                for desk in desks.values():
                    desk.connect(f"{hub.url}/hooks/in/{desk.connector_id}")
                yield Place(hub, work, desks, tokens, [])
    finally:
        await database.close()


async def people(at: Place) -> None:
    """Take what is offered and answer it as its form wants, until cancelled."""
    await asyncio.gather(*(_person(at.hub.url, token) for token in at.tokens))


def _agreed(task: dict[str, Any]) -> Any:
    """What everybody answers, since urgent tickets ask several people, who have to agree; it keeps the type's rules."""
    answer = answers.answer(task["schema"], random.Random(1))
    if isinstance(answer, dict) and "severity" in answer:
        answer |= {"severity": "minor", "action": "watch"}
    return answer


async def _person(url: str, token: str) -> None:
    while True:
        try:
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
                async with http.get(f"{url}/worker/api/offers") as answer:
                    offers = (await answer.json())["data"] if answer.status == 200 else []
                for offer in offers:
                    await http.post(f"{url}/worker/api/assignments/{offer['id']}/accept", json={})
                async with http.get(f"{url}/worker/api/work") as answer:
                    mine = (await answer.json())["data"] if answer.status == 200 else []
                for one in mine:
                    async with http.get(f"{url}/worker/api/assignments/{one['id']}") as answer:
                        task = await answer.json()
                    body = {"output": _agreed(task)}
                    await http.post(f"{url}/worker/api/assignments/{one['id']}/answer", json=body)
        except (aiohttp.ClientError, OSError):
            pass  # the hub is being killed; whoever gets no answer asks again
        await asyncio.sleep(0.1)


@asynccontextmanager
async def alive(*loops: Any) -> AsyncIterator[None]:
    running_loops = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for one in running_loops:
            one.cancel()
        await asyncio.gather(*running_loops, return_exceptions=True)


def nothing(story: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: found for name, found in story.items() if found}


async def test_every_ticket_gets_its_answer_once_though_the_hub_is_killed(tmp_path: Path) -> None:
    """Every webhook of what the hub writes comes back to it, and makes no task."""
    async with place(tmp_path) as at, alive(deliver_all(at.desks)):
        at.raise_everywhere("Before the first death")
        await wait_until(lambda: tasks_made(at, len(at.raised)), timeout=60)
        at.restart()
        async with alive(people(at)):
            at.raise_everywhere("While everything is dead")
            await wait_until(lambda: some_replies(at), timeout=60)
            at.restart()
            await wait_until(at.answered, timeout=120, every=0.3)
        assert nothing(await at.story()) == {}
        assert len(at.raised) == 2 * TICKETS * len(at.desks)


async def test_what_no_webhook_ever_brought_is_found(tmp_path: Path) -> None:
    """The hub is down while tickets are raised, and the senders have given up by the time it is back."""
    async with place(tmp_path) as at:
        for name in ARGUMENTS:
            at.hub.kill(name)
        for desk in at.desks.values():
            desk.connect("http://127.0.0.1:9/nobody")
        at.raise_everywhere("Nobody was told")
        at.hub.start_all()
        async with alive(people(at)):
            await wait_until(at.answered, timeout=120, every=0.3)
        assert nothing(await at.story()) == {}


async def tasks_made(at: Place, wanted: int) -> bool:
    async with at.work.read() as session:
        return len((await session.scalars(select(Task.id))).all()) >= wanted


async def some_replies(at: Place) -> bool:
    async with at.work.read() as session:
        return len((await session.scalars(select(Reply.id))).all()) >= TICKETS
