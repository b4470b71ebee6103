"""A Lightning node, or what stands before it, that answers badly: whatever comes back, a payment that may have left is
never FAILED and never sent twice, and the look-up tells the truth afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from connectors.rails.cln import ClnRail
from connectors.rails.lnd import LndRail
from core.payouts.rail import Invoice, Outcome, PaymentResult
from tests.contract.rails.labs_electrum import ElectrumLab
from tests.contract.rails.labs_nodes import ClnLab, LndLab, NodeLab
from tests.fakes.cln import RpcFailure
from tests.fakes.lnd import SEND, grpc_error
from tests.fakes.payee import Verdict
from tests.fakes.tls_node import BEFORE, Fault, make_certificate
from tests.wait import wait_until

AMOUNT = 500_000
FEE = 5_000
AFTER = sorted(set(Fault) - BEFORE)
LABS = {"lnd": LndLab, "cln": ClnLab, "electrum": ElectrumLab}


@pytest.fixture(params=sorted(LABS))
async def lab(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[NodeLab]:
    async with LABS[request.param](tmp_path) as lab:
        yield lab


@pytest.fixture
async def lnd(tmp_path: Path) -> AsyncIterator[LndLab]:
    async with LndLab(tmp_path) as lab:
        yield lab


@pytest.fixture
async def cln(tmp_path: Path) -> AsyncIterator[ClnLab]:
    async with ClnLab(tmp_path) as lab:
        yield lab


async def pay(lab: NodeLab, invoice: Invoice) -> PaymentResult:
    return await lab.rail.pay(invoice, max_fee_msat=FEE)


async def outcome_of(lab: NodeLab, invoice: Invoice) -> Outcome | None:
    found = await lab.rail.look_up(invoice.payment_hash)
    return None if found is None else found.outcome


@pytest.mark.parametrize("fault", AFTER)
async def test_a_broken_answer_to_a_payment_that_was_made_is_unknown(lab: NodeLab, fault: Fault) -> None:
    invoice = await lab.invoice(AMOUNT)
    if isinstance(lab, ClnLab) and fault is Fault.WRONG_HASH:
        lab.node.has_xpay = False  # only the answer of `pay` names a hash
        lab.node.faults.append(Fault.WRONG_HASH)
    lab.node.faults.append(fault)
    result = await pay(lab, invoice)
    assert (result.outcome, result.preimage) == (Outcome.UNKNOWN, None)
    assert result.reason
    assert await outcome_of(lab, invoice) is Outcome.SETTLED
    assert await lab.received_msat() == AMOUNT


@pytest.mark.parametrize("fault", [f for f in AFTER if f not in (Fault.WRONG_HASH, Fault.WRONG_PREIMAGE)])
async def test_a_broken_answer_to_a_payment_that_failed_is_unknown(lab: NodeLab, fault: Fault) -> None:
    invoice = await lab.invoice(AMOUNT)
    lab.next_fails()
    lab.node.faults.append(fault)
    assert (await pay(lab, invoice)).outcome is Outcome.UNKNOWN
    assert await lab.received_msat() == 0


@pytest.mark.parametrize("fault", sorted(BEFORE))
async def test_a_request_that_did_nothing_leaves_nothing(lab: NodeLab, fault: Fault) -> None:
    invoice = await lab.invoice(AMOUNT)
    lab.node.faults.append(fault)
    assert (await pay(lab, invoice)).outcome is Outcome.UNKNOWN
    assert await lab.rail.look_up(invoice.payment_hash) is None
    assert (await pay(lab, invoice)).outcome is Outcome.SETTLED


@pytest.mark.parametrize(
    "fault", [Fault.ERROR_AFTER, Fault.HALF_BODY, Fault.HALF_LINE, Fault.HTML, Fault.NOTHING, Fault.GARBAGE]
)
async def test_a_broken_look_up_is_unknown_and_never_none(lab: NodeLab, fault: Fault) -> None:
    invoice = await lab.invoice(AMOUNT)
    lab.node.look_up_faults.extend([fault, fault])
    result = await lab.rail.look_up(invoice.payment_hash)
    assert result is not None
    assert result.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("fault", [Fault.WRONG_HASH, Fault.WRONG_PREIMAGE])
async def test_a_look_up_without_the_right_proof_is_unknown(lnd: LndLab, fault: Fault) -> None:
    invoice = await lnd.invoice(AMOUNT)
    await pay(lnd, invoice)
    lnd.node.look_up_faults.append(fault)
    assert await outcome_of(lnd, invoice) is Outcome.UNKNOWN


async def test_a_node_on_another_network_pays_nothing_and_has_never_seen_nothing(
    lab: NodeLab,
) -> None:
    lab.node.network = "signet"
    invoice = await lab.invoice(AMOUNT)
    result = await pay(lab, invoice)
    assert result.outcome is Outcome.UNKNOWN
    assert result.reason is not None
    assert "signet" in result.reason
    assert await outcome_of(lab, invoice) is Outcome.UNKNOWN
    assert await lab.received_msat() == 0


async def test_another_node_than_the_one_meant_pays_nothing(lab: NodeLab) -> None:
    lab.options["node_id"] = "02" + "11" * 32
    lab.rail = lab.restarted()
    invoice = await lab.invoice(AMOUNT)
    assert (await pay(lab, invoice)).outcome is Outcome.UNKNOWN
    assert await outcome_of(lab, invoice) is Outcome.UNKNOWN
    assert await lab.received_msat() == 0


async def test_another_certificate_gets_no_credential(lab: NodeLab, tmp_path: Path) -> None:
    lab.options["tls_cert"] = str(make_certificate(tmp_path / "other"))
    lab.rail = lab.restarted()
    result = await pay(lab, await lab.invoice(AMOUNT))
    assert result.outcome is Outcome.UNKNOWN
    assert result.reason is not None
    assert "another certificate" in result.reason
    assert lab.node.requests == []


async def test_a_self_signed_certificate_that_is_not_pinned_is_refused(lab: NodeLab) -> None:
    lab.options["tls_cert"] = ""
    lab.rail = lab.restarted()
    assert (await pay(lab, await lab.invoice(AMOUNT))).outcome is Outcome.UNKNOWN
    assert lab.node.requests == []


async def test_a_wrong_credential_is_unknown_and_not_repeated(lab: NodeLab, tmp_path: Path) -> None:
    (tmp_path / "credential").write_text("abcdef")
    lab.rail = lab.restarted()
    invoice = await lab.invoice(AMOUNT)
    for result in (await pay(lab, invoice), await lab.rail.look_up(invoice.payment_hash)):
        assert result is not None
        assert result.outcome is Outcome.UNKNOWN
        assert result.reason is not None
        assert "abcdef" not in result.reason
        assert "connectors/rails/README.md" in result.reason
    assert "abcdef" not in repr(vars(lab.rail))


async def test_a_fee_over_the_limit_is_not_paid(lab: NodeLab) -> None:
    invoice = await lab.invoice(AMOUNT)
    result = await lab.rail.pay(invoice, max_fee_msat=1_000)
    assert result.outcome is Outcome.FAILED
    assert await lab.received_msat() == 0


async def test_what_is_in_flight_settles_although_its_invoice_has_expired(lab: NodeLab) -> None:
    """lightningnetwork/lnd#7621: an invoice's end does not end an HTLC."""
    invoice = await lab.invoice(AMOUNT)
    lab.next_hangs()
    assert (await pay(lab, invoice)).outcome in (Outcome.IN_FLIGHT, Outcome.UNKNOWN)
    lab.release(settle=True)
    assert await outcome_of(lab, invoice) is Outcome.SETTLED


# lnd alone


async def test_lnd_is_asked_for_exactly_what_was_committed(lnd: LndLab) -> None:
    invoice = await lnd.invoice(AMOUNT)
    await pay(lnd, invoice)
    [sent] = [request for request in lnd.node.requests if request.path == SEND]
    assert sent.body == {
        "payment_request": invoice.bolt11,
        "timeout_seconds": 15,
        "fee_limit_msat": "5000",
        "cltv_limit": 1008,
        "max_parts": 16,
    }


async def test_a_held_payment_is_in_flight_by_its_stream(lnd: LndLab) -> None:
    lnd.next_hangs()
    assert await pay(lnd, await lnd.invoice(AMOUNT)) == PaymentResult(outcome=Outcome.IN_FLIGHT)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (grpc_error(2, "invoice expired. Valid until 2026-11-23"), Outcome.FAILED),
        (grpc_error(2, "self-payments not allowed"), Outcome.FAILED),
        (grpc_error(6, "invoice is already paid"), Outcome.UNKNOWN),
        (grpc_error(6, "payment is in transition"), Outcome.UNKNOWN),
        (grpc_error(6, "payment already exists"), Outcome.UNKNOWN),
        (grpc_error(2, "wallet locked, unlock it to enable full RPC access"), Outcome.UNKNOWN),
        (grpc_error(14, "transport is closing"), Outcome.UNKNOWN),
        (grpc_error(4, "context deadline exceeded"), Outcome.UNKNOWN),
    ],
)
async def test_an_error_of_lnd(lnd: LndLab, error: dict[str, object], outcome: Outcome) -> None:
    lnd.node.refusals.append(error)
    assert (await pay(lnd, await lnd.invoice(AMOUNT))).outcome is outcome


async def test_lnd_calls_an_invoice_expired_that_is_in_flight(lnd: LndLab) -> None:
    invoice = await lnd.invoice(AMOUNT)
    lnd.next_hangs()
    await pay(lnd, invoice)
    lnd.node.refusals.append(grpc_error(2, "invoice expired. Valid until 2026-11-23"))
    assert (await pay(lnd, invoice)).outcome is Outcome.IN_FLIGHT


async def test_a_path_that_lnd_does_not_have_is_not_a_payment_never_seen(lnd: LndLab) -> None:
    lnd.options["url"] = f"{lnd.node.url}/proxy"
    lnd.rail = lnd.restarted()
    assert isinstance(lnd.rail, LndRail)
    assert await outcome_of(lnd, await lnd.invoice(AMOUNT)) is Outcome.UNKNOWN


# cln alone


async def test_a_node_without_xpay_is_asked_by_pay(cln: ClnLab) -> None:
    cln.node.has_xpay = False
    invoice = await cln.invoice(AMOUNT)
    assert (await pay(cln, invoice)).outcome is Outcome.SETTLED
    asked = [request for request in cln.node.requests if request.path in ("/v1/xpay", "/v1/pay")]
    assert [request.body for request in asked] == [
        {"invstring": invoice.bolt11, "maxfee": FEE, "retry_for": 1, "maxdelay": 1008},
        {"bolt11": invoice.bolt11, "maxfee": FEE, "retry_for": 1, "maxdelay": 1008},
    ]
    other = await cln.invoice(AMOUNT)
    cln.node.faults.append(Fault.WRONG_HASH)
    assert (await pay(cln, other)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("code", [203, 205, 206, 207])
async def test_a_final_word_of_cln_before_anything_was_sent(cln: ClnLab, code: int) -> None:
    cln.node.failures.append(RpcFailure(code, "no"))
    result = await pay(cln, await cln.invoice(AMOUNT))
    assert result == PaymentResult(outcome=Outcome.FAILED, reason=f"cln ({code}): no")


@pytest.mark.parametrize("code", [-1, 200, 201, 209, 210, 219, -32602, 1501])
async def test_any_other_word_of_cln_is_unknown(cln: ClnLab, code: int) -> None:
    cln.node.failures.append(RpcFailure(code, "no"))
    assert (await pay(cln, await cln.invoice(AMOUNT))).outcome is Outcome.UNKNOWN


async def test_a_final_word_of_cln_while_a_part_is_alive_is_in_flight(cln: ClnLab) -> None:
    invoice = await cln.invoice(AMOUNT)
    cln.next_hangs()
    await pay(cln, invoice)
    cln.node.failures.append(RpcFailure(205, "no route"))
    assert (await pay(cln, invoice)).outcome is Outcome.IN_FLIGHT


async def test_cln_says_already_paid_as_an_error_and_the_records_know(cln: ClnLab) -> None:
    invoice = await cln.invoice(AMOUNT)
    first = await pay(cln, invoice)
    assert await pay(cln, invoice) == first


async def test_between_two_attempts_of_cln_every_part_has_failed_and_it_is_in_flight(cln: ClnLab) -> None:
    """The hub lost its answer; the node goes on, and another invoice now would be a second payment."""
    invoice = await cln.invoice(AMOUNT)
    cln.node.verdicts.append(Verdict.RETRY)
    cln.options["answer_timeout"] = 1
    assert (await cln.restarted().pay(invoice, max_fee_msat=FEE)).outcome is Outcome.UNKNOWN
    assert [part["status"] for part in cln.node.parts] == ["failed"]
    cln.rail = cln.restarted()
    assert await outcome_of(cln, invoice) is Outcome.IN_FLIGHT
    assert await outcome_of(cln, invoice) is Outcome.IN_FLIGHT
    cln.release(settle=True)
    assert await outcome_of(cln, invoice) is Outcome.SETTLED
    assert await cln.received_msat() == AMOUNT


async def test_a_node_that_is_quiet_for_longer_than_it_may_try_has_failed(cln: ClnLab) -> None:
    invoice = await cln.invoice(AMOUNT)
    cln.next_fails()
    cln.node.faults.append(Fault.RESET_AFTER)
    assert (await pay(cln, invoice)).outcome is Outcome.UNKNOWN
    assert await outcome_of(cln, invoice) is Outcome.IN_FLIGHT

    async def over() -> bool:
        return await outcome_of(cln, invoice) is Outcome.FAILED

    await wait_until(over, every=0.2)


async def test_a_new_part_starts_the_quiet_again(cln: ClnLab) -> None:
    invoice = await cln.invoice(AMOUNT)
    cln.next_fails()
    assert (await pay(cln, invoice)).outcome is Outcome.FAILED
    cln.node.parts.append(msgspec.json.decode(msgspec.json.encode(cln.node.parts[0])) | {"id": 2})
    assert isinstance(cln.rail, ClnRail)
    assert await outcome_of(cln, invoice) is Outcome.IN_FLIGHT
