"""The organisation's money on both databases: strictly in order, never below zero, to the millisatoshi."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update

from core import clock, ids
from core.access.tables import Organisation
from core.billing import actions as billing
from core.billing.plans import Plan
from core.billing.usage import usage
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict, Invalid, NotFound
from core.money import Currency
from core.payouts.tables import Payout
from core.tasks.tables import Task
from tests.factories import (
    DOLLAR,
    PLAN,
    RATE,
    SAT,
    balance,
    earn,
    emitted,
    organisation,
    problems,
    task,
    worker,
)


async def test_a_new_organisation_has_accounts_and_test_money(work: UnitOfWork) -> None:
    async with work.begin("test.org") as tx:
        org = await organisation(tx)
    assert await balance(work, f"{org.id}:test:prefund") == billing.TEST_GRANT_MSAT
    assert await balance(work, f"{org.id}:live:prefund") == 0
    assert await problems(work) == []


async def test_a_credit_counts_once(work: UnitOfWork) -> None:
    async with work.begin("test.org") as tx:
        org = await organisation(tx)
    for expected in (True, False):
        async with work.begin("billing.credit") as tx:
            assert await billing.credit(tx, org.id, "live", 5 * DOLLAR, "wire 1", "test") is expected
    with pytest.raises(Conflict, match="other content"):
        async with work.begin("billing.credit") as tx:
            await billing.credit(tx, org.id, "live", 6 * DOLLAR, "wire 1", "test")
    assert await balance(work, f"{org.id}:live:prefund") == 5 * DOLLAR
    assert await balance(work, "hub:live:capital") == -5 * DOLLAR
    assert await emitted(work, "billing.credited") == [org.id]


async def test_a_credit_of_nothing_or_to_nobody_is_refused(work: UnitOfWork) -> None:
    async with work.begin("test.org") as tx:
        org = await organisation(tx)
        with pytest.raises(Invalid):
            await billing.credit(tx, org.id, "live", 0, "wire 1", "test")
        with pytest.raises(NotFound):
            await billing.credit(tx, "org_none", "live", 1, "wire 1", "test")


async def test_eight_credits_at_once_with_one_reference_count_once(work: UnitOfWork) -> None:
    async with work.begin("test.org") as tx:
        org = await organisation(tx)

    async def credit() -> bool:
        async with work.begin("billing.credit") as tx:
            return await billing.credit(tx, org.id, "live", DOLLAR, "wire 1", "test")

    assert sorted(await asyncio.gather(*(credit() for _ in range(8)))) == [False] * 7 + [True]
    assert await balance(work, f"{org.id}:live:prefund") == DOLLAR


async def waiting_tasks(work: UnitOfWork, amounts: list[str]) -> tuple[Organisation, list[Task]]:
    async with work.begin("test.tasks") as tx:
        org = await organisation(tx)
        names = sorted(ids.uuid7() for _ in amounts)  # those of one millisecond come in any order
        return org, [
            await task(tx, org, id=name, amount=amount, status="posted", funded=False)
            for name, amount in zip(names, amounts, strict=True)
        ]


async def test_waiting_tasks_are_funded_in_order_and_none_overtakes(work: UnitOfWork) -> None:
    # With the fee: 0.60, 6.00 and 0.60 dollars.
    org, tasks = await waiting_tasks(work, ["0.50", "5.00", "0.50"])
    async with work.begin("billing.credit") as tx:
        await billing.credit(tx, org.id, "live", 2 * DOLLAR, "wire 1", "test")
    async with work.begin("billing.fund_waiting") as tx:
        assert await billing.fund_waiting(tx, org.id, "live") == 1
    assert await emitted(work, "task.posted") == [tasks[0].id]
    assert await balance(work, f"{org.id}:live:prefund") == 1_400 * SAT
    async with work.begin("billing.credit") as tx:
        await billing.credit(tx, org.id, "live", 5_200 * SAT, "wire 2", "test")
    async with work.begin("billing.fund_waiting") as tx:
        assert await billing.fund_waiting(tx, org.id, "live") == 2
    async with work.begin("billing.fund_waiting") as tx:
        assert await billing.fund_waiting(tx, org.id, "live") == 0
    assert sorted(await emitted(work, "task.posted")) == [one.id for one in tasks]
    assert await balance(work, f"{org.id}:live:prefund") == 0
    assert await balance(work, f"{org.id}:live:reserved") == 7_200 * SAT
    assert await problems(work) == []


async def test_funding_twice_at_once_funds_once(work: UnitOfWork) -> None:
    org, tasks = await waiting_tasks(work, ["0.50"] * 5)
    async with work.begin("billing.credit") as tx:
        await billing.credit(tx, org.id, "live", 5 * DOLLAR, "wire 1", "test")

    async def fund() -> int:
        async with work.begin("billing.fund_waiting") as tx:
            return await billing.fund_waiting(tx, org.id, "live")

    assert sum(await asyncio.gather(*(fund() for _ in range(4)))) == 5
    assert sorted(await emitted(work, "task.posted")) == [one.id for one in tasks]
    assert await balance(work, f"{org.id}:live:prefund") == 2 * DOLLAR
    assert await problems(work) == []


async def test_a_long_queue_is_funded_in_batches(work: UnitOfWork) -> None:
    org, _ = await waiting_tasks(work, ["0.50"] * (billing.FUND_AT_ONCE + 1))
    async with work.begin("billing.credit") as tx:
        await billing.credit(tx, org.id, "live", 1_000 * DOLLAR, "wire 1", "test")
    for expected in (billing.FUND_AT_ONCE, 1):
        async with work.begin("billing.fund_waiting") as tx:
            assert await billing.fund_waiting(tx, org.id, "live") == expected
    assert await emitted(work, "billing.credited") == [org.id, org.id]  # the credit, and the full batch
    assert await problems(work) == []


async def end(work: UnitOfWork, task_: Task) -> int:
    async with work.begin("tasks.end") as tx:
        row = await tx.session.get_one(Task, task_.id)
        row.status = "cancelled"
        await tx.session.flush()
        return await billing.release(tx, row)


async def test_a_task_that_ends_without_an_answer_gives_everything_back(work: UnitOfWork) -> None:
    async with work.begin("test.tasks") as tx:
        org = await organisation(tx, balance_msat=DOLLAR)
        one = await task(tx, org, status="posted")
    assert await balance(work, f"{org.id}:live:prefund") == 400 * SAT
    assert await end(work, one) == 600 * SAT
    async with work.begin("test.again") as tx:
        assert await billing.release(tx, await tx.session.get_one(Task, one.id)) == 0
    assert await balance(work, f"{org.id}:live:prefund") == DOLLAR
    assert await problems(work) == []


async def test_a_release_gives_back_what_was_reserved_since_the_task_was_loaded(work: UnitOfWork) -> None:
    org, (one,) = await waiting_tasks(work, ["0.50"])
    async with work.begin("billing.credit") as tx:
        await billing.credit(tx, org.id, "live", DOLLAR, "wire 1", "test")
        await billing.fund_waiting(tx, org.id, "live")
    async with work.begin("tasks.end") as tx:
        await tx.session.execute(update(Task).where(Task.id == one.id).values(status="cancelled"))
        assert one.reserved_msat == 0  # loaded before it was funded
        assert await billing.release(tx, one) == 600 * SAT
    assert await balance(work, f"{org.id}:live:prefund") == DOLLAR
    assert await problems(work) == []


async def test_the_end_of_the_first_in_the_queue_wakes_those_behind(work: UnitOfWork) -> None:
    org, (dear, cheap) = await waiting_tasks(work, ["50.00", "0.50"])
    async with work.begin("billing.credit") as tx:
        await billing.credit(tx, org.id, "live", DOLLAR, "wire 1", "test")
    async with work.begin("billing.fund_waiting") as tx:
        assert await billing.fund_waiting(tx, org.id, "live") == 0
    await end(work, dear)
    assert await emitted(work, "billing.credited") == [org.id, org.id]
    async with work.begin("billing.fund_waiting") as tx:
        assert await billing.fund_waiting(tx, org.id, "live") == 1
    assert await emitted(work, "task.posted") == [cheap.id]


async def verify(
    work: UnitOfWork, task_: Task, worker_id: str, plan: Plan, rate: object = RATE
) -> Payout | None:
    async with work.begin("tasks.verify") as tx:
        row = await tx.session.get_one(Task, task_.id)
        row.status = "verified"
        row.ended_at = row.created_at + timedelta(seconds=90)
        await tx.session.flush()
        payout = await earn(tx, row, worker_id, plan, rate)  # type: ignore[arg-type] - other rates by their shape
        assert row.reserved_msat == 0
        return payout


async def test_at_verified_the_worker_earns_and_the_hub_takes_its_fee(work: UnitOfWork) -> None:
    async with work.begin("test.tasks") as tx:
        org, ana = await organisation(tx, balance_msat=DOLLAR), await worker(tx)
        one = await task(tx, org)
    payout = await verify(work, one, ana.id, PLAN)
    assert payout is not None
    assert (payout.amount_msat, payout.amount, payout.currency) == (500 * SAT, Decimal("0.50"), "USD")
    assert (payout.usd_per_btc, payout.rate_source) == (Decimal(100_000), "test")
    assert await balance(work, f"{org.id}:live:prefund") == 400 * SAT
    assert await balance(work, f"{org.id}:live:reserved") == 0
    assert await balance(work, f"{ana.id}:payable") == 500 * SAT
    assert await balance(work, "hub:live:fees") == 100 * SAT  # the minimum; 20 % would be the same
    assert await balance(work, "hub:live:exchange") == 0
    assert await emitted(work, "payout.reserved") == [payout.id]
    assert await problems(work) == []


async def test_of_several_verified_at_once_exactly_the_free_ones_are_free(work: UnitOfWork) -> None:
    plan = Plan(name="test", fee_percent=Decimal(20), fee_minimum_usd=Decimal("0.10"), free_tasks=10)
    async with work.begin("test.tasks") as tx:
        org = await organisation(tx, balance_msat=10 * DOLLAR, tasks_charged=7)
        ana = await worker(tx)
        tasks = [await task(tx, org) for _ in range(6)]
    await asyncio.gather(*(verify(work, one, ana.id, plan) for one in tasks))
    async with work.read() as session:
        assert (await session.get_one(Organisation, org.id)).tasks_charged == 13
    assert await balance(work, "hub:live:fees") == 3 * 100 * SAT  # three were free, three were not
    assert await balance(work, f"{org.id}:live:prefund") == (10_000 - 6 * 500 - 3 * 100) * SAT
    assert await problems(work) == []


async def test_a_test_task_uses_no_free_task_up(work: UnitOfWork) -> None:
    plan = Plan(name="test", fee_percent=Decimal(20), fee_minimum_usd=Decimal("0.10"), free_tasks=1)
    async with work.begin("test.tasks") as tx:
        org, ana = await organisation(tx), await worker(tx, environment="test")
        tasks = [await task(tx, org, environment="test") for _ in range(2)]
    for one in tasks:
        await verify(work, one, ana.id, plan)
    async with work.read() as session:
        assert (await session.get_one(Organisation, org.id)).tasks_charged == 0
    assert await balance(work, "hub:test:fees") == 0


def at(price: int) -> object:
    from core.rates.model import Rate

    return Rate(usd_per_btc=Decimal(price), source="test", at_ms=RATE.at_ms)


async def test_bitcoin_fell_the_balance_pays_the_difference(work: UnitOfWork) -> None:
    async with work.begin("test.tasks") as tx:
        org, ana = await organisation(tx, balance_msat=DOLLAR), await worker(tx)
        one = await task(tx, org)  # 500 + 100 sat reserved, 400 left
    await verify(work, one, ana.id, PLAN, at(80_000))  # 0.50 dollars are 625 sat now
    assert await balance(work, f"{ana.id}:payable") == 625 * SAT
    assert await balance(work, f"{org.id}:live:prefund") == 275 * SAT
    assert await balance(work, "hub:live:fees") == 100 * SAT
    assert await balance(work, "hub:live:exchange") == 0
    assert await problems(work) == []


async def test_beyond_the_balance_the_hub_pays(work: UnitOfWork) -> None:
    async with work.begin("test.tasks") as tx:
        org, ana = await organisation(tx, balance_msat=630 * SAT), await worker(tx)
        one = await task(tx, org)
    await verify(work, one, ana.id, PLAN, at(50_000))  # 1,000 sat now: 500 reserved, 30 in the balance
    assert await balance(work, f"{ana.id}:payable") == 1_000 * SAT
    assert await balance(work, f"{org.id}:live:prefund") == 0
    assert await balance(work, "hub:live:exchange") == -470 * SAT
    assert await problems(work) == []


async def test_bitcoin_rose_the_rest_goes_back(work: UnitOfWork) -> None:
    async with work.begin("test.tasks") as tx:
        org, ana = await organisation(tx, balance_msat=DOLLAR), await worker(tx)
        one = await task(tx, org)
    await verify(work, one, ana.id, PLAN, at(300_000))  # 166.67 sat, rounded down
    assert await balance(work, f"{ana.id}:payable") == 166 * SAT
    assert await balance(work, f"{org.id}:live:prefund") == 734 * SAT
    assert await problems(work) == []


async def test_satoshis_stay_what_they_are_without_a_rate(work: UnitOfWork) -> None:
    async with work.begin("test.tasks") as tx:
        org, ana = await organisation(tx, balance_msat=DOLLAR), await worker(tx)
        one = await task(tx, org, amount="321", currency=Currency.SATS)
    payout = await verify(work, one, ana.id, PLAN, None)
    assert payout is not None
    assert (payout.amount_msat, payout.usd_per_btc) == (321 * SAT, None)
    assert await problems(work) == []


async def test_a_worker_earns_once_for_a_task(work: UnitOfWork) -> None:
    async with work.begin("test.tasks") as tx:
        org, ana = await organisation(tx, balance_msat=DOLLAR), await worker(tx)
        one = await task(tx, org)
    await verify(work, one, ana.id, PLAN)
    with pytest.raises(Conflict, match="has a payout"):
        await verify(work, one, ana.id, PLAN)
    assert await balance(work, f"{ana.id}:payable") == 500 * SAT
    assert await problems(work) == []


async def test_a_charge_after_earn_does_nothing(work: UnitOfWork) -> None:
    async with work.begin("test.tasks") as tx:
        org, ana = await organisation(tx, balance_msat=DOLLAR), await worker(tx)
        one = await task(tx, org)
    await verify(work, one, ana.id, PLAN)
    async with work.begin("test.again") as tx:
        assert await billing.charge(tx, await tx.session.get_one(Task, one.id), PLAN, 500 * SAT) == 0
    assert await balance(work, "hub:live:fees") == 100 * SAT
    async with work.read() as session:
        assert (await session.get_one(Organisation, org.id)).tasks_charged == 1


async def test_usage_of_a_period(work: UnitOfWork) -> None:
    start = clock.now() - timedelta(minutes=1)
    async with work.begin("test.tasks") as tx:
        org, ana = await organisation(tx, balance_msat=100 * DOLLAR), await worker(tx)
        paid = [
            await task(tx, org, amount="1.25"),
            await task(tx, org, amount="2500", currency=Currency.SATS),
            await task(tx, org, amount="0.00001", currency=Currency.BTC),
        ]
        await task(tx, org, status="posted")
        for status in ("failed", "cancelled", "expired", "expired"):
            await task(tx, org, status=status, funded=False)
        before = start - timedelta(days=1)
        await task(tx, org, status="failed", funded=False, id=ids.uuid7(), created_at=before)
        stranger = await organisation(tx)
        await task(tx, stranger, status="failed", funded=False)
    for one in paid:
        assert await verify(work, one, ana.id, PLAN) is not None
    async with work.begin("test.settle") as tx:
        await tx.session.execute(update(Payout).values(state="settled"))
    async with work.read() as session:
        found = await usage(session, org.id, "live", start, clock.now() + timedelta(minutes=1))
        empty = await usage(session, org.id, "test", start, clock.now() + timedelta(minutes=1))
    assert (found.total, found.verified, found.failed, found.cancelled, found.expired) == (8, 3, 1, 1, 2)
    assert found.average_completion_seconds == Decimal(90)
    assert found.payout_count == 3
    assert found.total_sats == 1_250 + 2_500 + 1_000
    assert found.total_usd == Decimal("4.75")
    assert (empty.total, empty.average_completion_seconds, empty.total_usd) == (0, None, Decimal(0))
