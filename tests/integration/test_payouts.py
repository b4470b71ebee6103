"""The payout machine on both databases and the real sandbox rail: paid once whatever happens, to the millisatoshi."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from connectors.rails.sandbox_book import Fault
from core import clock
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict, LeaseLost, Misconfigured, Retryable
from core.payouts import actions
from core.payouts.case import invoice_of
from core.payouts.limits import PayoutLimits
from core.payouts.rail import Outcome, PaymentResult
from core.payouts.send import SEND_WITHIN_S, pay_and_record
from core.tasks.tables import Task
from core.tasks.view import encode, view
from core.workers import suspensions
from tests.factories import balance, held
from tests.payout_lab import DyingRail, Killed, Lab, LyingRail, SideRail, hour_ago


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


@pytest.mark.parametrize("fault", [Fault.ACCEPT_THEN_LOSE_ANSWER, Fault.HANG, Fault.SETTLE_LATER])
async def test_in_doubt_until_a_look_up_settles_it(lab: Lab, fault: Fault) -> None:
    payout = await lab.earned()
    lab.fault(fault, seconds=0.05)
    await lab.pay()
    case = await lab.case(payout)
    assert (case.payout.state, case.sent.state) == ("unknown", "unknown")
    assert await held(lab.work) == 500_000 + 7_000  # the amount and the fee limit
    assert await lab.waiting("payout.reserved") == 0
    await lab.assert_books()
    lab.fault(Fault.LOOK_UP_UNREACHABLE)
    await lab.check()
    assert (await lab.case(payout)).state == "unknown"
    if fault is Fault.HANG:
        await lab.check()
        assert (await lab.case(payout)).sent.error == "in flight"
        lab.controls.release()
    while (await lab.case(payout)).state == "unknown":
        await lab.check()
    assert (await lab.case(payout)).state == "settled"
    assert lab.really_paid() == [1]
    assert await lab.waiting("payout.check") == 0
    assert await balance(lab.work, "rail:sandbox") == 501_250
    await lab.assert_books()


async def test_it_stays_in_flight_when_its_invoice_ends(lab: Lab) -> None:
    """lightningnetwork/lnd#7621: the end of an invoice does not end an HTLC that is under way."""
    payout = await lab.earned()
    lab.fault(Fault.HANG)
    await lab.pay()
    async with lab.work.begin("test.age") as tx:
        await tx.execute("UPDATE payout_attempts SET expires_at = 1")
    await lab.check()
    assert (await lab.case(payout)).state == "unknown"
    lab.controls.release(settle=True)
    await lab.check()
    assert ((await lab.case(payout)).state, lab.really_paid(), lab.wallets.asked) == ("settled", [1], 1)
    await lab.assert_books()


async def test_in_doubt_and_then_failed_by_the_rails_word(lab: Lab) -> None:
    payout = await lab.earned()
    lab.fault(Fault.HANG)
    await lab.pay()
    lab.controls.release(settle=False)
    await lab.check()
    assert (await lab.case(payout)).state == "reserved"
    await lab.pay()
    case = await lab.case(payout)
    assert (case.state, case.sent.number) == ("settled", 2)
    assert lab.really_paid() == [1]
    await lab.assert_books()


async def die(lab: Lab, *, after_paying: bool) -> None:
    """Run the pay job in a process that dies in the middle of paying."""
    lab.rails = {"sandbox": DyingRail(lab.sandbox, after_paying=after_paying)}
    with pytest.raises(Killed):
        await lab.pay()
    lab.rails = {"sandbox": lab.sandbox}


async def test_a_crash_after_the_payment_is_found_by_looking(lab: Lab) -> None:
    payout = await lab.earned()
    await die(lab, after_paying=True)
    assert (await lab.case(payout)).state == "sending"
    assert await held(lab.work) == 500_000 + 7_000  # the amount and the fee limit
    await lab.assert_books()
    await lab.pay()  # the same job, taken over
    assert (await lab.case(payout)).state == "settled"
    assert lab.really_paid() == [1]
    assert lab.wallets.asked == 1
    await lab.assert_books()


async def test_a_crash_before_the_first_byte_sends_the_same_invoice_after_the_grace(lab: Lab) -> None:
    payout = await lab.earned()
    await die(lab, after_paying=False)
    committed = (await lab.case(payout)).sent
    await lab.pay()  # within the grace: the rail has not seen it, and that is not believed yet
    assert (await lab.case(payout)).state == "unknown"
    await lab.check()
    assert (await lab.case(payout)).state == "unknown"
    assert lab.controls.payments() == []
    lab.limits = PayoutLimits(grace_seconds=0)
    await lab.check()
    case = await lab.case(payout)
    assert (case.state, case.sent.number) == ("settled", 1)
    assert case.sent.payment_hash == committed.payment_hash
    assert (lab.really_paid(), lab.wallets.asked) == ([1], 1)
    await lab.assert_books()


async def test_a_crash_while_sending_again_is_looked_up_like_the_first(lab: Lab) -> None:
    payout = await lab.earned()
    lab.limits = PayoutLimits(grace_seconds=0)
    for _ in range(2):  # the job that crashed looks and sends again, and dies once more
        await die(lab, after_paying=False)
    assert (await lab.case(payout)).state == "sending"
    await die(lab, after_paying=True)
    await lab.pay()
    case = await lab.case(payout)
    assert (case.state, case.sent.number) == ("settled", 1)
    assert lab.really_paid() == [1]
    await lab.assert_books()


async def test_what_was_sent_again_has_failed_only_when_its_invoice_is_over(lab: Lab) -> None:
    """The first bytes may still lie somewhere on the way (a frozen process, a frozen node's socket), and a node pays a hash
    that failed when it is asked once more: a new invoice beside the first would be a second payment."""
    payout = await lab.earned()
    rail = SideRail(lab.sandbox, "sandbox")
    lab.rails = {"sandbox": rail}
    no_route = PaymentResult(outcome=Outcome.FAILED, reason="no route")
    rail.script = [PaymentResult(outcome=Outcome.UNKNOWN, reason="no answer"), no_route]
    rail.looks = [None, no_route]
    await lab.pay()
    lab.limits = PayoutLimits(grace_seconds=0)
    for _ in range(2):  # sent again; looked up
        await lab.check()
        case = await lab.case(payout)
        assert (case.state, case.sent.number, case.sent.sends) == ("unknown", 1, 2)
        assert case.sent.error == "no route; it was sent 2 times, and one may still arrive until it ends"
    await lab.sandbox.pay(invoice_of(case.sent), max_fee_msat=case.sent.max_fee_msat)  # it arrives
    await lab.check()
    assert ((await lab.case(payout)).state, lab.really_paid(), lab.wallets.asked) == ("settled", [1], 1)
    await lab.assert_books()


async def test_what_was_sent_again_and_failed_is_replaced_when_its_invoice_is_over(lab: Lab) -> None:
    payout = await lab.earned()
    await die(lab, after_paying=False)
    lab.limits = PayoutLimits(grace_seconds=0)
    lab.fault(Fault.FAIL)
    await lab.pay()
    assert (await lab.case(payout)).state == "unknown"
    async with lab.work.begin("test.age") as tx:
        await tx.execute("UPDATE payout_attempts SET expires_at = 1")
    await lab.check()
    assert (await lab.case(payout)).payout.state == "reserved"
    await lab.pay()
    assert ((await lab.case(payout)).sent.number, lab.really_paid()) == (2, [1])
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


async def test_an_invoice_that_ended_unseen_is_replaced(lab: Lab) -> None:
    payout = await lab.earned()
    await die(lab, after_paying=False)
    lab.limits = PayoutLimits(grace_seconds=0)
    async with lab.work.begin("test.age") as tx:
        await tx.execute("UPDATE payout_attempts SET expires_at = 1")
    await lab.pay()
    case = await lab.case(payout)
    assert (case.payout.state, case.sent.state) == ("reserved", "failed")
    await lab.assert_books()
    await lab.pay()
    assert (await lab.case(payout)).sent.number == 2
    assert lab.really_paid() == [1]
    await lab.assert_books()


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


async def test_no_other_rail_takes_over_a_payment_in_doubt(lab: Lab) -> None:
    payout = await lab.earned()
    lab.fault(Fault.HANG)
    await lab.pay()
    lab.rails = {}
    with pytest.raises(Misconfigured, match=r"rails\.use does not have"):
        await lab.check()
    assert (await lab.case(payout)).state == "unknown"


async def test_a_process_that_slept_after_its_commit_does_not_send(lab: Lab) -> None:
    payout = await lab.earned()
    await lab.ready()
    lease = await lab.take("payout.reserved")
    assert lease is not None
    begun = clock.monotonic() - SEND_WITHIN_S - 1
    sent = (await lab.case(payout)).sent
    with pytest.raises(LeaseLost, match="slept"):
        await pay_and_record(
            lab.work, lease, lab.sandbox, sent, lab.limits, invoice=invoice_of(sent), begun=begun, checks=0
        )
    assert lab.controls.payments() == []


async def test_a_rail_that_raises_leaves_doubt(lab: Lab) -> None:
    payout = await lab.earned()
    lab.rails = {"sandbox": DyingRail(lab.sandbox, after_paying=True, how=ConnectionResetError)}
    await lab.pay()
    case = await lab.case(payout)
    assert (case.payout.state, case.sent.error) == ("unknown", "the rail raised ConnectionResetError")
    lab.rails = {"sandbox": lab.sandbox}
    await lab.check()
    assert (await lab.case(payout)).state == "settled"
    assert lab.really_paid() == [1]


async def test_settled_without_the_preimage_is_not_settled(lab: Lab) -> None:
    payout = await lab.earned()
    lab.rails = {"sandbox": LyingRail(lab.sandbox)}
    await lab.pay()
    await lab.check()
    case = await lab.case(payout)
    assert (case.payout.state, case.sent.preimage, case.payout.settled_at) == ("unknown", None, None)
    assert await held(lab.work) == 500_000 + 7_000  # the amount and the fee limit
    await lab.assert_books()
