"""Payouts of which nobody knows whether they were paid, on both databases: crashes around the payment, look-ups,
invoices that end meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.rails.sandbox_book import Fault
from core import clock
from core.db.unit_of_work import UnitOfWork
from core.errors import LeaseLost, Misconfigured
from core.payouts.case import invoice_of
from core.payouts.limits import PayoutLimits
from core.payouts.rail import Outcome, PaymentResult
from core.payouts.send import SEND_WITHIN_S, pay_and_record
from tests.factories import balance, held
from tests.payout_lab import DyingRail, Killed, Lab, SideRail


@pytest.fixture
def lab(work: UnitOfWork, tmp_path: Path) -> Lab:
    return Lab(work, tmp_path)


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
