"""The five simulated workers: clients of the worker API like any other, each with a temper. They serve every task of
the test environment, so that `ek_test_` keys never reach a person. `COLLEAGUES` answered before (`past.py`) and are away."""

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
    """How one simulated person works. `seconds` an answer; `skill` is how often somebody who reads the question is right,
    None for who does not read it; `care` the chance that a guess is at least consistent; `decline` of saying no; two with
    the same `seed_shared` give the same answers: the colluding pair."""

    name: str
    seconds: tuple[float, float]
    skill: float | None = None
    care: float = 1.0
    decline: float = 0.0
    seed_shared: int | None = None


TEMPERS = (
    Temper(name="careful", seconds=(2.0, 4.0), skill=0.97),
    Temper(name="fast", seconds=(1.2, 1.8), skill=0.92),
    Temper(name="sloppy", seconds=(0.1, 0.2), care=0.8, decline=0.1),
    Temper(name="copycat-a", seconds=(1.5, 2.5), seed_shared=7),
    Temper(name="copycat-b", seconds=(1.5, 2.5), seed_shared=7),
)
COLLEAGUES = (
    Temper(name="mira", seconds=(1.8, 3.5), skill=0.9),
    Temper(name="jonas", seconds=(2.0, 4.5), skill=0.88),
)


def output_of(temper: Temper, task: dict[str, Any], dice: random.Random) -> Any:
    """What this person answers to a task as the worker API shows it (`id`, `taskType`, `payload`, `schema`)."""
    if temper.seed_shared is not None:
        dice = random.Random(f"{temper.seed_shared}:{task['id']}")
    payload = task["payload"]
    if task["taskType"] == "incident_triage":
        if temper.skill is None:
            found = answers.triage(dice, care=temper.care)
            return found if temper.seed_shared is None else {**found, "summary": answers.own_words(dice)}
        return answers.read_triage(str(payload.get("title", "")), dice, skill=temper.skill)
    found = answers.answer(task["schema"], dice)
    if task["taskType"] == "refund_eligibility" and temper.skill is not None and "eligible" in found:
        right = payload.get("reason") in answers.REFUNDED
        found["eligible"] = right if dice.random() < temper.skill else not right
    return found


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
            if await self._post(
                http,
                f"/assignments/{assignment}/answer",
                {"output": output_of(self._temper, task, self._dice)},
            ):
                return
        await self._post(http, f"/assignments/{assignment}/release")

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
