"""What an operator is told, on both databases: alarms that stay until the next success, and a rail's own history held
against our attempts every night."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from connectors.rails.sandbox_book import Fault
from core import clock
from core.db.unit_of_work import UnitOfWork
from core.errors import Retryable
from core.payouts import actions, alarms
from core.payouts.limits import PayoutLimits
from core.payouts.rail import Invoice, PaymentResult
from hub.jobs import payout_watch
from tests.factories import emitted
from tests.payout_lab import Lab, SideRail


@pytest.fixture
def lab(work: UnitOfWork, tmp_path: Path) -> Lab:
    return Lab(work, tmp_path)


async def age(lab: Lab, minutes: int) -> None:
    """What was sent was sent so long ago."""
    async with lab.work.begin("test.age") as tx:
        await tx.execute(f"UPDATE payout_attempts SET sent_at = {clock.now_ms() - minutes * 60_000}")


async def test_a_stuck_payment_is_told_once_and_closed_by_its_end(lab: Lab) -> None:
    await payout_watch.start(lab.work, lab.rails)
    payout = await lab.earned()
    lab.fault(Fault.HANG)
    await lab.pay()
    await age(lab, 59)
    await lab.watch()
    assert await lab.repairs() == []
    await age(lab, 61)
    for _ in range(2):
        await lab.watch()
        assert await lab.repairs() == [(f"payout:{payout.id}", "stuck")]
    lab.controls.release()
    await lab.check()
    assert await lab.repairs() == []


async def test_a_slow_rail_is_stuck_after_days(lab: Lab) -> None:
    await payout_watch.start(lab.work, lab.rails)
    lab.rails = {"bank": SideRail(lab.sandbox, "bank", slow=True)}
    lab.fault(Fault.HANG)
    payout = await lab.earned()
    await lab.pay()
    await age(lab, 7 * 24 * 60 - 1)
    await lab.watch()
    assert await lab.repairs() == []
    await age(lab, 7 * 24 * 60 + 1)
    await lab.watch()
    assert await lab.repairs() == [(f"payout:{payout.id}", "stuck")]


async def test_a_low_balance_is_told_and_closed_when_it_is_filled(lab: Lab) -> None:
    await payout_watch.start(lab.work, lab.rails)
    side = SideRail(lab.sandbox, "side")
    lab.rails = {"side": side}
    lab.limits = PayoutLimits(low_balance_msat={"side": 2_000_000})
    side.has_msat = 1_999_999
    await lab.watch()
    assert await lab.repairs() == [("rail:side", "low_balance")]
    side.has_msat = 506_999
    await lab.earned()
    with pytest.raises(Retryable, match="rail side has 506999 msat and needs 507000"):
        await lab.pay()  # not even tried
    assert side.sent == []
    side.has_msat = 2_000_000
    await lab.pay()
    await lab.watch()
    assert await lab.repairs() == []


async def test_a_payout_out_of_attempts_waits_for_an_operator(lab: Lab) -> None:
    lab.limits = PayoutLimits(max_attempts=1)
    payout = await lab.earned()
    lab.fault(Fault.FAIL)
    await lab.pay()
    assert await lab.repairs() == [(f"payout:{payout.id}", "attempts_used_up")]
    async with lab.work.begin("payouts.retry") as tx:
        await actions.retry(tx, payout.id, actor="person:op")
    await lab.pay()
    assert (await lab.case(payout)).state == "settled"
    assert await lab.repairs() == []


async def test_a_fee_over_its_limit_stays_until_somebody_has_looked(lab: Lab) -> None:
    class Dear(SideRail):
        async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
            paid = await super().pay(invoice, max_fee_msat=max_fee_msat)
            return msgspec.structs.replace(paid, fee_msat=max_fee_msat + 1)

    lab.rails = {"dear": Dear(lab.sandbox, "dear")}
    payout = await lab.earned()
    await lab.pay()
    assert (await lab.case(payout)).sent.fee_msat == 7_001
    assert await lab.repairs() == [(f"payout:{payout.id}", "fee_over_limit")]
    await lab.assert_books()


@pytest.mark.parametrize(
    ("apart_ms", "told"), [(59_000, False), (-59_000, False), (61_500, True), (-61_500, True)]
)
async def test_clocks_that_differ_are_told(lab: Lab, apart_ms: int, told: bool) -> None:
    async with lab.work.begin("test.clocks") as tx:
        await alarms.clocks(tx, await tx.now_ms() + apart_ms)
    assert await lab.repairs() == ([("hub", "clock")] if told else [])
    async with lab.work.begin("test.clocks") as tx:
        await alarms.clocks(tx, await tx.now_ms())
    assert await lab.repairs() == []


async def test_broken_books_are_told_by_the_night(lab: Lab) -> None:
    await payout_watch.start(lab.work, lab.rails)
    payout = await lab.earned()
    await lab.pay()
    for preimage, expected in (("00" * 32, [("hub", "books")]), (None, [])):
        async with lab.work.begin("test.break") as tx:
            if preimage is None:
                good = (await lab.sandbox.history())[0].preimage
                await tx.execute(
                    f"UPDATE payout_attempts SET preimage = '{good}' WHERE payout_id = '{payout.id}'"
                )
            else:
                await tx.execute(f"UPDATE payout_attempts SET preimage = '{preimage}'")
            tx.emit("ledger.check", "hub", queue="money")
        lease = await lab.take("ledger.check")
        assert lease is not None
        await payout_watch.check_books(lab.work, lease, lab.rails)
        assert await lab.repairs() == expected


async def test_each_slot_is_there_once_and_brings_the_next(lab: Lab) -> None:
    for _ in range(2):
        await payout_watch.start(lab.work, lab.rails)
    topics = ("payout.watch", "ledger.check", "rail.reconcile")
    assert [await emitted(lab.work, topic) for topic in topics] == [["hub"], ["hub"], ["sandbox"]]
    await lab.watch()
    lease = await lab.take("rail.reconcile")
    assert lease is not None
    await payout_watch.reconcile_rail(lab.work, lease, lab.rails)
    assert [len(await emitted(lab.work, topic)) for topic in topics] == [3, 1, 2]
