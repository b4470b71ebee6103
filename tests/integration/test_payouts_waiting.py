"""What keeps a payout waiting, on both databases: limits, the kill switch, a missing or bad address; and what the
worker reads meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from connectors.rails.sandbox_book import Fault
from core.db.unit_of_work import UnitOfWork
from core.errors import Retryable
from core.outbox import rows
from core.payouts import actions
from core.payouts.controls import Cause, pause, resume
from core.payouts.limits import PayoutLimits
from core.payouts.queries import payouts_of, totals_of
from core.workers.tables import Worker
from tests.factories import SAT, emitted
from tests.payout_lab import Lab


@pytest.fixture
def lab(work: UnitOfWork, tmp_path: Path) -> Lab:
    return Lab(work, tmp_path)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (PayoutLimits(paused=True), "payouts_paused"),
        (PayoutLimits(per_payout_msat=499_999), "over_payout_limit"),
        (PayoutLimits(per_worker_day_msat=499_999), "over_worker_limit"),
        (PayoutLimits(per_hub_day_msat=999_999), "over_hub_limit"),
        (PayoutLimits(per_hub_hour_msat=999_999), "over_hub_hour_limit"),
        (PayoutLimits(least_msat=500_001), "under_least"),
    ],
)
async def test_over_a_limit_it_waits(lab: Lab, limits: PayoutLimits, code: str) -> None:
    await lab.earned()
    await lab.pay()  # 500 sat have left today, to somebody else
    payout = await lab.earned()
    lab.limits = limits
    with pytest.raises(Retryable) as held:
        await lab.pay()
    assert held.value.code == code
    assert (await lab.case(payout)).state == "reserved"
    lab.limits = PayoutLimits(
        per_payout_msat=500_000, per_worker_day_msat=500_000, per_hub_day_msat=1_000_000
    )
    await lab.pay()
    assert (await lab.case(payout)).state == "settled"
    await lab.assert_books()


@pytest.mark.parametrize(
    "limits", [PayoutLimits(per_hub_day_msat=900_000), PayoutLimits(per_hub_hour_msat=900_000)]
)
async def test_two_payouts_at_once_do_not_pass_a_limit_together(lab: Lab, limits: PayoutLimits) -> None:
    lab.limits = limits
    payouts = [await lab.earned(), await lab.earned()]
    leases = []
    async with lab.work.begin("outbox.lease") as tx:
        found = await tx.execute("SELECT id FROM outbox WHERE topic = 'payout.reserved'")
        for (job,) in found.all():
            leases.append(await rows.lease(tx, job))
    outcomes = await asyncio.gather(*(lab.run_pay(lease) for lease in leases), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "Retryable"]
    assert sorted([(await lab.case(payout)).payout.state for payout in payouts]) == ["reserved", "settled"]


async def test_the_kill_switch_stops_what_is_ready(lab: Lab) -> None:
    payout = await lab.earned()
    await lab.ready()
    lab.limits = PayoutLimits(paused=True)
    with pytest.raises(Retryable, match="paused"):
        await lab.pay()
    assert (await lab.case(payout)).state == "ready"
    assert lab.controls.payments() == []


async def test_the_switch_in_the_database_stops_what_is_new_and_what_is_ready(lab: Lab) -> None:
    ready = await lab.earned()
    await lab.ready()
    async with lab.work.begin("test.pause") as tx:
        assert await pause(tx, "hub", Cause.OPERATOR, "the node is moved", by="person:op")
        assert not await pause(tx, "hub", Cause.OPERATOR, "the node is moved", by="person:op")
    with pytest.raises(Retryable, match=r"Payouts are paused \(operator\): the node is moved"):
        await lab.pay()
    new = await lab.earned()
    await lab.run_job()
    await lab.run_job()
    assert [(await lab.case(one)).state for one in (ready, new)] == ["ready", "reserved"]
    assert (lab.controls.payments(), lab.wallets.asked) == ([], 1)
    async with lab.work.begin("test.resume") as tx:
        assert await resume(tx, "hub", Cause.OPERATOR, actor="person:op")
        assert not await resume(tx, "hub", Cause.OPERATOR, actor="person:op")
    await lab.run_job()
    await lab.run_job()
    assert [(await lab.case(one)).state for one in (ready, new)] == ["settled", "settled"]
    await lab.assert_books()


async def test_a_payment_in_doubt_is_looked_up_while_payouts_are_paused(lab: Lab) -> None:
    payout = await lab.earned()
    lab.fault(Fault.ACCEPT_THEN_LOSE_ANSWER)
    await lab.pay()
    async with lab.work.begin("test.pause") as tx:
        await pause(tx, "hub", Cause.OPERATOR, "looking", by="person:op")
    await lab.check()
    assert (await lab.case(payout)).state == "settled"


async def test_what_was_never_seen_is_not_sent_again_while_payouts_are_paused(lab: Lab) -> None:
    payout = await lab.earned()
    lab.fault(Fault.UNREACHABLE)
    await lab.pay()
    lab.limits = PayoutLimits(grace_seconds=0)
    async with lab.work.begin("test.pause") as tx:
        await pause(tx, "hub", Cause.OPERATOR, "looking", by="person:op")
    await lab.check()
    assert ((await lab.case(payout)).state, lab.controls.payments()) == ("unknown", [])
    async with lab.work.begin("test.resume") as tx:
        await resume(tx, "hub", Cause.OPERATOR, actor="person:op")
    await lab.check()
    assert ((await lab.case(payout)).state, lab.really_paid()) == ("settled", [1])


async def test_without_an_address_it_waits_for_one(lab: Lab) -> None:
    payout = await lab.earned(address=None)
    await lab.pay()
    assert await lab.waiting("payout.reserved") == 0
    async with lab.work.read() as session:
        page = await payouts_of(session, payout.worker_id)
    assert [(line.words, line.state) for line in page.items] == [
        ("waits for your payout address", "reserved")
    ]
    async with lab.work.begin("workers.address") as tx:
        (await tx.session.get_one(Worker, payout.worker_id)).payout_address = "ana@sandbox.test"
        assert await actions.retry_for_worker(tx, payout.worker_id) == 1
    await lab.pay()
    assert (await lab.case(payout)).state == "settled"
    async with lab.work.begin("workers.address") as tx:
        assert await actions.retry_for_worker(tx, payout.worker_id) == 0
    assert await emitted(lab.work, "payout.reserved") == [payout.id, payout.id]


async def test_an_address_that_cannot_be_paid_is_told_to_its_worker(lab: Lab) -> None:
    payout = await lab.earned(address="ana@elsewhere.example")
    await lab.run_job()
    assert (await lab.case(payout)).state == "reserved"
    async with lab.work.read() as session:
        page = await payouts_of(session, payout.worker_id)
    assert [line.note for line in page.items] == ["The wallet says that it has no such address"]
    await lab.assert_books()


async def test_a_worker_reads_on_its_way_while_nobody_knows(lab: Lab) -> None:
    payout = await lab.earned()
    lab.fault(Fault.HANG)
    await lab.pay()
    async with lab.work.read() as session:
        page = await payouts_of(session, payout.worker_id)
        totals = await totals_of(session, payout.worker_id)
    assert [line.words for line in page.items] == ["on its way"]
    assert (totals.paid_msat, totals.on_its_way_msat, totals.owed_msat) == (0, 500 * SAT, 0)
    lab.controls.release()
    await lab.check()
    async with lab.work.read() as session:
        page = await payouts_of(session, payout.worker_id, limit=1)
        totals = await totals_of(session, payout.worker_id)
    assert [(line.words, line.note, line.amount_msat) for line in page.items] == [("paid", None, 500_000)]
    assert page.items[0].preimage == (await lab.case(payout)).sent.preimage
    assert (totals.paid_msat, totals.paid_count, totals.on_its_way_msat) == (500 * SAT, 1, 0)
