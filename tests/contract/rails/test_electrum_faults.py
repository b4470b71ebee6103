"""What the rail `electrum` makes of an Electrum wallet in every state that its releases' source knows: only what proves
that nothing is on its way frees the money."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core import clock
from core.errors import Rejected, Retryable
from core.payouts.rail import Invoice, Outcome, PaymentResult, Recorded
from tests.contract.rails.labs_electrum import ElectrumLab
from tests.fakes.electrum import CHANNEL, EXPIRED, FAILED, FEE_MSAT, INFLIGHT, PAID, UNPAID
from tests.fakes.tls_node import Fault

AMOUNT = 500_000
FEE = 5_000


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[ElectrumLab]:
    async with ElectrumLab(tmp_path) as lab:
        yield lab


async def pay(lab: ElectrumLab, invoice: Invoice, fee: int = FEE) -> PaymentResult:
    return await lab.rail.pay(invoice, max_fee_msat=fee)


async def known(lab: ElectrumLab, status: int, amount_msat: int | None = AMOUNT) -> str:
    """The hash of an invoice that the wallet has."""
    invoice = await lab.invoice(AMOUNT)
    lab.node.invoices[invoice.payment_hash] = {
        "invoice_id": invoice.payment_hash,
        "status": status,
        "timestamp": clock.unix(),
        "amount_msat": amount_msat,
    }
    return invoice.payment_hash


def sent(lab: ElectrumLab) -> int:
    return sum(1 for request in lab.node.requests if request.body["method"] == "lnpay")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (UNPAID, Outcome.FAILED),  # of a run before: nothing was in flight when the wallet was loaded
        (EXPIRED, Outcome.FAILED),
        (FAILED, Outcome.FAILED),
        (INFLIGHT, Outcome.IN_FLIGHT),
        (PAID, Outcome.UNKNOWN),  # without a preimage: on the chain?
        (2, Outcome.UNKNOWN),
        (6, Outcome.UNKNOWN),
        (7, Outcome.UNKNOWN),
    ],
)
async def test_a_status_of_an_invoice_that_is_not_in_the_history(
    lab: ElectrumLab, status: int, outcome: Outcome
) -> None:
    found = await lab.rail.look_up(await known(lab, status))
    assert found is not None
    assert found.outcome is outcome


@pytest.mark.parametrize("status", [UNPAID, EXPIRED, FAILED])
@pytest.mark.parametrize("amount_msat", [20_000_000, None])
async def test_what_may_have_been_split_is_never_failed(
    lab: ElectrumLab, status: int, amount_msat: int | None
) -> None:
    found = await lab.rail.look_up(await known(lab, status, amount_msat))
    assert found is not None
    assert found.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("state", "outcome"),
    [("OPEN", Outcome.UNKNOWN), ("CLOSED", Outcome.UNKNOWN), ("REDEEMED", Outcome.FAILED)],
)
async def test_a_second_channel_may_carry_a_part(lab: ElectrumLab, state: str, outcome: Outcome) -> None:
    lab.node.channels.append(CHANNEL | {"state": state})
    lab.node.channels.append({"type": "BACKUP", "state": "OPEN"})
    found = await lab.rail.look_up(await known(lab, FAILED))
    assert found is not None
    assert found.outcome is outcome


@pytest.mark.parametrize(
    "changes",
    [
        {"peer_state": "REESTABLISHING"},
        {"peer_state": "DISCONNECTED"},
        {"state": "FORCE_CLOSING"},
        {"local_unsettled_sent": 500},
    ],
)
async def test_unpaid_is_believed_once_the_channel_is_back_and_empty(
    lab: ElectrumLab, changes: dict[str, Any]
) -> None:
    """The wallet counts an HTLC as gone that the peer has but promised to fail."""
    payment_hash = await known(lab, UNPAID)
    lab.node.channels[0].update(changes)
    found = await lab.rail.look_up(payment_hash)
    assert found is not None
    assert found.outcome is Outcome.UNKNOWN
    lab.node.channels[0].update(CHANNEL | {"local_unsettled_sent": 499})
    found = await lab.rail.look_up(payment_hash)
    assert found is not None
    assert found.outcome is Outcome.FAILED


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("connected", False, "not synchronized"),
        ("synchronized", False, "not synchronized"),
        ("loaded", False, "wallet not loaded"),
        ("version", "4.5.0", "release 4.5.0 is not known"),
        ("network", "mainnet", "electrum is on mainnet"),
    ],
)
async def test_a_wallet_that_cannot_know_frees_nothing_and_is_sent_nothing(
    lab: ElectrumLab, seen: bool, attribute: str, value: object, reason: str
) -> None:
    payment_hash = await known(lab, FAILED) if seen else "ab" * 32
    setattr(lab.node, attribute, value)
    for result in (await lab.rail.look_up(payment_hash), await pay(lab, await lab.invoice(AMOUNT))):
        assert result is not None
        assert result.outcome is Outcome.UNKNOWN
        assert reason in (result.reason or "")
    assert sent(lab) == 0


async def test_another_wallet_than_the_one_meant(lab: ElectrumLab) -> None:
    lab.options["wallet"] = "/somewhere/else"
    result = await lab.restarted().look_up("ab" * 32)
    assert result == PaymentResult(outcome=Outcome.UNKNOWN, reason="electrum: wallet not loaded")


@pytest.mark.parametrize("words", ["This invoice has been paid already", "Invalid invoice", "anything"])
async def test_an_error_of_lnpay_is_in_doubt(lab: ElectrumLab, words: str) -> None:
    lab.node.errors.append(words)
    result = await pay(lab, await lab.invoice(AMOUNT))
    assert result == PaymentResult(outcome=Outcome.UNKNOWN, reason=f"electrum: {words}")


async def test_calls_at_the_same_moment_send_one(lab: ElectrumLab) -> None:
    invoice = await lab.invoice(AMOUNT)
    results = await asyncio.gather(*(pay(lab, invoice) for _ in range(4)))
    assert sorted(result.outcome for result in results) == ["settled", "unknown", "unknown", "unknown"]
    assert sent(lab) == 1
    assert (await pay(lab, invoice)).outcome is Outcome.SETTLED
    assert sent(lab) == 1


async def test_a_payment_that_failed_before_a_restart_is_failed_after_it(lab: ElectrumLab) -> None:
    invoice = await lab.invoice(AMOUNT)
    lab.next_fails()
    result = await pay(lab, invoice)
    assert result == PaymentResult(
        outcome=Outcome.FAILED, reason="electrum: 536x1x0 TEMPORARY_CHANNEL_FAILURE"
    )
    lab.node.restart()
    again = await pay(lab, invoice)
    assert again.outcome is Outcome.FAILED
    assert sent(lab) == 1


async def test_no_success_whose_record_is_in_flight_is_in_flight(lab: ElectrumLab) -> None:
    """A payment in parts that was given up while one part is on its way, and whose invoice somebody tries again."""
    invoice = await lab.invoice(AMOUNT)
    lab.next_fails()
    lab.node.channels.append(dict(CHANNEL))
    result = await pay(lab, invoice)
    assert result.outcome is Outcome.UNKNOWN
    assert "a part of the payment may be on its way" in (result.reason or "")


async def test_the_first_preimage_of_several_parts_is_not_yet_the_fee(lab: ElectrumLab) -> None:
    invoice = await lab.invoice(AMOUNT)
    await pay(lab, invoice)
    lab.node.history[-1] |= {"fee_msat": -AMOUNT // 2}
    assert await lab.rail.look_up(invoice.payment_hash) == PaymentResult(outcome=Outcome.IN_FLIGHT)


@pytest.mark.parametrize(
    "changes", [{"preimage": None}, {"preimage": "77" * 32}, {"fee_msat": None}, {"direction": 2}]
)
async def test_a_history_that_proves_nothing(lab: ElectrumLab, changes: dict[str, Any]) -> None:
    invoice = await lab.invoice(AMOUNT)
    await pay(lab, invoice)
    lab.node.history[-1] |= changes
    found = await lab.rail.look_up(invoice.payment_hash)
    assert found is not None
    assert found.outcome is Outcome.UNKNOWN


async def test_an_invoice_that_was_deleted_is_still_in_the_history(lab: ElectrumLab) -> None:
    invoice = await lab.invoice(AMOUNT)
    paid = await pay(lab, invoice)
    del lab.node.invoices[invoice.payment_hash]
    assert await lab.rail.look_up(invoice.payment_hash) == paid
    assert await pay(lab, invoice) == paid


@pytest.mark.parametrize(
    ("channel", "reason"),
    [
        ({"local_balance": 150_499}, "can pay 500000 msat alone"),
        ({"peer_state": "DISCONNECTED"}, "can pay 500000 msat alone"),
    ],
)
async def test_what_no_channel_holds_alone_is_not_sent(
    lab: ElectrumLab, channel: dict[str, Any], reason: str
) -> None:
    """Two of them would hold it together."""
    lab.node.channels[0].update(channel)
    lab.node.channels.append(dict(lab.node.channels[0]))
    invoice = await lab.invoice(AMOUNT)
    result = await pay(lab, invoice)
    assert result.outcome is Outcome.FAILED
    assert reason in (result.reason or "")
    assert sent(lab) == 0
    assert await lab.rail.look_up(invoice.payment_hash) is None


async def test_the_limit_on_fees_is_held_against_electrums_own(lab: ElectrumLab) -> None:
    assert (await pay(lab, await lab.invoice(600_000), 5_999)).outcome is Outcome.FAILED
    assert (await pay(lab, await lab.invoice(600_000), 6_000)).outcome is Outcome.SETTLED
    assert sent(lab) == 1


async def test_balance_is_of_the_channels_that_work(lab: ElectrumLab) -> None:
    lab.node.channels[0]["local_unsettled_sent"] = 7
    lab.node.channels.append(CHANNEL | {"peer_state": "DISCONNECTED"})
    lab.node.channels.append(CHANNEL | {"local_balance": 1})
    assert await lab.rail.balance_msat() == (14_000_000 - 150_000 - 7) * 1000
    lab.node.loaded = False
    with pytest.raises(Retryable, match="wallet not loaded"):
        await lab.rail.balance_msat()


async def test_the_history_has_what_left_and_what_is_leaving(lab: ElectrumLab) -> None:
    paid = await lab.invoice(AMOUNT)
    await pay(lab, paid)
    lab.next_fails()
    await pay(lab, await lab.invoice(AMOUNT))
    flying = await known(lab, INFLIGHT)
    found = {one.payment_hash: one async for one in lab.rail.payments(0)}
    assert set(found) == {paid.payment_hash, flying}
    at_ms = found[paid.payment_hash].at_ms
    assert found[paid.payment_hash] == Recorded(
        payment_hash=paid.payment_hash,
        outcome=Outcome.SETTLED,
        amount_msat=AMOUNT,
        fee_msat=FEE_MSAT,
        at_ms=at_ms,
    )
    assert (found[flying].outcome, found[flying].amount_msat) == (Outcome.IN_FLIGHT, AMOUNT)
    assert [one async for one in lab.rail.payments(at_ms + 60_000)] == []


async def test_what_is_received(lab: ElectrumLab) -> None:
    invoice = await lab.rail.receive(AMOUNT, memo="top up", expires_seconds=3600)
    assert invoice.amount_msat == AMOUNT
    assert await lab.rail.received_msat(invoice.payment_hash) == 0
    made = lab.node.made[invoice.payment_hash]
    made.update(expiration=clock.unix() - 13 * 24 * 3600, status=EXPIRED)
    assert await lab.rail.received_msat(invoice.payment_hash) == 0  # Electrum would still take it
    made["expiration"] -= 2 * 24 * 3600
    assert await lab.rail.received_msat(invoice.payment_hash) is None
    lab.node.receive(invoice.payment_hash)
    assert await lab.rail.received_msat(invoice.payment_hash) == AMOUNT


async def test_a_request_that_the_wallet_does_not_have(lab: ElectrumLab) -> None:
    assert await lab.rail.received_msat("ab" * 32) is None
    lab.node.synchronized = False
    with pytest.raises(Retryable):
        await lab.rail.received_msat("ab" * 32)


@pytest.mark.parametrize("amount_msat", [0, -1000, 1_500])
async def test_an_amount_that_electrum_cannot_ask_for(lab: ElectrumLab, amount_msat: int) -> None:
    with pytest.raises(Rejected, match="whole satoshis"):
        await lab.rail.receive(amount_msat, memo="", expires_seconds=60)


async def test_a_request_is_made_beyond_the_gap_limit(lab: ElectrumLab) -> None:
    lab.node.has_addresses = False
    assert (await lab.rail.receive(1_000, memo="", expires_seconds=60)).amount_msat == 1_000


async def test_a_broken_answer_to_a_question_is_asked_again_later(lab: ElectrumLab) -> None:
    lab.node.look_up_faults.append(Fault.NOTHING)
    found = await lab.rail.look_up("ab" * 32)
    assert found is not None
    assert found.outcome is Outcome.UNKNOWN
    assert await lab.rail.look_up("ab" * 32) is None
