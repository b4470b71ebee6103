"""What every rail must do whose books are compared with ours at night: the balance, and every payment on every page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from pathlib import Path

import pytest

from connectors.rails import cln_account, lnbits_account, lnd_account, phoenixd_account
from core import clock
from core.errors import Retryable
from core.payouts.rail import Funded, Invoice, Outcome, Rail, Recorded, Recording
from tests.contract.rails.labs import LABS, AccountLab, Lab
from tests.contract.rails.test_all_rails import pay

AMOUNT = 500_000
# CLN reads parts, three of each payment here; the others read payments.
MORE_THAN_TWO_PAGES = {
    "cln": cln_account.PAGE,
    "lnbits": 2 * lnbits_account.PAGE + 1,
    "lnd": 2 * lnd_account.PAGE + 1,
    "phoenixd": 2 * phoenixd_account.PAGE + 1,
    "sandbox": 3,
}


@pytest.fixture(params=sorted(LABS))
async def lab(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Lab]:
    lab = LABS[request.param](tmp_path)
    async with lab if isinstance(lab, AbstractAsyncContextManager) else nullcontext():
        yield lab


async def history(rail: Rail, since_ms: int = 0) -> list[Recorded]:
    assert isinstance(rail, Recording), f"{rail.name} cannot be reconciled"
    async with aclosing(rail.payments(since_ms)) as payments:
        return [payment async for payment in payments]


async def test_every_payment_is_there_once_with_its_amount_and_fee(lab: Lab) -> None:
    begun_ms = clock.now_ms() // 1000 * 1000 - 1000  # some write whole seconds
    invoices = [await lab.invoice(AMOUNT) for _ in range(3)]
    results = {invoice.payment_hash: await pay(lab, invoice) for invoice in invoices}
    found = {one.payment_hash: one for one in await history(lab.rail, begun_ms)}
    assert set(found) == set(results)
    for payment_hash, result in results.items():
        one = found[payment_hash]
        assert (one.outcome, one.amount_msat, one.fee_msat) == (Outcome.SETTLED, AMOUNT, result.fee_msat)
        assert begun_ms <= one.at_ms <= clock.now_ms() + 1000


async def test_what_was_paid_before_is_not_asked_for(lab: Lab) -> None:
    await pay(lab, await lab.invoice(AMOUNT))
    assert await history(lab.rail, clock.now_ms() + 60_000) == []


async def test_the_balance_is_enough_for_what_can_be_paid(lab: Lab) -> None:
    assert isinstance(lab.rail, Funded), f"{lab.rail.name} does not tell its balance"
    assert await lab.rail.balance_msat() >= AMOUNT
    await pay(lab, await lab.invoice(AMOUNT))


async def test_every_page_is_read(account: AccountLab) -> None:
    paid = account.paid_before(MORE_THAN_TWO_PAGES[account.rail.name], AMOUNT)
    found = await history(account.rail)
    assert sorted(one.payment_hash for one in found) == sorted(paid)
    assert {(one.outcome, one.amount_msat) for one in found} == {(Outcome.SETTLED, AMOUNT)}


async def in_flight(account: AccountLab) -> Invoice:
    account.next_hangs()
    invoice = await account.invoice(AMOUNT)
    await account.rail.pay(invoice, max_fee_msat=5_000)
    return invoice


async def test_what_failed_and_what_is_on_its_way_is_said_so(account: AccountLab) -> None:
    account.next_fails()
    failed = await account.invoice(AMOUNT)
    await account.rail.pay(failed, max_fee_msat=5_000)
    waiting = await in_flight(account)
    found = {one.payment_hash: (one.outcome, one.fee_msat) for one in await history(account.rail)}
    assert found == {
        failed.payment_hash: (Outcome.FAILED, 0),
        waiting.payment_hash: (Outcome.IN_FLIGHT, 0),
    }


async def test_a_rail_that_is_away_has_no_history(account: AccountLab) -> None:
    account.is_away()
    with pytest.raises(Retryable):
        await history(account.rail)


async def test_a_rail_that_is_away_has_no_balance(account: AccountLab) -> None:
    account.is_away()
    assert isinstance(account.rail, Funded)
    with pytest.raises(Retryable):
        await account.rail.balance_msat()
