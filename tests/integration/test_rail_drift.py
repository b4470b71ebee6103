"""A rail holds what the books say: what its node had at first stays the same whatever is paid in and out, and a change that
nobody wrote down is told until the operator says that it is right. On both databases and the real sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from connectors.rails.sandbox_book import Fault
from core.billing import top_ups
from core.billing.top_ups import Terms
from core.db.unit_of_work import UnitOfWork
from core.payouts import drift
from core.payouts.drift import Books, Span, own_funds
from core.payouts.tables import RailFunds
from core.repairs import actions as repairs
from core.repairs.queries import still_open
from core.tasks.model import Environment
from tests.factories import SAT, organisation
from tests.payout_lab import Lab

FUNDS = 1_000_000_000_000
DRIFT = ("rail:sandbox", "balance_drift")


@pytest.fixture
def lab(work: UnitOfWork, tmp_path: Path) -> Lab:
    return Lab(work, tmp_path)


async def watch(lab: Lab) -> list[tuple[str, str]]:
    """One round; what is open after it."""
    await lab.watch()
    return await lab.repairs()


async def noted(lab: Lab) -> tuple[int, int]:
    async with lab.work.read() as session:
        row = (await session.scalars(select(RailFunds))).one()
        return row.low_msat, row.high_msat


async def test_paying_and_being_paid_change_nothing(lab: Lab) -> None:
    assert await watch(lab) == []
    assert await noted(lab) == (FUNDS, FUNDS)
    await lab.earned()
    await lab.pay()
    assert await watch(lab) == []

    lab.fault(Fault.HANG)  # one on its way
    await lab.earned()
    await lab.pay()
    assert await watch(lab) == []
    lab.controls.release()
    assert await watch(lab) == []
    await lab.check()
    assert await watch(lab) == []

    async with lab.work.begin("test.org") as tx:
        owner = await organisation(tx)
    made = await top_ups.ask(
        lab.work,
        lab.rails,
        Terms(rail="sandbox"),
        organisation_id=owner.id,
        environment=Environment.LIVE,
        amount_msat=9_000 * SAT,
        actor="test",
    )
    lab.controls.pay_ours(made.invoice)  # arrived, not credited yet
    assert await watch(lab) == []
    await top_ups.look_now(lab.work, lab.rails, made.id, actor="test")
    assert await watch(lab) == []
    assert await noted(lab) == (FUNDS, FUNDS)
    await lab.assert_books()


async def test_money_that_nobody_wrote_down_is_told_until_it_is_accepted(lab: Lab) -> None:
    await watch(lab)
    invoice = await lab.wallets.invoice_for("eve@sandbox.test", amount_msat=70 * SAT, comment="")
    await lab.sandbox.pay(invoice, max_fee_msat=10_000)
    for _ in range(2):
        assert await watch(lab) == [DRIFT]
    async with lab.work.read() as session:
        [item] = await still_open(session)
    assert item.message.startswith("Rail sandbox holds 71035 msat less than the books explain")
    async with lab.work.begin("test.close") as tx:
        await repairs.close(tx, item.id, actor="person:op")
    assert await watch(lab) == []  # the operator says that it is right
    assert await noted(lab) == (FUNDS - 71_035, FUNDS - 71_035)
    assert await watch(lab) == []


async def test_what_comes_back_closes_the_item(lab: Lab) -> None:
    await watch(lab)
    async with lab.work.begin("test.move") as tx:
        row = (await tx.session.scalars(select(RailFunds))).one()
        row.low_msat = row.high_msat = FUNDS - 5_000
    assert await watch(lab) == [DRIFT]
    async with lab.work.begin("test.move") as tx:
        row = (await tx.session.scalars(select(RailFunds))).one()
        row.low_msat = row.high_msat = FUNDS
    assert await watch(lab) == []


def books(sent: int, doubt: int = 0, expected: int = 0) -> Books:
    return Books(sent_msat=sent, doubt_msat=doubt, expected_msat=expected)


def test_the_span_holds_what_may_have_happened_around_the_question() -> None:
    assert own_funds(100, books(5), books(5)) == Span(low_msat=105, high_msat=105)
    assert own_funds(100, books(5), books(9)) == Span(low_msat=105, high_msat=109)  # one settled meanwhile
    assert own_funds(100, books(5, doubt=7), books(5)) == Span(low_msat=105, high_msat=112)
    assert own_funds(100, books(5), books(5, expected=50)) == Span(low_msat=55, high_msat=105)


def test_spans_meet_within_a_satoshi_and_narrow() -> None:
    a, b = Span(low_msat=0, high_msat=10_000), Span(low_msat=8_000, high_msat=20_000)
    assert a.meets(b)
    assert a.cut(b) == Span(low_msat=8_000, high_msat=10_000)
    near, far = Span(low_msat=11_000, high_msat=12_000), Span(low_msat=11_001, high_msat=12_000)
    assert a.meets(near)
    assert a.cut(near) == near
    assert not a.meets(far)
    assert not far.meets(a)
    assert drift.WITHIN_MSAT == SAT
