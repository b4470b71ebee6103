"""The simulator process of the demo: PagerDuty and the webhook catcher behind a unix socket (the hub passes
`/demo/…` on to it, so that everything is on one port), incidents that come by themselves, agents that ask through the
API, and the five simulated workers. Started by `hub demo` through `hub demo-simulator`."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from hub.demo import answers
from hub.demo.catcher import Catcher
from hub.demo.fake_pagerduty import PagerDuty, Subscription, app, deliver_for_ever
from hub.demo.people import TEMPERS, SimulatedPerson

log = logging.getLogger(__name__)

BOT_ID = "PHUBBOT"
MOST_INCIDENTS = 1_000  # a demo that is forgotten over a weekend does not fill the disk

_TROUBLES = tuple(answers.INCIDENTS)
_REASONS = ("Item arrived damaged", "Wrong size", "Never arrived", "Changed my mind after 40 days")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to simulate. `tokens` are the workers' sessions by name; `every` is the pause between incidents in
    seconds; `speed` divides all waiting."""

    base_url: str
    socket: str
    api_key: str
    webhook_secret: str
    pagerduty_token: str
    pagerduty_secret: str
    pagerduty_user: str
    connector: str
    tokens: dict[str, str]
    every: float = 15.0
    speed: float = 1.0
    seed: int = 7


async def run(plan: Plan) -> None:
    """Until cancelled."""
    world = PagerDuty(plan.pagerduty_token)
    world.add_user("Hub bot", plan.pagerduty_user, BOT_ID)
    responder = world.add_user("On-call engineer", "oncall@demo.example")
    world.subscribe(Subscription(f"{plan.base_url}/hooks/in/{plan.connector}", [plan.pagerduty_secret]))
    catcher = Catcher(plan.webhook_secret)
    root = web.Application(client_max_size=4 * 1024 * 1024)
    root.add_subapp("/pagerduty", app(world))
    root.add_subapp("/catcher", catcher.app())
    runner = web.AppRunner(root)
    await runner.setup()
    path = Path(plan.socket)
    path.unlink(missing_ok=True)
    await web.UnixSite(runner, plan.socket).start()
    try:
        await _until_ready(plan.base_url)
        async with asyncio.TaskGroup() as group:
            group.create_task(deliver_for_ever(world.subscriptions))
            group.create_task(_incidents(plan, world, responder))
            group.create_task(_agents(plan))
            for temper in TEMPERS:
                if temper.name in plan.tokens:
                    person = SimulatedPerson(
                        temper, plan.base_url, plan.tokens[temper.name], speed=plan.speed, seed=plan.seed
                    )
                    group.create_task(person.live())
    finally:
        await runner.cleanup()
        path.unlink(missing_ok=True)


async def _until_ready(base_url: str) -> None:
    async with aiohttp.ClientSession() as http:
        while True:
            try:
                async with http.get(f"{base_url}/readyz") as response:
                    if response.status == 200:
                        return
            except (aiohttp.ClientError, OSError) as error:
                log.debug("the hub is not up yet: %r", error)
            await asyncio.sleep(0.1)


async def _incidents(plan: Plan, world: PagerDuty, responder: dict[str, Any]) -> None:
    dice = random.Random(plan.seed)
    for _ in range(MOST_INCIDENTS):
        world.trigger(dice.choice(_TROUBLES), priority=dice.choice(["P1", "P1", "P2", "P3"]), agent=responder)
        await asyncio.sleep(plan.every / plan.speed)


async def _agents(plan: Plan) -> None:
    """An AI agent that asks about refunds through the published API, with a callback to the catcher."""
    dice = random.Random(plan.seed + 1)
    headers = {"Authorization": f"Bearer {plan.api_key}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        for number in range(MOST_INCIDENTS):
            order = f"order-{dice.randint(10_000, 99_999)}"
            body = {
                "idempotencyKey": f"demo-{secrets.token_hex(4)}-{number}",
                "taskType": "refund_eligibility",
                "payload": {"orderId": order, "orderTotal": 89.99, "reason": dice.choice(_REASONS)},
                "outputSchema": {
                    "type": "object",
                    "required": ["eligible", "notes"],
                    "properties": {
                        "eligible": {"type": "boolean"},
                        "notes": {"type": "string", "minLength": 10, "maxLength": 400},
                    },
                },
                "payout": {"currency": "USD", "maxAmount": 0.50},
                "slaSeconds": 600,
                "callbackUrl": f"{plan.base_url}/demo/catcher/",
            }
            try:
                async with http.post(f"{plan.base_url}/v1/tasks", json=body) as response:
                    if response.status >= 400:
                        log.warning("POST /v1/tasks answered %d: %s", response.status, await response.text())
            except (aiohttp.ClientError, OSError) as error:
                log.info("the hub is away: %r", error)
            await asyncio.sleep(plan.every / plan.speed)
