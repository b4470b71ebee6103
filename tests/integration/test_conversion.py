"""Dollars become satoshis when they are earned, or later when there is a rate; the spread is a transfer of its own. On
both databases, with the books proven after every step."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import select

from core.billing import actions as billing
from core.billing.plans import Plans
from core.db.unit_of_work import UnitOfWork
from core.errors import Retryable
from core.ledger.tables import LedgerTransfer
from core.money import Currency
from core.outbox import rows
from core.outbox.rows import Lease
from core.outbox.tables import OutboxRow
from core.payouts.convert import convert
from core.payouts.states import PayoutState
from core.payouts.tables import Payout
from core.rates.model import Judged, Rate
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

PLANS = Plans([PLAN])
SAMPLES = (
    Judged(source="kraken", usd_per_btc=Decimal("79999.5"), at_ms=RATE.at_ms),
    Judged(source="bitstamp", usd_per_btc=Decimal("80000.5"), at_ms=RATE.at_ms),
    Judged(source="mempool", usd_per_btc=Decimal(9), at_ms=RATE.at_ms, dropped="99.99 % off the median"),
)


def at(price: str) -> Rate:
    return Rate(
        usd_per_btc=Decimal(price), source="median of kraken, bitstamp", at_ms=RATE.at_ms, samples=SAMPLES
    )


def no_rate() -> Rate:
    raise Retryable("no_rate", "the sources disagree")


async def verified(work: UnitOfWork, row: Task, worker_id: str, rate: Rate | None) -> Payout:
    async with work.begin("tasks.verify") as tx:
        loaded = await tx.session.get_one(Task, row.id)
        loaded.status = "verified"
        await tx.session.flush()
        payout = await earn(tx, loaded, worker_id, PLAN, rate)
    assert payout is not None
    return payout


async def leased(work: UnitOfWork, topic: str = "payout.earned") -> Lease:
    async with work.begin("test.lease") as tx:
        job_id = (await tx.session.scalars(select(OutboxRow.id).where(OutboxRow.topic == topic))).one()
        lease = await rows.lease(tx, job_id)
    assert lease is not None
    return lease


async def waiting(work: UnitOfWork, *, balance_msat: int = DOLLAR, spread: str = "0") -> tuple[Task, Payout]:
    """A payout of 0.50 dollars, earned while there was no rate."""
    async with work.begin("test.tasks") as tx:
        org, ana = await organisation(tx, balance_msat=balance_msat), await worker(tx)
        one = await task(tx, org, spread_percent=spread)
    return one, await verified(work, one, ana.id, None)


async def read(work: UnitOfWork, payout: Payout) -> Payout:
    async with work.read() as session:
        return await session.get_one(Payout, payout.id)


async def test_without_a_rate_dollars_are_earned_and_stay_reserved(work: UnitOfWork) -> None:
    one, payout = await waiting(work)
    found = await read(work, payout)
    assert (found.state, found.amount, found.amount_msat) == ("earned", Decimal("0.50"), 0)
    assert (found.usd_per_btc, found.rate_source, found.rate_samples) == (None, None, None)
    async with work.read() as session:
        assert (await session.get_one(Task, one.id)).reserved_msat == 600 * SAT
    assert await balance(work, f"{one.organisation_id}:live:reserved") == 600 * SAT
    assert await balance(work, "hub:live:fees") == 0
    assert await emitted(work, "payout.earned") == [payout.id]
    assert await emitted(work, "payout.reserved") == []
    assert await problems(work) == []


async def test_with_a_rate_it_is_converted_and_charged(work: UnitOfWork) -> None:
    one, payout = await waiting(work)
    assert await convert(work, await leased(work), PLANS, lambda: at("80000")) is PayoutState.RESERVED
    found = await read(work, payout)
    assert (found.state, found.amount_msat, found.spread_msat) == ("reserved", 625 * SAT, 0)
    assert (found.usd_per_btc, found.rate_source) == (Decimal(80000), "median of kraken, bitstamp")
    assert found.rate_samples == [
        {"source": "kraken", "usd_per_btc": "79999.5", "at_ms": RATE.at_ms, "dropped": ""},
        {"source": "bitstamp", "usd_per_btc": "80000.5", "at_ms": RATE.at_ms, "dropped": ""},
        {"source": "mempool", "usd_per_btc": "9", "at_ms": RATE.at_ms, "dropped": "99.99 % off the median"},
    ]
    assert await balance(work, f"{payout.worker_id}:payable") == 625 * SAT
    assert await balance(work, f"{one.organisation_id}:live:reserved") == 0
    assert await balance(work, f"{one.organisation_id}:live:prefund") == 275 * SAT
    assert await balance(work, "hub:live:fees") == 100 * SAT
    assert await emitted(work, "payout.reserved") == [payout.id]
    assert await problems(work) == []


async def test_while_there_is_no_rate_the_job_comes_again(work: UnitOfWork) -> None:
    _, payout = await waiting(work)
    with pytest.raises(Retryable) as caught:
        await convert(work, await leased(work), PLANS, no_rate)
    assert (caught.value.code, caught.value.message, caught.value.after) == (
        "no_rate",
        "the sources disagree",
        30,
    )
    assert (await read(work, payout)).state == "earned"
    assert await problems(work) == []


async def test_a_repeated_job_converts_once(work: UnitOfWork) -> None:
    one, payout = await waiting(work)
    await convert(work, await leased(work), PLANS, lambda: at("80000"))
    async with work.begin("test.again") as tx:
        tx.emit("payout.earned", payout.id, queue="money", key="again")
    async with work.begin("test.lease") as tx:
        again = await rows.lease(
            tx, (await tx.session.scalars(select(OutboxRow.id).where(OutboxRow.key == "again"))).one()
        )
    assert again is not None
    assert await convert(work, again, PLANS, lambda: at("40000")) is PayoutState.RESERVED
    assert (await read(work, payout)).amount_msat == 625 * SAT
    assert await balance(work, f"{one.organisation_id}:live:prefund") == 275 * SAT
    assert await problems(work) == []


@pytest.mark.parametrize(
    ("convert_later", "price", "amount", "spread", "left"),
    [
        (False, "100000", 500, 8, 392),  # 1.5 % of 500 sat are 7.5, rounded up
        (True, "100000", 500, 8, 392),
        (False, "80000", 625, 8, 267),  # never more than was reserved
        (True, "80000", 625, 8, 267),
        (True, "300000", 166, 3, 731),  # 8 sat of 500 are 2.66 of 166
    ],
)
async def test_the_spread_is_a_transfer_of_its_own(
    work: UnitOfWork, convert_later: bool, price: str, amount: int, spread: int, left: int
) -> None:
    async with work.begin("test.tasks") as tx:
        org, ana = await organisation(tx, balance_msat=DOLLAR), await worker(tx)
        one = await task(tx, org, spread_percent="1.5")
    assert (one.spread_msat, one.reserved_msat) == (8 * SAT, 608 * SAT)
    payout = await verified(work, one, ana.id, None if convert_later else at(price))
    if convert_later:
        await convert(work, await leased(work), PLANS, lambda: at(price))
    found = await read(work, payout)
    assert (found.amount_msat, found.spread_msat) == (amount * SAT, spread * SAT)
    assert found.usd_per_btc == Decimal(price)  # the rate is what the sources said
    async with work.read() as session:
        taken = (await session.scalars(select(LedgerTransfer).where(LedgerTransfer.kind == "spread"))).one()
    assert (taken.id, taken.subject, taken.amount_msat) == (f"task:{one.id}:spread", one.id, spread * SAT)
    assert (taken.debit_account, taken.credit_account) == (f"{org.id}:live:reserved", "hub:live:spread")
    assert await balance(work, "hub:live:spread") == spread * SAT
    assert await balance(work, "hub:live:fees") == 100 * SAT
    assert await balance(work, f"{ana.id}:payable") == amount * SAT
    assert await balance(work, f"{org.id}:live:prefund") == left * SAT
    assert await problems(work) == []


async def test_a_task_that_waited_for_funds_reserves_its_spread_too(work: UnitOfWork) -> None:
    async with work.begin("test.tasks") as tx:
        org = await organisation(tx)
        one = await task(tx, org, spread_percent="1.5", funded=False, status="posted")
        await billing.credit(tx, org.id, "live", 608 * SAT, "second", "test")
    async with work.begin("billing.fund_waiting") as tx:
        assert await billing.fund_waiting(tx, org.id, "live") == 1
    async with work.read() as session:
        assert (await session.get_one(Task, one.id)).reserved_msat == 608 * SAT
    assert await problems(work) == []


async def test_satoshis_carry_no_spread(work: UnitOfWork) -> None:
    async with work.begin("test.tasks") as tx:
        org, ana = await organisation(tx, balance_msat=DOLLAR), await worker(tx)
        one = await task(tx, org, amount="321", currency=Currency.SATS, spread_percent="1.5")
    payout = await verified(work, one, ana.id, None)
    assert (payout.state, payout.amount_msat, payout.spread_msat) == ("reserved", 321 * SAT, 0)
    assert await problems(work) == []


async def test_what_the_rate_made_smaller_than_a_satoshi_is_a_satoshi(work: UnitOfWork) -> None:
    async with work.begin("test.tasks") as tx:
        org, ana = await organisation(tx, balance_msat=DOLLAR), await worker(tx)
        one = await task(tx, org, amount="0.001")  # one satoshi at RATE
    payout = await verified(work, one, ana.id, at("100001"))
    assert payout.amount_msat == SAT
    assert await problems(work) == []


async def test_an_earned_payout_without_a_reservation_is_paid_all_the_same(work: UnitOfWork) -> None:
    """The organisation's money was gone when the answer came: the hub stands for what it promised."""
    async with work.begin("test.tasks") as tx:
        org, ana = await organisation(tx), await worker(tx)
        one = await task(tx, org, funded=False)
    payout = await verified(work, one, ana.id, None)
    await convert(work, await leased(work), PLANS, lambda: at("100000"))
    assert (await read(work, payout)).amount_msat == 500 * SAT
    assert await balance(work, "hub:live:exchange") == -500 * SAT
    assert await problems(work) == []
