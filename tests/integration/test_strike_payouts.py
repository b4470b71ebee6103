"""The payout machine on both databases with the rail `strike` and a simulated account: the quote is committed before it is
executed, and executed once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from core.db.unit_of_work import UnitOfWork
from core.payouts.rail import Invoice
from core.tasks.tables import Task
from core.tasks.view import encode, view
from tests.contract.rails.labs_strike import StrikeLab
from tests.factories import balance
from tests.payout_lab import Lab, Wallets


class StrikeWallets(Wallets):
    """Every address is that of the account's payee."""

    account: StrikeLab

    async def invoice_for(self, address: str, *, amount_msat: int, comment: str) -> Invoice:
        self.asked += 1
        return await self.account.invoice(amount_msat)


@pytest.fixture
async def strike(tmp_path: Path) -> AsyncIterator[StrikeLab]:
    async with StrikeLab(tmp_path) as strike:
        yield strike


@pytest.fixture
def lab(work: UnitOfWork, tmp_path: Path, strike: StrikeLab) -> Lab:
    lab = Lab(work, tmp_path)
    wallets = StrikeWallets(tmp_path / "unused", work)
    wallets.account = strike
    lab.wallets, lab.rails = wallets, {"strike": strike.rail}
    return lab


async def test_paid_by_the_quote_that_was_committed(lab: Lab, strike: StrikeLab) -> None:
    payout = await lab.earned()
    await lab.pay()
    case = await lab.case(payout)
    (quote,) = strike.account.quotes.values()
    assert (case.state, case.sent.rail, case.sent.reference) == ("settled", "strike", quote.id)
    assert (case.sent.amount_msat, case.sent.fee_msat) == (500_000, 1_000)
    assert await strike.received_msat() == 500_000
    assert await balance(lab.work, "rail:strike") == 501_000
    await lab.assert_books()
    async with lab.work.read() as session:
        task = await session.get_one(Task, payout.task_id)
    assert msgspec.json.decode(encode(view(task)))["payoutResult"]["rail"] == "strike"


async def test_a_lost_answer_is_looked_up_by_another_process(lab: Lab, strike: StrikeLab) -> None:
    payout = await lab.earned()
    strike.next_loses_its_answer()
    await lab.pay()
    assert (await lab.case(payout)).state == "unknown"
    lab.rails = {"strike": strike.restarted()}
    await lab.check()
    assert (await lab.case(payout)).state == "settled"
    assert strike.account.executions() == 1
    assert await strike.received_msat() == 500_000
    await lab.assert_books()


async def test_a_failure_in_flight_is_followed_by_a_new_invoice_and_quote(
    lab: Lab, strike: StrikeLab
) -> None:
    payout = await lab.earned()
    strike.next_hangs()
    await lab.pay()
    await lab.check()
    assert (await lab.case(payout)).state == "unknown"
    strike.release(settle=False)
    await lab.check()
    case = await lab.case(payout)
    assert (case.payout.state, case.sent.state) == ("reserved", "failed")
    await lab.pay()
    case = await lab.case(payout)
    assert (case.state, case.sent.number) == ("settled", 2)
    assert len(strike.account.quotes) == strike.account.executions() == 2
    assert await strike.received_msat() == 500_000
    await lab.assert_books()
