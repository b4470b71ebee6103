"""The five simulated workers: clients of the worker API like any other, each with a temper. They serve every task of
the test environment, so that `ek_test_` keys never reach a person."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import aiohttp
import msgspec

from hub.demo import answers

log = logging.getLogger(__name__)


class Temper(msgspec.Struct, frozen=True, kw_only=True):
    """How one simulated person works. Seconds per answer; `care` is the chance of a consistent answer; `decline` of
    saying no; two with the same `seed_shared` give the same answers: the colluding pair."""

    name: str
    seconds: tuple[float, float]
    care: float
    decline: float = 0.0
    seed_shared: int | None = None


TEMPERS = (
    Temper(name="careful", seconds=(2.0, 4.0), care=1.0),
    Temper(name="fast", seconds=(0.3, 0.8), care=0.95),
    Temper(name="sloppy", seconds=(0.5, 1.5), care=0.5, decline=0.1),
    Temper(name="copycat-a", seconds=(1.0, 2.0), care=1.0, seed_shared=7),
    Temper(name="copycat-b", seconds=(1.0, 2.0), care=1.0, seed_shared=7),
)


class SimulatedPerson:
    """Signed in with a session token; asks for offers, takes them, answers them, until cancelled."""

    def __init__(self, temper: Temper, base_url: str, token: str, *, speed: float, seed: int):
        self._temper = temper
        self._base = f"{base_url}/worker/api"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._speed = speed
        self._dice = random.Random(f"{temper.name}:{seed}")

    async def live(self) -> None:
        async with aiohttp.ClientSession(headers=self._headers) as http:
            while True:
                try:
                    busy = await self._turn(http)
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    log.info("%s cannot reach the hub: %r", self._temper.name, error)
                    busy = False
                await asyncio.sleep(0.05 if busy else 0.5)

    async def _turn(self, http: aiohttp.ClientSession) -> bool:
        work = await self._get(http, "/work")
        for one in work:
            await self._answer(http, one["id"])
        for offer in await self._get(http, "/offers"):
            if self._dice.random() < self._temper.decline:
                await self._post(http, f"/assignments/{offer['id']}/decline")
                continue
            if await self._post(http, f"/assignments/{offer['id']}/accept"):
                await self._answer(http, offer["id"])
                return True
        return bool(work)

    async def _answer(self, http: aiohttp.ClientSession, assignment: str) -> None:
        async with http.get(f"{self._base}/assignments/{assignment}") as response:
            if response.status != 200:
                return
            task = await response.json()
        await asyncio.sleep(self._dice.uniform(*self._temper.seconds) / self._speed)
        for _ in range(3):
            if await self._post(http, f"/assignments/{assignment}/answer", {"output": self._output(task)}):
                return
        await self._post(http, f"/assignments/{assignment}/release")

    def _output(self, task: dict[str, Any]) -> Any:
        shared = self._temper.seed_shared
        dice = self._dice if shared is None else random.Random(f"{shared}:{task['id']}")
        if task["taskType"] == "incident_triage":
            return answers.triage(dice, care=self._temper.care)
        return answers.answer(task["schema"], dice)

    async def _get(self, http: aiohttp.ClientSession, path: str) -> list[dict[str, Any]]:
        async with http.get(self._base + path) as response:
            if response.status != 200:
                return []
            return (await response.json())["data"]

    async def _post(self, http: aiohttp.ClientSession, path: str, body: Any = None) -> bool:
        async with http.post(self._base + path, json=body if body is not None else {}) as response:
            if response.status >= 400:
                log.info("%s: %s answered %d", self._temper.name, path, response.status)
            return response.status < 400
