"""Which rail carries a payout, on both databases: another one only after proof that the former attempt is dead; and a
rail that keeps us in doubt is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from connectors.rails.sandbox_book import Fault
from core import clock
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict, Retryable
from core.payouts import actions
from core.payouts.case import invoice_of, move_both
from core.payouts.controls import Cause, resume
from core.payouts.limits import PayoutLimits
from core.payouts.order import Orders
from core.payouts.rail import Outcome, PaymentResult
from core.payouts.send import pay_and_record
from core.payouts.states import PayoutState
from core.payouts.tables import Payout, PayoutAttempt, PayoutControl
from tests.factories import balance, held
from tests.payout_lab import Lab, SideRail

FAILED = PaymentResult(outcome=Outcome.FAILED, reason="no route")
UNKNOWN = PaymentResult(outcome=Outcome.UNKNOWN, reason="the connection was reset")
IN_FLIGHT = PaymentResult(outcome=Outcome.IN_FLIGHT)


@pytest.fixture
def lab(work: UnitOfWork, tmp_path: Path) -> Lab:
    return Lab(work, tmp_path)


@pytest.fixture
def side(lab: Lab) -> SideRail:
    """The rail that is tried first; the sandbox is second."""
    side = SideRail(lab.sandbox, "side")
    lab.rails = {"side": side, "sandbox": lab.sandbox}
    return side


async def attempts(lab: Lab, payout: Payout) -> list[tuple[str, str]]:
    async with lab.work.begin("test.attempts") as tx:
        sql = f"SELECT rail, state FROM payout_attempts WHERE payout_id = '{payout.id}' ORDER BY number"
        return [(str(rail), str(state)) for rail, state in await tx.execute(sql)]


async def test_the_next_rail_after_two_dead_attempts(lab: Lab, side: SideRail) -> None:
    payout = await lab.earned()
    side.script = [FAILED, FAILED]
    for _ in range(3):
        await lab.pay()
    assert await attempts(lab, payout) == [("side", "failed"), ("side", "failed"), ("sandbox", "settled")]
    assert len(lab.really_paid()) == 1
    await lab.assert_books()


@pytest.mark.parametrize("doubt", [UNKNOWN, IN_FLIGHT])
async def test_no_other_rail_while_the_first_one_is_in_doubt(
    lab: Lab, side: SideRail, doubt: PaymentResult
) -> None:
    lab.limits = PayoutLimits(attempts_per_rail=1, grace_seconds=0)
    payout = await lab.earned()
    side.script = [doubt]
    await lab.pay()
    side.looks = [doubt, UNKNOWN, FAILED]
    for _ in range(2):
        await lab.check()
        assert await attempts(lab, payout) == [("side", "unknown")]
        async with lab.work.begin("test.other") as tx:
            tx.emit("payout.reserved", payout.id, queue="money")
        await lab.pay()  # a job that has no business here
        assert await attempts(lab, payout) == [("side", "unknown")]
        with pytest.raises(Conflict):
            async with lab.work.begin("payouts.retry") as tx:
                await actions.retry(tx, payout.id, actor="person:op")
    await lab.check()  # FAILED: the proof
    assert await attempts(lab, payout) == [("side", "failed")]
    await lab.pay()
    assert await attempts(lab, payout) == [("side", "failed"), ("sandbox", "settled")]
    assert (lab.really_paid(), len(side.sent)) == ([1], 1)
    await lab.assert_books()


async def test_the_order_of_a_worker_and_of_a_plan(lab: Lab, side: SideRail) -> None:
    payout = await lab.earned()
    lab.orders = Orders(default=["side"], workers={payout.worker_id: ["sandbox"]})
    await lab.pay()
    assert (await lab.case(payout)).sent.rail == "sandbox"
    other = await lab.earned()
    await lab.pay()
    assert (await lab.case(other)).sent.rail == "side"
    lab.orders = Orders(plans={"test": ["sandbox"]})
    third = await lab.earned()
    await lab.pay()
    assert (await lab.case(third)).sent.rail == "sandbox"


async def test_a_rail_that_refuses_to_quote_is_passed_over(lab: Lab, side: SideRail) -> None:
    payout = await lab.earned()
    side.refusal = "too dear"
    await lab.pay()
    assert await attempts(lab, payout) == [("sandbox", "settled")]


async def test_when_every_rail_refuses_it_waits_and_nothing_is_dead(lab: Lab, side: SideRail) -> None:
    payout = await lab.earned()
    lab.orders = Orders(default=["side"])
    side.refusal = "too dear"
    with pytest.raises(Retryable) as held:
        await lab.pay()
    assert (held.value.code, held.value.message) == (
        "no_rail_now",
        "No rail takes this payout now: rail side refuses: too dear",
    )
    assert await attempts(lab, payout) == []
    side.refusal = None
    await lab.pay()
    assert (await lab.case(payout)).state == "settled"


async def test_three_doubts_open_the_breaker_and_the_last_look_closes_it(lab: Lab, side: SideRail) -> None:
    payouts = [await lab.earned() for _ in range(3)]
    side.script = [UNKNOWN] * 3
    for number in range(3):
        assert await lab.controls_in_force() == []
        await lab.pay()
        assert (await lab.case(payouts[number])).state == "unknown"
    assert await lab.controls_in_force() == [("rail:side", "breaker")]
    assert await lab.repairs() == [("rail:side", "breaker")]
    other = await lab.earned()
    await lab.pay()  # goes by the next rail
    assert (await lab.case(other)).sent.rail == "sandbox"
    for payout in payouts:  # those in doubt stay where they are
        assert await attempts(lab, payout) == [("side", "unknown")]
    side.looks = [FAILED] * 3
    for left in (2, 1, 0):
        await lab.check()
        assert bool(await lab.controls_in_force()) is (left > 0)
    assert await lab.repairs() == []
    for _ in payouts:
        await lab.pay()
    assert [await attempts(lab, payout) for payout in payouts] == [
        [("side", "failed"), ("side", "settled")]
    ] * 3
    await lab.assert_books()


async def test_old_doubts_and_payments_that_are_held_open_no_breaker(lab: Lab, side: SideRail) -> None:
    side.script = [IN_FLIGHT, IN_FLIGHT, UNKNOWN, UNKNOWN]
    for _ in range(3):
        await lab.earned()
        await lab.pay()
    async with lab.work.begin("test.age") as tx:
        await tx.execute(f"UPDATE payout_attempts SET sent_at = {clock.now_ms() - 16 * 60_000}")
    await lab.earned()
    await lab.pay()
    assert await lab.controls_in_force() == []


async def test_an_operator_may_close_the_breaker(lab: Lab, side: SideRail) -> None:
    lab.limits = PayoutLimits(breaker_unknowns=1)
    await lab.earned()
    side.script = [UNKNOWN]
    await lab.pay()
    lab.orders = Orders(default=["side"])
    payout = await lab.earned()
    with pytest.raises(
        Retryable, match=r"rail side is paused \(breaker\): 1 payments sent within 15 minutes"
    ):
        await lab.pay()
    async with lab.work.begin("test.resume") as tx:
        assert await resume(tx, "rail:side", Cause.BREAKER, actor="person:op")
    await lab.pay()
    assert (await lab.case(payout)).state == "settled"


async def test_ready_on_a_stopped_rail_waits_and_leaves_it_when_its_invoice_ends(
    lab: Lab, side: SideRail
) -> None:
    lab.limits = PayoutLimits(breaker_unknowns=1, attempts_per_rail=1)
    payout = await lab.earned()
    await lab.ready()
    async with lab.work.begin("test.doubt") as tx:
        tx.session.add(_control("rail:side"))
    with pytest.raises(Retryable, match="side is paused"):
        await lab.pay()
    assert (await lab.case(payout)).state == "ready"
    async with lab.work.begin("test.age") as tx:
        await tx.execute("UPDATE payout_attempts SET expires_at = 1")
    await lab.pay()
    await lab.pay()
    assert await attempts(lab, payout) == [("side", "failed"), ("sandbox", "settled")]
    assert side.sent == []


def _control(subject: str) -> object:
    return PayoutControl(subject=subject, cause="breaker", reason="test", by="test", at=clock.now())


async def test_too_little_on_a_rail_waits_or_goes_by_another(lab: Lab, side: SideRail) -> None:
    payout = await lab.earned()
    side.script = [PaymentResult(outcome=Outcome.FAILED, reason="insufficient balance")]
    await lab.pay()
    side.has_msat = 506_999  # 500 sat and 7 sat of fee are wanted
    lab.orders = Orders(default=["side"])
    with pytest.raises(Retryable, match="rail side has 506999 msat and needs 507000"):
        await lab.pay()
    lab.orders = Orders()
    await lab.pay()
    assert await attempts(lab, payout) == [("side", "failed"), ("sandbox", "settled")]


async def test_the_database_refuses_a_second_living_attempt_and_a_hash_twice(
    lab: Lab, side: SideRail
) -> None:
    payout = await lab.earned()
    side.script = [UNKNOWN]
    await lab.pay()
    sent = (await lab.case(payout)).sent
    values = {column.key: getattr(sent, column.key) for column in PayoutAttempt.__table__.columns}
    for changed in (
        {"id": "att_b", "number": 2, "payment_hash": "ab" * 32, "state": "ready"},  # a second one that lives
        {"id": "att_c", "number": 3, "state": "failed"},  # the same hash
        {"id": "att_d", "state": "failed", "payment_hash": "cd" * 32},  # the same number
    ):
        with pytest.raises(IntegrityError):
            async with lab.work.begin("test.second") as tx:
                await tx.session.execute(insert(PayoutAttempt).values(**values | changed))


async def test_a_payout_is_not_prepared_beside_a_living_attempt(lab: Lab, side: SideRail) -> None:
    """Should the two tables ever disagree, the machine stops rather than pays."""
    payout = await lab.earned()
    side.script = [UNKNOWN]
    await lab.pay()
    async with lab.work.begin("test.break") as tx:
        await tx.execute(f"UPDATE payouts SET state = 'reserved' WHERE id = '{payout.id}'")
        tx.emit("payout.reserved", payout.id, queue="money")
    with pytest.raises(RuntimeError, match="is owed while attempt"):
        await lab.pay()
    assert (len(side.sent), lab.really_paid()) == (1, [])


async def test_what_has_ended_never_changes(lab: Lab, side: SideRail) -> None:
    payout = await lab.earned()
    await lab.pay()
    for state in PayoutState:
        if state is PayoutState.REVERSED:
            continue
        with pytest.raises(Conflict):
            async with lab.work.begin("test.move") as tx:
                await move_both(tx, await lab.case(payout), state)


async def test_what_is_not_committed_is_not_sent(lab: Lab, side: SideRail) -> None:
    payout = await lab.earned()
    await lab.ready()
    lease = await lab.take("payout.reserved")
    assert lease is not None
    sent = (await lab.case(payout)).sent
    with pytest.raises(RuntimeError, match="is not what is about to be paid"):
        await pay_and_record(
            lab.work,
            lease,
            side,
            sent,
            lab.limits,
            invoice=invoice_of(sent),
            begun=clock.monotonic(),
            checks=0,
        )
    assert side.sent == []


async def test_a_slow_rail_is_looked_at_hourly_and_for_sixty_days_after(lab: Lab) -> None:
    bank = SideRail(lab.sandbox, "bank", slow=True)
    lab.rails = {"bank": bank}
    payout = await lab.earned()
    bank.script = [IN_FLIGHT]
    await lab.pay()
    async with lab.work.begin("test.due") as tx:
        sql = "SELECT due_at - created_at FROM outbox WHERE topic = 'payout.check'"
        assert (await tx.execute(sql)).scalar_one() == 3_600_000
    bank.looks = [PaymentResult(outcome=Outcome.SETTLED, preimage=None)]
    bank.capabilities = type(bank.capabilities)(
        real_money=False, proves_by_preimage=False, network="bcrt", slow=True
    )
    await lab.check()
    assert (await lab.case(payout)).state == "settled"
    for _ in range(2):
        bank.looks = [PaymentResult(outcome=Outcome.SETTLED)]
        await lab.look_back()
    bank.looks = [PaymentResult(outcome=Outcome.REVERSED, reason="R03 no account")]
    await lab.look_back()
    assert (await lab.case(payout)).state == "reversed"
    assert await lab.waiting("payout.look_back") == 0
    assert await lab.repairs() == [(f"payout:{payout.id}", "taken_back")]
    await lab.assert_books(rails_without_preimage=["bank"])


async def test_a_bank_sends_and_takes_back_between_two_looks(lab: Lab) -> None:
    """Nobody saw it settled: the money is back with us, so it is owed again and does not stay in doubt for ever."""
    bank = SideRail(lab.sandbox, "bank", slow=True)
    bank.capabilities = type(bank.capabilities)(
        real_money=False, proves_by_preimage=False, network="bcrt", slow=True
    )
    lab.rails = {"bank": bank}
    payout = await lab.earned()
    bank.script = [IN_FLIGHT]
    await lab.pay()
    bank.looks = [PaymentResult(outcome=Outcome.REVERSED, reason="R03 no account")]
    await lab.check()
    assert (await lab.case(payout)).state == "reversed"
    assert await balance(lab.work, f"{payout.worker_id}:payable") == payout.amount_msat
    assert await balance(lab.work, "rail:bank") == await held(lab.work) == 0
    assert await lab.repairs() == [(f"payout:{payout.id}", "taken_back")]
    assert await lab.waiting("payout.look_back") == await lab.waiting("payout.check") == 0
    await lab.assert_books(rails_without_preimage=["bank"])


async def test_a_payment_that_hangs_is_a_fault_of_the_receiver(lab: Lab) -> None:
    lab.limits = PayoutLimits(breaker_unknowns=1)
    await lab.earned()
    lab.fault(Fault.HANG)
    await lab.pay()
    await lab.check()
    assert await lab.controls_in_force() == []
