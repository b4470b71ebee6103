"""`hub prepare`: what `hub demo` does to the database before its processes start: schema, people, the simulator's
plan. In a process of its own, so that the one which keeps the demo alive stays small."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import click

from core.db.migrate import upgrade
from hub.demo import seed
from hub.demo.prepared import Demo, Links, Prepared, hand_over, plan_file, write_private
from hub.demo.simulator import Plan
from hub.settings import Settings
from hub.settings_file import load_settings
from hub.wiring import wire


@click.command("prepare", hidden=True)
@click.option("--every", type=float, required=True)
@click.option("--speed", type=float, required=True)
def command(every: float, speed: float) -> None:
    """Bring the demo's database up to date, fill it, and leave what the other processes are told in the data folder."""
    asyncio.run(_prepare(every, speed))


async def _prepare(every: float, speed: float) -> None:
    settings, directory = load_settings()
    async with wire(settings, directory) as wiring:
        await upgrade(wiring.services.database)
        demo = await seed.seed(wiring.services, settings.folder)
        links = await seed.links(wiring.services, demo)
    plan = _plan(settings, os.environ, demo, links, every=every, speed=speed)
    write_private(plan_file(settings.folder), plan)
    hand_over(settings.folder, Prepared(demo=demo, links=links))


def _plan(
    settings: Settings,
    environment: Mapping[str, str],
    demo: Demo,
    links: Links,
    *,
    every: float,
    speed: float,
) -> Plan:
    return Plan(
        base_url=settings.public_url,
        socket=environment["HUB_SIMULATOR_SOCKET"],
        api_key=demo.api_key,
        webhook_secret=demo.webhook_secret,
        pagerduty_token=environment["PAGERDUTY_API_TOKEN"],
        pagerduty_secret=environment["PAGERDUTY_WEBHOOK_SECRET"],
        pagerduty_user="hub-bot@demo.example",
        connector="demo-oncall",
        tokens=links.sessions,
        every=every,
        speed=speed,
    )
