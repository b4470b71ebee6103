"""The payout machine on both databases and the real sandbox rail: paid once whatever happens, to the millisatoshi."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from connectors.rails.sandbox_book import Fault
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict, LeaseLost, Misconfigured, Retryable
from core.payouts import actions
from core.payouts.limits import PayoutLimits
from core.tasks.tables import Task
from core.tasks.view import encode, view
from core.workers import suspensions
from tests.factories import balance, held
from tests.payout_lab import Lab, LyingRail, hour_ago


@pytest.fixture
def lab(work: UnitOfWork, tmp_path: Path) -> Lab:
    return Lab(work, tmp_path)


async def test_earned_and_paid(lab: Lab) -> None:
    payout = await lab.earned()
    await lab.pay()
    case = await lab.case(payout)
    assert (case.payout.state, case.sent.state, case.sent.number) == ("settled", "settled", 1)
    assert (case.sent.amount_msat, case.sent.fee_msat, case.sent.max_fee_msat) == (500_000, 1_250, 7_000)
    assert case.sent.address == "ana@sandbox.test"
    assert await balance(lab.work, f"{payout.worker_id}:payable") == 0
    assert await balance(lab.work, "hub:live:clearing") == await held(lab.work) == 0
    assert await balance(lab.work, "rail:sandbox") == 501_250
    assert await balance(lab.work, "hub:live:network_fees") == -1_250
    assert await lab.wallets.sandbox.balance("ana") == 500_000
    assert lab.really_paid() == [1]
    await lab.assert_books()


async def test_who_is_suspended_is_paid_what_they_have_earned(lab: Lab) -> None:
    payout = await lab.earned()
    async with lab.work.begin("operator.worker") as tx:
        await suspensions.suspend(tx, payout.worker_id, "Two accounts", actor="person:op")
    await lab.pay()
    assert (await lab.case(payout)).payout.state == "settled"
    assert await lab.wallets.sandbox.balance("ana") == 500_000
    await lab.assert_books()


async def test_the_task_shows_how_it_was_paid(lab: Lab) -> None:
    payout = await lab.earned()
    await lab.pay()
    settled = (await lab.case(payout)).payout
    async with lab.work.read() as session:
        task = await session.get_one(Task, payout.task_id)
    assert task.version == 2
    assert task.updated_at == settled.settled_at
    shown = msgspec.json.decode(encode(view(task)))["payoutResult"]
    assert shown.pop("paidAt").endswith("Z")
    assert shown == {"id": payout.id, "amount": 0.5, "currency": "USD", "rail": "lightning"}


async def test_a_job_that_runs_again_does_nothing(lab: Lab) -> None:
    payout = await lab.earned()
    lease = await lab.take("payout.reserved")
    assert lease is not None
    await lab.run_pay(lease)
    with pytest.raises(LeaseLost):
        await lab.run_pay(lease)
    await lab.run_pay(await lab.take_other("payout.reserved"))
    assert (await lab.case(payout)).sent.number == 1
    assert lab.really_paid() == [1]
    assert lab.wallets.asked == 1


async def test_two_jobs_at_once_pay_once(lab: Lab) -> None:
    payout = await lab.earned()
    first = await lab.take("payout.reserved")
    assert first is not None
    others = [await lab.take_other("payout.reserved") for _ in range(3)]
    await asyncio.gather(*(lab.run_pay(lease) for lease in [first, *others]))
    assert lab.really_paid() == [1]
    while await lab.waiting("payout.check"):  # one may have come while another was sending
        await lab.check()
    case = await lab.case(payout)
    assert (case.state, case.sent.number) == ("settled", 1)
    assert await balance(lab.work, "rail:sandbox") == 501_250
    await lab.assert_books()


async def test_a_failed_attempt_is_followed_by_a_new_invoice(lab: Lab) -> None:
    payout = await lab.earned()
    lab.fault(Fault.FAIL)
    await lab.pay()
    case = await lab.case(payout)
    assert (case.payout.state, case.payout.rail, case.sent.state) == ("reserved", None, "failed")
    assert case.sent.error == "scripted to fail"
    assert await balance(lab.work, f"{payout.worker_id}:payable") == 500_000
    assert await balance(lab.work, "hub:live:clearing") == await held(lab.work) == 0
    await lab.assert_books()
    dead_hash = case.sent.payment_hash
    await lab.pay()
    case = await lab.case(payout)
    assert (case.state, case.sent.number) == ("settled", 2)
    assert case.sent.payment_hash != dead_hash
    assert lab.really_paid() == [1]
    assert await balance(lab.work, "rail:sandbox") == 501_250
    await lab.assert_books()


async def test_after_the_last_attempt_an_operator_goes_on(lab: Lab) -> None:
    lab.limits = PayoutLimits(max_attempts=2)
    payout = await lab.earned()
    for _ in range(2):
        lab.fault(Fault.FAIL)
        await lab.pay()
    assert (await lab.case(payout)).payout.state == "failed"
    assert await lab.waiting("payout.reserved") == 0
    assert await balance(lab.work, f"{payout.worker_id}:payable") == 500_000
    await lab.assert_books()
    async with lab.work.begin("payouts.retry") as tx:
        await actions.retry(tx, payout.id, actor="person:op")
    await lab.pay()
    assert (await lab.case(payout)).state == "settled"
    with pytest.raises(Conflict, match="settled"):
        async with lab.work.begin("payouts.retry") as tx:
            await actions.retry(tx, payout.id, actor="person:op")
    assert lab.really_paid() == [1]
    await lab.assert_books()


async def test_nothing_leaves_while_the_clock_is_wrong(lab: Lab) -> None:
    payout = await lab.earned()
    lease = await lab.take("payout.reserved")
    assert lease is not None
    ahead = msgspec.structs.replace(lease, until_ms=lease.until_ms - 3_600_000)
    with pytest.raises(Misconfigured, match=r"clock is \+3600 s from the database's"):
        await lab.run_pay(ahead)
    assert ((await lab.case(payout)).state, lab.wallets.asked) == ("reserved", 0)
    await lab.run_pay(lease)
    assert lab.really_paid() == [1]


async def test_ready_is_sent_with_the_same_invoice_after_a_crash(lab: Lab) -> None:
    payout = await lab.earned()
    lab.rails = {"sandbox": lab.sandbox}
    await lab.ready()
    committed = (await lab.case(payout)).sent
    assert committed.state == "ready"
    assert await held(lab.work) == 500_000 + 7_000  # the amount and the fee limit
    await lab.assert_books()
    await lab.pay()
    case = await lab.case(payout)
    assert (case.state, case.sent.payment_hash) == ("settled", committed.payment_hash)
    assert lab.wallets.asked == 1


async def test_ready_whose_invoice_has_ended_gets_a_new_one(lab: Lab) -> None:
    payout = await lab.earned()
    await lab.ready()
    async with lab.work.begin("test.age") as tx:
        await tx.execute("UPDATE payout_attempts SET expires_at = 1")
    await lab.pay()
    assert (await lab.case(payout)).payout.state == "reserved"
    assert lab.controls.payments() == []
    await lab.pay()
    assert (await lab.case(payout)).sent.number == 2
    await lab.assert_books()


async def test_a_late_holder_of_the_job_records_nothing(lab: Lab) -> None:
    payout = await lab.earned()
    late = await lab.take("payout.reserved", lease_ms=30_000)
    assert late is not None
    await lab.take("payout.reserved")  # somebody else takes the job over
    with pytest.raises(LeaseLost):
        await lab.run_pay(late)
    assert (await lab.case(payout)).attempt is None
    assert lab.really_paid() == []


async def test_a_hash_is_used_once_for_ever(lab: Lab) -> None:
    await lab.earned()
    await lab.pay()
    other = await lab.earned()
    lab.wallets.repeat = True
    with pytest.raises(Retryable) as refused:
        await lab.pay()
    assert refused.value.code == "payment_hash_used"
    assert (await lab.case(other)).attempt is None
    assert lab.really_paid() == [1]
    await lab.assert_books()


async def test_an_invoice_about_to_end_is_not_taken(lab: Lab) -> None:
    payout = await lab.earned()
    lab.wallets.made_at_s = hour_ago()
    with pytest.raises(Retryable, match="ends too soon"):
        await lab.pay()
    assert (await lab.case(payout)).attempt is None


async def test_settled_without_the_preimage_is_not_settled(lab: Lab) -> None:
    payout = await lab.earned()
    lab.rails = {"sandbox": LyingRail(lab.sandbox)}
    await lab.pay()
    await lab.check()
    case = await lab.case(payout)
    assert (case.payout.state, case.sent.preimage, case.payout.settled_at) == ("unknown", None, None)
    assert await held(lab.work) == 500_000 + 7_000  # the amount and the fee limit
    await lab.assert_books()
