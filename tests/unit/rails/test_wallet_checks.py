"""What a payer checks before it sends, beside what the contract suite shows of it."""

from __future__ import annotations

from connectors.rails.wallet_checks import SEND_WITHIN_S, too_late
from core import clock
from core.payouts.rail import Outcome, PaymentResult


def test_a_process_that_slept_between_its_questions_and_the_send_does_not_send() -> None:
    now = clock.monotonic()
    assert too_late(now) is None
    assert too_late(now - SEND_WITHIN_S - 1) == PaymentResult(
        outcome=Outcome.UNKNOWN, reason="nothing was sent: this process slept before it could"
    )
