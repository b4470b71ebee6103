"""What every rail must do that organisations top up over: its own invoices, and what has arrived for them."""

from __future__ import annotations

import pytest

from connectors.rails import bolt11
from core import clock
from core.errors import Rejected, Retryable
from core.payouts.rail import Invoice, Receiving
from tests.contract.rails.labs import AccountLab

AMOUNT = 50_000_000
WHOLE_SATS = ("lnbits", "phoenixd")


def receiving(account: AccountLab) -> Receiving:
    assert isinstance(account.rail, Receiving)
    return account.rail


async def made(account: AccountLab) -> Invoice:
    return await receiving(account).receive(AMOUNT, memo="Top-up of Acme", expires_seconds=3600)


async def test_an_invoice_of_ours_says_what_was_asked_for(account: AccountLab) -> None:
    invoice = await made(account)
    read = bolt11.decode(invoice.bolt11)
    assert (read.amount_msat, read.network) == (AMOUNT, account.rail.capabilities.network)
    assert (invoice.amount_msat, invoice.payment_hash) == (AMOUNT, read.payment_hash)
    assert invoice.expires_at_ms == read.expires_at_ms
    assert abs(invoice.expires_at_ms - clock.now_ms() - 3_600_000) < 30_000
    assert (await made(account)).payment_hash != invoice.payment_hash


async def test_nothing_has_arrived_until_somebody_pays(account: AccountLab) -> None:
    invoice = await made(account)
    assert await receiving(account).received_msat(invoice.payment_hash) == 0
    account.somebody_pays(invoice, AMOUNT)
    assert await receiving(account).received_msat(invoice.payment_hash) == AMOUNT
    assert await receiving(account).received_msat(invoice.payment_hash) == AMOUNT


@pytest.mark.parametrize("arrived", [AMOUNT - 1_000_000, AMOUNT + 1_000_000])
async def test_more_or_less_than_asked_is_said_as_it_is(account: AccountLab, arrived: int) -> None:
    invoice = await made(account)
    account.somebody_pays(invoice, arrived)
    assert await receiving(account).received_msat(invoice.payment_hash) == arrived


async def test_an_old_invoice_can_never_be_paid(account: AccountLab) -> None:
    invoice = await account.old_invoice(AMOUNT)
    assert await receiving(account).received_msat(invoice.payment_hash) is None


async def test_what_came_is_there_after_the_invoice_has_ended(account: AccountLab) -> None:
    invoice = await account.old_invoice(AMOUNT)
    account.somebody_pays(invoice, AMOUNT)
    assert await receiving(account).received_msat(invoice.payment_hash) == AMOUNT


async def test_an_invoice_that_the_rail_has_lost_is_never_paid(account: AccountLab) -> None:
    invoice = await made(account)
    account.forget(invoice)
    assert await receiving(account).received_msat(invoice.payment_hash) is None
    assert await receiving(account).received_msat("ab" * 32) is None


async def test_a_rail_that_is_away_says_nothing_about_the_money(account: AccountLab) -> None:
    invoice = await made(account)
    account.is_away()
    with pytest.raises(Retryable):
        await receiving(account).received_msat(invoice.payment_hash)


async def test_a_rail_that_is_away_makes_no_invoice(account: AccountLab) -> None:
    account.is_away()
    with pytest.raises(Retryable):
        await made(account)


async def test_half_a_satoshi_is_refused_or_exact(account: AccountLab) -> None:
    asked = receiving(account).receive(AMOUNT + 500, memo="odd", expires_seconds=60)
    if account.rail.name in WHOLE_SATS:
        with pytest.raises(Rejected, match="whole satoshis"):
            await asked
    else:
        assert bolt11.decode((await asked).bolt11).amount_msat == AMOUNT + 500
