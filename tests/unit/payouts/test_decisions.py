"""The pure decisions about money: who pays, what is held, which rail, which invoice, what an unseen hash means."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.billing.reserve import fund
from core.errors import Rejected, Retryable
from core.payouts.earn import cover
from core.payouts.limits import PayoutLimits, Sent, check_seconds, hold, max_fee_msat, retry_seconds
from core.payouts.look import Unseen, judge_unseen
from core.payouts.prepare import check_invoice
from core.payouts.rail import Capabilities, Invoice, Outcome, PaymentResult, Target
from core.payouts.record import proven
from core.payouts.states import IN_CLEARING, OWED, PAID, TRANSITIONS, PayoutState
from core.payouts.words import WORDS

MSAT = st.integers(0, 10**15)


@given(MSAT, st.lists(MSAT, max_size=8))
def test_funding_is_a_prefix_that_fits_and_as_long_as_can_be(balance: int, wanted: list[int]) -> None:
    funded = fund(balance, wanted)
    count = sum(funded)
    assert funded == [True] * count + [False] * (len(wanted) - count)
    assert sum(wanted[:count]) <= balance
    assert count == len(wanted) or sum(wanted[: count + 1]) > balance


def test_nobody_is_funded_while_older_tasks_wait() -> None:
    assert fund(100, [10, 20], others_wait=True) == [False, False]


@given(MSAT, MSAT, MSAT)
def test_the_worker_gets_the_whole_payout_whoever_pays(payout: int, reserved: int, prefund: int) -> None:
    shares = cover(payout, reserved_msat=reserved, prefund_msat=prefund)
    assert shares.reserved_msat + shares.prefund_msat + shares.exchange_msat == payout
    assert 0 <= shares.reserved_msat <= reserved
    assert 0 <= shares.prefund_msat <= prefund
    assert shares.exchange_msat == max(0, payout - reserved - prefund)


@pytest.mark.parametrize(
    ("limits", "amount", "sent", "code"),
    [
        (PayoutLimits(), 1, Sent(worker_msat=0, hub_msat=0), None),
        (PayoutLimits(paused=True), 1, Sent(worker_msat=0, hub_msat=0), "payouts_paused"),
        (PayoutLimits(per_payout_msat=10), 10, Sent(worker_msat=0, hub_msat=0), None),
        (PayoutLimits(per_payout_msat=10), 11, Sent(worker_msat=0, hub_msat=0), "over_payout_limit"),
        (PayoutLimits(per_worker_day_msat=10), 4, Sent(worker_msat=6, hub_msat=6), None),
        (PayoutLimits(per_worker_day_msat=10), 5, Sent(worker_msat=6, hub_msat=6), "over_worker_limit"),
        (PayoutLimits(least_msat=2), 1, Sent(worker_msat=0, hub_msat=0), "under_least"),
        (PayoutLimits(least_msat=2), 2, Sent(worker_msat=0, hub_msat=0), None),
        (PayoutLimits(per_hub_hour_msat=10), 4, Sent(worker_msat=0, hub_msat=9, hour_msat=6), None),
        (
            PayoutLimits(per_hub_hour_msat=10),
            5,
            Sent(worker_msat=0, hub_msat=9, hour_msat=6),
            "over_hub_hour_limit",
        ),
        (PayoutLimits(per_hub_day_msat=10), 4, Sent(worker_msat=0, hub_msat=6), None),
        (PayoutLimits(per_hub_day_msat=10), 5, Sent(worker_msat=0, hub_msat=6), "over_hub_limit"),
    ],
)
def test_limits(limits: PayoutLimits, amount: int, sent: Sent, code: str | None) -> None:
    if limits.least_msat == PayoutLimits().least_msat:
        limits = msgspec.structs.replace(limits, least_msat=1)  # amounts here are of a few msat
    held = hold(limits, amount, sent)
    assert (held.code if held else None) == code


def test_fee_limit_and_schedules() -> None:
    amounts = (1_000, 8_000, 10_000, 10_001, 700_000, 700_100, 10_000_000)
    fees = [max_fee_msat(amount, PayoutLimits()) for amount in amounts]
    assert fees == [7_000, 8_000, 10_000, 7_000, 7_000, 7_001, 100_000]
    free = PayoutLimits(fee_least_msat=0, fee_percent=0)
    assert [max_fee_msat(amount, free) for amount in (10_000, 10_001)] == [10_000, 0]
    assert [check_seconds(n, slow=True) for n in (1, 99)] == [3600, 3600]
    assert [retry_seconds(n) for n in (1, 2, 3, 4, 9, 99)] == [5, 20, 80, 320, 3600, 3600]
    assert [check_seconds(n) for n in (1, 2, 3, 9, 10, 99)] == [2, 4, 8, 512, 600, 600]


@pytest.mark.parametrize(
    ("now_s", "held", "verdict"),
    [
        (1_000, False, Unseen.WAIT),
        (1_119, False, Unseen.WAIT),
        (1_120, False, Unseen.SEND_AGAIN),
        (1_120, True, Unseen.WAIT),
        (4_570, False, Unseen.SEND_AGAIN),  # 30 s left
        (4_571, False, Unseen.WAIT),
        (4_719, False, Unseen.WAIT),  # over, but the payer's clock may be slow
        (4_720, False, Unseen.DEAD),
        (4_720, True, Unseen.DEAD),
    ],
)
def test_a_hash_that_the_rail_never_saw(now_s: int, held: bool, verdict: Unseen) -> None:
    """Sent at 1,000 s, good until 4,600 s, with a grace of 120 s."""
    limits = PayoutLimits(grace_seconds=120)
    found = judge_unseen(
        sent_ms=1_000_000, expires_ms=4_600_000, now_ms=now_s * 1000, limits=limits, held=held
    )
    assert found is verdict


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_new_invoice_only_when_grace_and_expiry_have_both_passed(sent: int, expires: int, now: int) -> None:
    limits = PayoutLimits(grace_seconds=120)
    verdict = judge_unseen(sent_ms=sent, expires_ms=expires, now_ms=now, limits=limits)
    if verdict is Unseen.DEAD:
        assert now >= sent + 120_000
        assert now >= expires + 120_000
    if verdict is Unseen.SEND_AGAIN:
        assert now >= sent + 120_000
        assert now < expires


def an_invoice(**values: object) -> Invoice:
    return Invoice(
        **{  # type: ignore[arg-type] - one field at a time is made wrong
            "bolt11": "lnbc5u1p0abc",
            "payment_hash": "ab" * 32,
            "amount_msat": 500_000,
            "expires_at_ms": 130_000,
        }
        | values
    )


MAINNET = Capabilities(real_money=True, proves_by_preimage=True, network="bc")


def test_whole_cents_may_be_less_than_what_is_owed() -> None:
    bank = Capabilities(real_money=True, proves_by_preimage=False, network="bc", pays=Target.BANK)
    check_invoice(
        an_invoice(bolt11="", amount_msat=499_000, cents=49), amount_msat=500_000, rail=bank, now_ms=100_000
    )
    with pytest.raises(Rejected):
        check_invoice(an_invoice(bolt11="", amount_msat=500_001), amount_msat=500_000, rail=bank, now_ms=1)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({}, None),
        ({"bolt11": "LNBC5U1P0ABC"}, None),
        ({"bolt11": "lnbc1p0abc"}, None),  # an invoice that leaves the amount to the payer
        ({"amount_msat": 500_001}, Rejected),
        ({"amount_msat": 499_999}, Rejected),
        ({"payment_hash": "ab" * 31}, Rejected),
        ({"payment_hash": "AB" * 32}, Rejected),
        ({"bolt11": "lnbcrt5u1p0abc"}, Rejected),
        ({"bolt11": "lntb5u1p0abc"}, Rejected),
        ({"expires_at_ms": 129_999}, Retryable),
    ],
)
def test_what_is_committed_is_what_is_owed(values: dict[str, object], error: type[Exception] | None) -> None:
    if error is None:
        check_invoice(an_invoice(**values), amount_msat=500_000, rail=MAINNET, now_ms=100_000)
        return
    with pytest.raises(error):
        check_invoice(an_invoice(**values), amount_msat=500_000, rail=MAINNET, now_ms=100_000)


@pytest.mark.parametrize(
    ("preimage", "outcome"),
    [
        ("00" * 32, Outcome.SETTLED),
        ("01" * 32, Outcome.UNKNOWN),
        ("", Outcome.UNKNOWN),
        ("zz", Outcome.UNKNOWN),
        (None, Outcome.UNKNOWN),
    ],
)
def test_settled_without_proof_is_doubt(preimage: str | None, outcome: Outcome) -> None:
    # sha256 of 32 zero bytes
    hashed = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
    result = PaymentResult(outcome=Outcome.SETTLED, preimage=preimage)
    proves = Capabilities(real_money=False, proves_by_preimage=True, network="bc")
    assert proven(result, hashed, proves).outcome is outcome
    takes_its_word = Capabilities(real_money=True, proves_by_preimage=False, network="bc")
    assert proven(result, hashed, takes_its_word).outcome is Outcome.SETTLED


def test_every_state_has_words_and_a_place_for_its_money() -> None:
    assert set(WORDS) == set(TRANSITIONS) == set(PayoutState)
    assert {PayoutState(state) for state in (*OWED, *IN_CLEARING, *PAID)} == set(PayoutState) - {
        PayoutState.EARNED,  # still reserved for its task
        PayoutState.REVERSED,  # owed by the payout that took its place
        PayoutState.WITHHELD,  # with the asker again
    }
    assert not any("fail" in WORDS[state] for state in IN_CLEARING)
    assert PayoutState.READY not in TRANSITIONS[PayoutState.UNKNOWN]
