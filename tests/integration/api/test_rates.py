"""A new task is priced with the exchange rate: a live one, one of the last day, or none at all."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from core import clock
from core.rates import records
from core.rates.decide import agreed
from core.rates.model import Judged
from core.rates.records import Decision
from core.tasks.tables import Task
from hub import rate_rules
from hub.rate_feed import RateFeed
from hub.services import Services
from hub.settings import Rates
from tests.factories import problems
from tests.integration.api.conftest import Tenant, client_for, refund, serving

NOWHERE = {"url": "http://10.0.0.1/"}  # refused before anything leaves


def live(services: Services, **settings: Any) -> Services:
    """With live sources, of which none answers."""
    names = ["kraken", "bitstamp", "mempool"]
    block = Rates(sources=names, options=dict.fromkeys(names, NOWHERE), **settings)
    rules = rate_rules.read(block, real_money=False)
    return dataclasses.replace(services, rates=RateFeed(services.work, services.outbound.get, rules))


async def decided(services: Services, price: str, ago: timedelta) -> None:
    at_ms = clock.to_ms(clock.now() - ago)
    samples = [Judged(source=name, usd_per_btc=Decimal(price), at_ms=at_ms) for name in ("kraken", "mempool")]
    async with services.work.begin("test.decide") as tx:
        found = agreed(Decimal(price), samples, at_ms)
        await records.keep(tx, Decision(decided_ms=at_ms, found=found))


async def create(services: Services, tenant: Tenant, **changes: Any) -> httpx.Response:
    async with serving(services) as app, client_for(app, tenant.test) as client:
        return await client.post("/v1/tasks", json=refund(**changes))


async def the_task(services: Services) -> Task:
    async with services.work.read() as session:
        return (await session.scalars(select(Task))).one()


@pytest.mark.parametrize(
    "payout", [{"currency": "USD", "maxAmount": 0.50}, {"currency": "SATS", "maxAmount": 500}]
)
async def test_without_any_rate_nothing_is_created(
    services: Services, tenant: Tenant, payout: dict[str, Any]
) -> None:
    """Satoshis too: the fee's minimum is in dollars."""
    answer = await create(live(services), tenant, payout=payout)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert answer.json()["error"] == {
        "type": "internal_error",
        "code": "no_rate",
        "message": "There is no exchange rate of the last 24 hours to price a task with; nothing was created. "
        "Try again in 30 seconds.",
    }
    async with services.work.read() as session:
        assert (await session.scalars(select(Task))).all() == []


async def test_a_reservation_may_rest_on_a_rate_of_the_last_day(services: Services, tenant: Tenant) -> None:
    await decided(services, "50000", timedelta(hours=23))
    answer = await create(live(services), tenant)
    assert answer.status_code == 201
    task = await the_task(services)
    assert (task.payout_msat, task.fee_msat, task.spread_msat) == (1_000_000, 200_000, 0)


async def test_an_older_one_is_none(services: Services, tenant: Tenant) -> None:
    await decided(services, "50000", timedelta(hours=25))
    assert (await create(live(services), tenant)).status_code == 503


async def test_the_spread_is_reserved_with_the_fee(services: Services, tenant: Tenant) -> None:
    await decided(services, "50000", timedelta(seconds=5))
    answer = await create(live(services, spread_percent=Decimal("0.15")), tenant)
    assert answer.status_code == 201
    task = await the_task(services)
    assert (task.payout_msat, task.fee_msat, task.spread_msat) == (1_000_000, 200_000, 2_000)  # 1.5 sat, up
    assert (task.funded, task.reserved_msat) == (True, 1_202_000)
    assert await problems(services.work) == []
