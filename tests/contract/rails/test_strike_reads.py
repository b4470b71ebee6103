"""What a Strike account tells the rail, well and badly: the look-up of a payment, its limits of requests, the balance and
the history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.rails.strike_payment_ids import FILE_NAME
from core import clock
from core.errors import Retryable
from core.payouts.rail import Outcome, PaymentResult, Recorded
from tests.contract.rails.labs_strike import StrikeLab
from tests.contract.rails.strike_kit import AMOUNT, FEE, rail_of
from tests.fakes.wallet_faults import AFTER, BEFORE, Fault


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[StrikeLab]:
    async with StrikeLab(tmp_path) as lab:
        yield lab


# --- the look-up ---


@pytest.mark.parametrize("listing", ["absent", "nameless"])
async def test_without_a_list_that_names_invoices_the_kept_id_alone_knows(
    lab: StrikeLab, listing: str, tmp_path: Path
) -> None:
    lab.account.gives_preimages = False
    invoice = await lab.quoted(AMOUNT)
    lab.next_hangs()
    await lab.rail.pay(invoice, max_fee_msat=FEE)
    lab.account.listing = listing
    lab.release(settle=True)
    for rail in (lab.rail, lab.restarted()):
        found = await rail.look_up(invoice.payment_hash, reference=invoice.reference)
        assert found == PaymentResult(outcome=Outcome.SETTLED, fee_msat=1_000)
    (tmp_path / FILE_NAME).unlink()
    after = await lab.restarted().look_up(invoice.payment_hash, reference=invoice.reference)
    assert after is not None
    assert after.outcome is Outcome.UNKNOWN


async def test_an_absence_is_one_only_where_the_operator_says_so(lab: StrikeLab) -> None:
    careful = lab.with_options(payment_list_complete=False)
    found = await careful.look_up("ab" * 32)
    assert found is not None
    assert found.outcome is Outcome.UNKNOWN
    assert "payment_list_complete" in (found.reason or "")
    invoice = await lab.quoted(AMOUNT)
    assert (await careful.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.SETTLED
    known = await lab.with_options().look_up(invoice.payment_hash)
    assert known is not None
    assert known.outcome is Outcome.SETTLED


@pytest.mark.parametrize("listing", ["items", "array"])
@pytest.mark.parametrize("most", [1, 3, 100])
async def test_the_list_is_read_to_its_end(lab: StrikeLab, listing: str, most: int) -> None:
    """A page may be shorter than was asked for, which is not the end."""
    lab.account.listing, lab.account.page_most = listing, most
    invoices = [await lab.quoted(AMOUNT) for _ in range(5)]
    for invoice in invoices:
        await lab.rail.pay(invoice, max_fee_msat=FEE)
    for invoice in invoices:
        found = await lab.restarted().look_up(invoice.payment_hash)
        assert found is not None
        assert found.outcome is Outcome.SETTLED
    assert await lab.rail.look_up("ab" * 32) is None


async def test_a_list_that_repeats_itself_proves_nothing(lab: StrikeLab) -> None:
    lab.account.ignores_skip = True
    lab.account.page_most, lab.account.listing = 1, "array"
    await lab.rail.pay(await lab.quoted(AMOUNT), max_fee_msat=FEE)
    found = await lab.rail.look_up("ab" * 32)
    assert found == PaymentResult(outcome=Outcome.UNKNOWN, reason="Strike's list of payments repeats itself")


@pytest.mark.parametrize(
    "fault", sorted({*AFTER, *BEFORE} - {Fault.TIMEOUT_AFTER, Fault.TOO_LONG, Fault.WRONG_HASH}, key=str)
)
async def test_a_look_up_with_a_bad_answer_is_unknown(lab: StrikeLab, fault: Fault, tmp_path: Path) -> None:
    invoice = await lab.quoted(AMOUNT)
    assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.SETTLED
    for kept in (True, False):
        if not kept:
            (tmp_path / FILE_NAME).unlink()
        rail = lab.restarted()
        lab.account.faults.others.append(fault)
        found = await rail.look_up(invoice.payment_hash, reference=invoice.reference)
        assert found is not None
        assert (found.outcome, found.preimage) == (Outcome.UNKNOWN, None)


async def test_a_failure_in_a_list_that_breaks_off_is_not_believed(lab: StrikeLab) -> None:
    """Behind the break another payment of the hash may stand."""
    invoice = await lab.quoted(AMOUNT)
    lab.next_fails()
    await lab.rail.pay(invoice, max_fee_msat=FEE)
    lab.account.page_most, lab.account.listing = 1, "array"
    lab.account.faults.others.extend([Fault.NONE, Fault.RESET_BEFORE])
    found = await lab.restarted().look_up(invoice.payment_hash)
    assert found is not None
    assert found.outcome is Outcome.UNKNOWN


async def test_a_wrong_key_is_unknown_and_says_what_to_mend(lab: StrikeLab) -> None:
    invoice = await lab.quoted(AMOUNT)
    lab.secret("0" * 32)
    rail = lab.with_options()
    found, paid = await rail.look_up(invoice.payment_hash), await rail.pay(invoice, max_fee_msat=FEE)
    assert found is not None
    assert (found.outcome, paid.outcome) == (Outcome.UNKNOWN, Outcome.UNKNOWN)
    assert paid.reason == found.reason
    assert "scopes" in (paid.reason or "")


async def test_an_account_that_cannot_be_reached_is_unknown(lab: StrikeLab) -> None:
    invoice = await lab.quoted(AMOUNT)
    rail = lab.with_options(url="http://127.0.0.1:9")
    paid, found = await rail.pay(invoice, max_fee_msat=FEE), await rail.look_up(invoice.payment_hash)
    assert found is not None
    assert (paid.outcome, found.outcome) == (Outcome.UNKNOWN, Outcome.UNKNOWN)
    with pytest.raises(Retryable):
        await rail.balance_msat()


# --- rate limits ---


@pytest.mark.parametrize("retry_after", ["7", None, "soon"])
async def test_after_a_429_nothing_is_sent_until_the_pause_is_over(
    lab: StrikeLab, retry_after: str | None
) -> None:
    invoice = await lab.quoted(AMOUNT)
    account = lab.account
    account.requests_left, account.retry_after = 0, retry_after
    before = len(account.faults.requests)
    for _ in range(5):
        assert (await lab.rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.UNKNOWN
        found = await lab.rail.look_up(invoice.payment_hash)
        assert found is not None
        assert found.outcome is Outcome.UNKNOWN
    with pytest.raises(Retryable) as caught:
        await lab.quoted(AMOUNT)
    assert caught.value.after is not None
    assert 1 <= caught.value.after <= 60
    assert len(account.faults.requests) == before + 1


async def test_look_ups_leave_room_for_an_execution(lab: StrikeLab) -> None:
    rail = lab.with_options(requests_per_10_minutes=20)
    invoice = await lab.quoted(AMOUNT)
    for _ in range(30):
        await rail.look_up("ab" * 32)
    assert len(lab.account.faults.requests) == 16
    assert (await rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.SETTLED


# --- balance and history ---


@pytest.mark.parametrize(("currency", "expected"), [("BTC", 5_000_000_000), ("USD", 1_492_537_313)])
async def test_the_balance_is_what_could_be_sent(lab: StrikeLab, currency: str, expected: int) -> None:
    assert await lab.with_options(source_currency=currency).balance_msat() == expected


async def test_a_balance_that_cannot_be_read(lab: StrikeLab) -> None:
    lab.account.faults.others.append(Fault.HTML)
    with pytest.raises(Retryable):
        await rail_of(lab).balance_msat()


async def test_the_history_tells_every_payment(lab: StrikeLab) -> None:
    begun = clock.now_ms()
    outcomes = {"settle": Outcome.SETTLED, "fail": Outcome.FAILED, "hang": Outcome.IN_FLIGHT}
    expected: dict[str, Outcome] = {}
    for fate, outcome in outcomes.items():
        invoice = await lab.quoted(AMOUNT)
        lab.account.fates.append(fate)
        await lab.rail.pay(invoice, max_fee_msat=FEE)
        expected[invoice.payment_hash] = outcome
    found = [row async for row in rail_of(lab).payments(begun)]
    assert {row.payment_hash: row.outcome for row in found} == expected
    assert all(type(row) is Recorded and row.amount_msat == AMOUNT for row in found)
    assert [row async for row in rail_of(lab).payments(clock.now_ms() + 60_000)] == []


@pytest.mark.parametrize("currency", ["BTC", "USD"])
async def test_an_amount_in_dollars_is_told_to_within_a_cent(lab: StrikeLab, currency: str) -> None:
    """Else every payment from a dollar balance would differ from ours, and the nightly look would stop all payouts."""
    lab.rail = lab.with_options(source_currency=currency)
    uneven = AMOUNT + 7_000
    await lab.rail.pay(await lab.quoted(uneven), max_fee_msat=FEE)
    [row] = [row async for row in lab.rail.payments(0)]
    assert abs(row.amount_msat - uneven) <= row.within_msat
    assert (row.within_msat == 0) is (currency == "BTC")


@pytest.mark.parametrize("listing", ["absent", "nameless"])
async def test_a_history_that_cannot_be_read_is_not_an_empty_one(lab: StrikeLab, listing: str) -> None:
    lab.account.gives_preimages = False
    await lab.rail.pay(await lab.quoted(AMOUNT), max_fee_msat=FEE)
    lab.account.listing = listing
    with pytest.raises(Retryable):
        _ = [row async for row in rail_of(lab).payments(0)]
