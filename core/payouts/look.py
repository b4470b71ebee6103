"""Clears up a payment in doubt, by the rail's own record of its hash. The only way out of UNKNOWN."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import StrEnum

from core import clock, crash
from core.db.unit_of_work import Transaction, UnitOfWork, refuse_open_transaction
from core.outbox import rows
from core.outbox.rows import Lease
from core.payouts.case import Case, load, move_both
from core.payouts.limits import PayoutLimits
from core.payouts.prepare import LEAST_LEFT_MS
from core.payouts.rail import Outcome, PaymentResult, Rail
from core.payouts.record import IN_DOUBT, doubt, fail, record
from core.payouts.send import pay_and_record, rail_of
from core.payouts.states import PayoutState
from core.payouts.tables import PayoutAttempt

log = logging.getLogger(__name__)

ALARM_AFTER = (
    8  # look-ups, about eight minutes; a payment held for hours is a hold invoice or a stuck channel
)


class Unseen(StrEnum):
    """What to do with an attempt that the rail has certainly never seen."""

    WAIT = "wait"
    SEND_AGAIN = "send_again"  # the same invoice, never another
    DEAD = "dead"  # it cannot be paid any more: a new invoice is safe


def judge_unseen(*, sent_ms: int, expires_ms: int, now_ms: int, limits: PayoutLimits) -> Unseen:
    """Not before the grace has passed since the send: until then the bytes may still be on their way. After it the
    same invoice may go again while it lives (a node refuses a second payment of one hash). Only when it has been over
    for as long as the grace, so that clocks may differ, the attempt is dead."""
    grace_ms = limits.grace_seconds * 1000
    if now_ms < sent_ms + grace_ms:
        return Unseen.WAIT
    if expires_ms + grace_ms <= now_ms:
        return Unseen.DEAD
    if limits.paused or expires_ms < now_ms + LEAST_LEFT_MS:
        return Unseen.WAIT
    return Unseen.SEND_AGAIN


async def look(work: UnitOfWork, lease: Lease, rails: Mapping[str, Rail], limits: PayoutLimits) -> None:
    """Ask the rail about the payment in doubt and act on the answer; ends the job. Does nothing when the payout is not
    in doubt (any more). Raises Misconfigured when its rail is gone."""
    checks = int(lease.body.get("checks", 0))
    async with work.read() as session:
        case = await load(session, lease.subject)
    if case.state not in IN_DOUBT:
        async with work.finishing(lease, "payouts.record"):
            return
    asked = case.sent
    rail = rail_of(rails, asked)
    if checks >= ALARM_AFTER:
        log.error("payout %s is in doubt after %d look-ups: %s", case.payout.id, checks, asked.error)
    crash.reach("rail.look_up:before")
    found = await _ask(rail, asked)
    crash.reach("rail.look_up:after")
    begun = clock.monotonic()
    async with work.fenced(lease, "payouts.record") as tx:
        case = await load(tx.session, lease.subject, lock=True)
        again = False
        # `sent_at` too: an answer from before somebody sent it again says nothing about that.
        if case.state in IN_DOUBT and (case.sent.id, case.sent.sent_at) == (asked.id, asked.sent_at):
            if found is None:
                again = await _unseen(tx, case, limits, checks)
            else:
                await record(tx, case, found, rail.capabilities, limits, checks=checks)
        if not again:
            await rows.done(tx, lease)
    if again:
        log.warning(
            "payout %s: the rail has never seen its hash; the same invoice is sent again", lease.subject
        )
        await pay_and_record(work, lease, rail, case.sent, limits, begun=begun, checks=checks)


async def _unseen(tx: Transaction, case: Case, limits: PayoutLimits, checks: int) -> bool:
    """True when the same invoice shall be sent again; it is SENDING with this commit."""
    attempt, now_ms = case.sent, await tx.now_ms()
    verdict = judge_unseen(
        sent_ms=clock.to_ms(attempt.sent_at or attempt.created_at),
        expires_ms=clock.to_ms(attempt.expires_at),
        now_ms=now_ms,
        limits=limits,
    )
    match verdict:
        case Unseen.WAIT:
            await doubt(tx, case, "the rail has not seen it yet", checks)
        case Unseen.DEAD:
            await fail(tx, case, "the invoice has expired and the rail never saw it", limits)
        case Unseen.SEND_AGAIN:
            if case.state is PayoutState.SENDING:
                await move_both(tx, case, PayoutState.UNKNOWN)
            await move_both(tx, case, PayoutState.SENDING, sent_at=clock.from_ms(now_ms), error=None)
            return True
    return False


async def _ask(rail: Rail, attempt: PayoutAttempt) -> PaymentResult | None:
    """A look-up that raises has told nothing."""
    refuse_open_transaction()
    try:
        return await rail.look_up(attempt.payment_hash, reference=attempt.reference)
    except Exception as error:
        log.exception("rail %s raised while looking up %s", rail.name, attempt.id)
        return PaymentResult(outcome=Outcome.UNKNOWN, reason=f"the look-up raised {type(error).__name__}")
