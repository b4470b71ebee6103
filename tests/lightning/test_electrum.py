"""The rail `electrum` against two real Electrum nodes with a channel between them; `hub/demo/lightning/install.sh` installs
them. Whatever befalls the payer or the payee: bob has an invoice's money once or never, and nothing that he has was
called failed. What they answer here is what `tests/fakes/electrum.py` answers everywhere else."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator

import msgspec
import pytest

from connectors.rails.electrum import ElectrumRail
from core import clock
from core.payouts.rail import Funded, Invoice, Outcome, PaymentResult, Receiving, Recorded, Recording
from hub.demo.lightning.processes import missing
from tests.absent import needed
from tests.fakes.payee import Payee
from tests.lightning.electrum_lab import ElectrumLab, invoice_of
from tests.wait import wait_until

AMOUNT = 500_000
FEE = 5_000

pytestmark = [
    pytest.mark.lightning,
    pytest.mark.timeout(300),  # the nodes start in fifteen seconds, on a busy machine in a minute
]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElectrumLab]:
    absent = missing()
    needed(absent is None, absent or "")
    lab = ElectrumLab(tmp_path_factory.mktemp("electrum"))
    asyncio.run(lab.start())
    print(f"boot {lab.network.boot_seconds:.1f} s, channel {lab.network.channel_seconds:.1f} s")
    yield lab
    lab.stop()


@pytest.fixture(autouse=True)
async def connected(lab: ElectrumLab) -> None:
    """A test that failed may have left them apart."""
    await lab.connected()


@pytest.fixture
def rail(lab: ElectrumLab) -> ElectrumRail:
    return lab.rail()


async def outcome_of(rail: ElectrumRail, invoice: Invoice) -> Outcome | None:
    found = await rail.look_up(invoice.payment_hash)
    return None if found is None else found.outcome


def assert_settled(result: PaymentResult | None, invoice: Invoice) -> None:
    assert result is not None
    assert (result.outcome, result.fee_msat) == (Outcome.SETTLED, 0), result
    assert hashlib.sha256(bytes.fromhex(result.preimage or "")).hexdigest() == invoice.payment_hash


async def settles(rail: ElectrumRail, invoice: Invoice) -> None:
    """Looks it up until it has ended: that must be SETTLED, and nothing on the way may have been FAILED or None."""
    seen: list[Outcome | None] = []

    async def ended() -> bool:
        seen.append(await outcome_of(rail, invoice))
        return seen[-1] is Outcome.SETTLED

    await wait_until(ended, timeout=90, every=0.05)
    assert set(seen) <= {Outcome.UNKNOWN, Outcome.IN_FLIGHT, Outcome.SETTLED}
    assert_settled(await rail.look_up(invoice.payment_hash), invoice)


async def test_paid_once_with_proof(lab: ElectrumLab, rail: ElectrumRail) -> None:
    invoice = await lab.invoice(AMOUNT)
    assert await rail.look_up(invoice.payment_hash) is None
    result = await rail.pay(invoice, max_fee_msat=FEE)
    assert_settled(result, invoice)
    assert await rail.look_up(invoice.payment_hash) == result
    assert await lab.bob_received(invoice.payment_hash) == AMOUNT
    assert await lab.alice_paid(invoice.payment_hash) == AMOUNT


async def test_the_same_invoice_again_is_not_paid_again(lab: ElectrumLab, rail: ElectrumRail) -> None:
    invoice = await lab.invoice(AMOUNT)
    first = await rail.pay(invoice, max_fee_msat=FEE)
    assert await rail.pay(invoice, max_fee_msat=FEE) == first
    assert await lab.rail().pay(invoice, max_fee_msat=FEE) == first
    assert await lab.bob_received(invoice.payment_hash) == AMOUNT


async def test_four_at_once_pay_once(lab: ElectrumLab, rail: ElectrumRail) -> None:
    invoice = await lab.invoice(AMOUNT)
    results = await asyncio.gather(*(rail.pay(invoice, max_fee_msat=FEE) for _ in range(4)))
    assert Outcome.FAILED not in {result.outcome for result in results}
    assert_settled(await rail.look_up(invoice.payment_hash), invoice)
    assert await lab.bob_received(invoice.payment_hash) == AMOUNT


async def test_why_the_rail_looks_first(lab: ElectrumLab, rail: ElectrumRail) -> None:
    """Electrum itself pays an invoice as often as it is told to at the same moment (mostly: once its first HTLC is out it
    refuses the others). Should a release mend that, this test fails and the rail may trust it."""
    paid: list[Invoice] = []

    async def twice() -> bool:
        paid.append(await lab.invoice(AMOUNT))
        calls = [lab.alice.rpc.call("lnpay", invoice=paid[-1].bolt11) for _ in range(4)]
        await asyncio.gather(*calls, return_exceptions=True)
        return await lab.bob_received(paid[-1].payment_hash) > AMOUNT

    await wait_until(twice, timeout=30)
    lost = await lab.bob_received(paid[-1].payment_hash) - AMOUNT
    result = await rail.look_up(paid[-1].payment_hash)
    assert result is not None
    assert (result.outcome, result.fee_msat) == (Outcome.SETTLED, lost)  # what was lost is not hidden


async def test_an_expired_invoice_is_not_sent(lab: ElectrumLab, rail: ElectrumRail) -> None:
    invoice = await lab.invoice(AMOUNT, expiry=1)
    await wait_until(lambda: clock.now_ms() > invoice.expires_at_ms)
    result = await rail.pay(invoice, max_fee_msat=FEE)
    assert result == PaymentResult(outcome=Outcome.FAILED, reason="nothing was sent: the invoice has expired")
    assert await rail.look_up(invoice.payment_hash) is None


@pytest.mark.parametrize(
    "changes", [{"amount_msat": AMOUNT - 1000}, {"amount_msat": AMOUNT + 1000}, {"payment_hash": "00" * 32}]
)
async def test_an_invoice_other_than_committed_is_not_sent(
    lab: ElectrumLab, rail: ElectrumRail, changes: dict[str, int | str]
) -> None:
    invoice = await lab.invoice(AMOUNT)
    other = Invoice(**msgspec.structs.asdict(invoice) | changes)
    assert (await rail.pay(other, max_fee_msat=FEE)).outcome is Outcome.FAILED
    assert await rail.look_up(invoice.payment_hash) is None
    assert await lab.bob_received(invoice.payment_hash) == 0


async def test_no_way_to_the_payee_is_failed(rail: ElectrumRail) -> None:
    """A node that has no channel with anybody."""
    invoice = invoice_of(Payee().invoice(AMOUNT))
    result = await rail.pay(invoice, max_fee_msat=FEE)
    assert result == PaymentResult(
        outcome=Outcome.FAILED, reason="electrum: it found no way to the payee, and nothing was sent"
    )
    assert await outcome_of(rail, invoice) is Outcome.FAILED
    assert (await rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.FAILED


async def test_an_invoice_that_its_payee_does_not_know_comes_back_as_failed(
    lab: ElectrumLab, rail: ElectrumRail
) -> None:
    """An HTLC that goes out and comes back."""
    invoice = await lab.invoice(AMOUNT)
    await lab.bob.rpc.call("delete_request", request_id=invoice.payment_hash)
    result = await rail.pay(invoice, max_fee_msat=FEE)
    assert result.outcome is Outcome.FAILED
    assert result.reason == "electrum: Destination node INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS"
    assert await outcome_of(rail, invoice) is Outcome.FAILED
    assert await lab.alice_paid(invoice.payment_hash) == 0


async def test_more_than_the_channel_holds_is_not_sent(lab: ElectrumLab, rail: ElectrumRail) -> None:
    invoice = await lab.invoice(100_000_000_000)
    result = await rail.pay(invoice, max_fee_msat=10**9)
    assert result.outcome is Outcome.FAILED
    assert result.reason == "nothing was sent: no channel that is connected can pay 100000000000 msat alone"
    assert await rail.look_up(invoice.payment_hash) is None


async def test_what_may_have_been_split_is_in_doubt_and_not_failed(
    lab: ElectrumLab, rail: ElectrumRail
) -> None:
    invoice = await lab.invoice(20_000_000)
    await lab.bob.rpc.call("delete_request", request_id=invoice.payment_hash)
    result = await rail.pay(invoice, max_fee_msat=200_000)
    assert result.outcome is Outcome.UNKNOWN
    assert "a part of the payment may be on its way" in (result.reason or "")


async def test_a_fee_limit_below_what_electrum_may_spend_is_not_sent(
    lab: ElectrumLab, rail: ElectrumRail
) -> None:
    invoice = await lab.invoice(AMOUNT)
    result = await rail.pay(invoice, max_fee_msat=4_999)
    assert result == PaymentResult(
        outcome=Outcome.FAILED,
        reason="nothing was sent: Electrum may spend up to 5000 msat on fees, the limit is 4999",
    )
    assert await rail.look_up(invoice.payment_hash) is None


async def test_another_wallet_has_never_seen_nothing(lab: ElectrumLab) -> None:
    invoice = await lab.invoice(AMOUNT)
    for options in ({"node_id": "02" + "11" * 32}, {"wallet": "/nowhere"}, {"network": "tb"}):
        other = lab.rail(**options)
        assert await outcome_of(other, invoice) is Outcome.UNKNOWN
        assert (await other.pay(invoice, max_fee_msat=FEE)).outcome in (Outcome.UNKNOWN, Outcome.FAILED)
    assert await lab.rail().look_up(invoice.payment_hash) is None
    node = (await lab.alice.rpc.call("nodeid")).partition("@")[0]
    assert_settled(await lab.rail(node_id=node).pay(invoice, max_fee_msat=FEE), invoice)


async def test_a_closed_wallet_has_never_seen_nothing(lab: ElectrumLab, rail: ElectrumRail) -> None:
    invoice = await lab.invoice(AMOUNT)
    assert_settled(await rail.pay(invoice, max_fee_msat=FEE), invoice)
    await lab.alice.rpc.call("close_wallet")
    try:
        assert await rail.look_up(invoice.payment_hash) == PaymentResult(
            outcome=Outcome.UNKNOWN, reason="electrum: wallet not loaded"
        )
    finally:
        await lab.alice.rpc.call("load_wallet")
    await lab.connected()
    assert_settled(await rail.look_up(invoice.payment_hash), invoice)


async def test_a_payee_that_is_frozen_leaves_it_in_doubt_until_it_thaws(lab: ElectrumLab) -> None:
    invoice = await lab.invoice(AMOUNT)
    rail = lab.rail(answer_timeout=2)
    async with lab.bob_frozen():
        result = await rail.pay(invoice, max_fee_msat=FEE)
        assert result == PaymentResult(outcome=Outcome.UNKNOWN, reason="electrum: no answer within 2 s")
        assert await outcome_of(rail, invoice) is Outcome.IN_FLIGHT
        channels = await lab.alice.rpc.call("list_channels")
        assert channels[0]["local_unsettled_sent"] == 0  # a balance is no evidence
        assert (await rail.pay(invoice, max_fee_msat=FEE)).outcome is Outcome.IN_FLIGHT
    await settles(lab.rail(), invoice)
    assert await lab.bob_received(invoice.payment_hash) == AMOUNT


@pytest.mark.parametrize("thaw_first", [True, False])
async def test_a_payer_that_is_killed_after_it_has_sent_knows_it_when_it_is_back(
    lab: ElectrumLab, thaw_first: bool
) -> None:
    """kill -9 while the payee is frozen with the HTLC; then either of them comes back first."""
    invoice = await lab.invoice(AMOUNT)
    async with lab.bob_frozen():
        log = lab.alice_log()
        paying = asyncio.create_task(lab.rail().pay(invoice, max_fee_msat=FEE))
        # The commitment is written to disk, then sent.
        await wait_until(lambda: log.has(invoice.payment_hash, "send_commitment", "saved"))
        lab.kill_alice()
        assert (await paying).outcome is Outcome.UNKNOWN
        assert await outcome_of(lab.rail(), invoice) is Outcome.UNKNOWN
        if thaw_first:
            lab.thaw_bob()
        await lab.restart_alice()
        if not thaw_first:
            assert await outcome_of(lab.rail(), invoice) is Outcome.IN_FLIGHT
    await settles(lab.rail(), invoice)
    await lab.connected()
    assert await lab.bob_received(invoice.payment_hash) == AMOUNT


@pytest.mark.parametrize("after_ms", [0, 2, 5, 10, 20, 40, 80])
async def test_a_payer_killed_at_any_moment_never_calls_failed_what_was_paid(
    lab: ElectrumLab, after_ms: int
) -> None:
    """Whatever the look-ups say after the crash holds to the end: FAILED and None mean that bob has nothing."""
    invoice = await lab.invoice(AMOUNT)
    log = lab.alice_log()
    paying = asyncio.create_task(lab.rail().pay(invoice, max_fee_msat=FEE))
    await wait_until(lambda: log.has(f"starting session for RHASH={invoice.payment_hash}"), every=0.001)
    await asyncio.sleep(after_ms / 1000)
    lab.kill_alice()
    assert (await paying).outcome in (Outcome.UNKNOWN, Outcome.SETTLED)
    await lab.restart_alice()
    rail, seen = lab.rail(), list[Outcome | None]()

    async def ended() -> bool:
        seen.append(await outcome_of(rail, invoice))
        return seen[-1] in (Outcome.SETTLED, Outcome.FAILED, None)

    await wait_until(ended, timeout=90, every=0.05)
    await lab.connected()
    assert await outcome_of(rail, invoice) == seen[-1]
    assert await lab.bob_received(invoice.payment_hash) == (AMOUNT if seen[-1] is Outcome.SETTLED else 0)


async def test_balance_and_history(lab: ElectrumLab, rail: ElectrumRail) -> None:
    assert isinstance(rail, Funded)
    assert isinstance(rail, Recording)
    before, since = await rail.balance_msat(), clock.now_ms() // 1000 * 1000
    [channel] = await lab.alice.rpc.call("list_channels")
    assert before == (channel["local_balance"] - channel["local_reserve"]) * 1000
    invoice = await lab.invoice(AMOUNT)
    await rail.pay(invoice, max_fee_msat=FEE)
    assert await rail.balance_msat() == before - AMOUNT
    [made] = [one async for one in rail.payments(since) if one.payment_hash == invoice.payment_hash]
    assert since <= made.at_ms <= clock.now_ms()
    assert made == Recorded(
        payment_hash=invoice.payment_hash,
        outcome=Outcome.SETTLED,
        amount_msat=AMOUNT,
        fee_msat=0,
        at_ms=made.at_ms,
    )
    assert [one async for one in rail.payments(clock.now_ms() + 1000)] == []


async def test_bob_is_paid_over_his_own_rail(lab: ElectrumLab, rail: ElectrumRail) -> None:
    bob = lab.rail(lab.bob)
    assert isinstance(bob, Receiving)
    invoice = await bob.receive(AMOUNT, memo="top up of Acme", expires_seconds=600)
    assert abs(invoice.expires_at_ms - clock.now_ms() - 600_000) < 60_000
    assert await bob.received_msat(invoice.payment_hash) == 0
    assert_settled(await rail.pay(invoice, max_fee_msat=FEE), invoice)
    await wait_until(lambda: bob.received_msat(invoice.payment_hash))
    assert await bob.received_msat(invoice.payment_hash) == AMOUNT
    assert await bob.received_msat("ab" * 32) is None
