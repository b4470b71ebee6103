"""READY -> SENDING -> the rail -> what it said. SENDING is committed before the first byte leaves, so that whoever
comes after a crash knows that the bytes may have left, and only looks."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from core import clock, crash
from core.db.unit_of_work import UnitOfWork, refuse_open_transaction
from core.errors import LeaseLost, Misconfigured, Retryable
from core.outbox.rows import Lease
from core.payouts.case import invoice_of, load, move_both
from core.payouts.limits import PayoutLimits
from core.payouts.prepare import LEAST_LEFT_MS
from core.payouts.rail import Outcome, PaymentResult, Rail
from core.payouts.record import fail, record
from core.payouts.states import PayoutState
from core.payouts.tables import PayoutAttempt

log = logging.getLogger(__name__)

# A process that was frozen between its commit and its first byte does not send any more. Far below
# `PayoutLimits.grace_seconds`, after which another process may send the same invoice again.
SEND_WITHIN_S = 10.0


async def send(
    work: UnitOfWork, lease: Lease, rails: Mapping[str, Rail], limits: PayoutLimits, *, checks: int = 0
) -> bool:
    """Send the READY invoice and record the outcome, which ends the job: True. False when there was nothing to send:
    somebody else has it, or the invoice ended unsent and a new attempt was asked for; the job is not ended then."""
    begun = clock.monotonic()
    async with work.fenced(lease, "payouts.send") as tx:
        case = await load(tx.session, lease.subject, lock=True)
        if case.state is not PayoutState.READY:
            return False
        rail = rail_of(rails, case.sent)
        if limits.paused:
            raise Retryable("payouts_paused", "Payouts are paused by the operator", after=60)
        now_ms = await tx.now_ms()
        if clock.to_ms(case.sent.expires_at) < now_ms + LEAST_LEFT_MS:
            await fail(tx, case, "the invoice ended before it was sent", limits)
            return False
        await move_both(tx, case, PayoutState.SENDING, sent_at=clock.from_ms(now_ms))
    await pay_and_record(work, lease, rail, case.sent, limits, begun=begun, checks=checks)
    return True


async def pay_and_record(
    work: UnitOfWork,
    lease: Lease,
    rail: Rail,
    attempt: PayoutAttempt,
    limits: PayoutLimits,
    *,
    begun: float,
    checks: int,
) -> None:
    """The attempt is SENDING since a commit that began at `begun` (monotonic seconds). Pay it once, then record."""
    refuse_open_transaction()
    if clock.monotonic() - begun > SEND_WITHIN_S:
        raise LeaseLost("slept", f"Attempt {attempt.id} was not sent: this process slept after its commit")
    crash.reach("rail.pay:before")
    result = await _pay(rail, attempt)
    crash.reach("rail.pay:after")
    async with work.finishing(lease, "payouts.record") as tx:
        case = await load(tx.session, attempt.payout_id, lock=True)
        if case.sent.id == attempt.id:
            await record(tx, case, result, rail.capabilities, limits, checks=checks)


async def _pay(rail: Rail, attempt: PayoutAttempt) -> PaymentResult:
    """A rail never raises; when one does all the same, the bytes may have left."""
    try:
        return await rail.pay(invoice_of(attempt), max_fee_msat=attempt.max_fee_msat)
    except Exception as error:
        log.exception("rail %s raised while paying %s", rail.name, attempt.id)
        return PaymentResult(outcome=Outcome.UNKNOWN, reason=f"the rail raised {type(error).__name__}")


def rail_of(rails: Mapping[str, Rail], attempt: PayoutAttempt) -> Rail:
    """The rail of an attempt that has begun: no other may take over. Raises Misconfigured when it is gone."""
    try:
        return rails[attempt.rail]
    except KeyError:
        raise Misconfigured(
            "rail_missing", f"Attempt {attempt.id} is on rail {attempt.rail!r}, which rails.use does not have"
        ) from None
