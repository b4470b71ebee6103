"""Clears up a payment in doubt, by the rail's own record of its hash. The only way out of UNKNOWN."""

from __future__ import annotations

import logging
from enum import StrEnum

from core import clock, crash
from core.db.unit_of_work import Transaction, UnitOfWork, refuse_open_transaction
from core.outbox import rows
from core.outbox.rows import Lease
from core.payouts.case import Case, load, move_both
from core.payouts.limits import PayoutLimits, clocks_apart
from core.payouts.prepare import LEAST_LEFT_MS, Means
from core.payouts.rail import Invoice, Outcome, PaymentResult, Rail
from core.payouts.record import IN_DOUBT, doubt, fail, look_back_later, record, reverse
from core.payouts.send import pay_and_record, payable, rail_of, why_held
from core.payouts.states import PayoutState
from core.payouts.tables import PayoutAttempt

log = logging.getLogger(__name__)

LOOK_BACK_DAYS = 60  # the longest that NACHA's rules give a consumer's bank to return a transfer


class Unseen(StrEnum):
    """What to do with an attempt that the rail has certainly never seen."""

    WAIT = "wait"
    SEND_AGAIN = "send_again"  # the same invoice, never another
    DEAD = "dead"  # it cannot be paid any more: a new invoice is safe


def judge_unseen(
    *, sent_ms: int, expires_ms: int, now_ms: int, limits: PayoutLimits, held: bool = False
) -> Unseen:
    """Not before the grace has passed since the send: until then the bytes may still be on their way. After it the
    same invoice may go again while it lives (a node refuses a second payment of one hash). Only when it has been over
    for as long as the grace, so that clocks may differ, the attempt is dead."""
    grace_ms = limits.grace_seconds * 1000
    if now_ms < sent_ms + grace_ms:
        return Unseen.WAIT
    if expires_ms + grace_ms <= now_ms:
        return Unseen.DEAD
    if held or expires_ms < now_ms + LEAST_LEFT_MS:
        return Unseen.WAIT
    return Unseen.SEND_AGAIN


async def look(work: UnitOfWork, lease: Lease, means: Means, limits: PayoutLimits) -> None:
    """Ask the rail about the payment in doubt and act on the answer; ends the job. Does nothing when the payout is not
    in doubt (any more). Raises Misconfigured when its rail is gone."""
    checks = int(lease.body.get("checks", 0))
    async with work.read() as session:
        case = await load(session, lease.subject)
    if case.state not in IN_DOUBT:
        async with work.finishing(lease, "payouts.record"):
            return
    asked = case.sent
    rail = rail_of(means.rails, asked)
    crash.reach("rail.look_up:before")
    found = await _ask(rail, asked)
    crash.reach("rail.look_up:after")
    begun = clock.monotonic()
    async with work.fenced(lease, "payouts.record") as tx:
        case = await load(tx.session, lease.subject, lock=True)
        again: Invoice | None = None
        # `sent_at` too: an answer from before somebody sent it again says nothing about that.
        if case.state in IN_DOUBT and (case.sent.id, case.sent.sent_at) == (asked.id, asked.sent_at):
            if found is None:
                again = await _unseen(tx, case, means, limits, checks)
            else:
                await record(tx, case, found, rail.capabilities, limits, checks=checks)
        if again is None:
            await rows.done(tx, lease)
    if again is not None:
        log.warning(
            "payout %s: the rail has never seen its hash; the same invoice is sent again", lease.subject
        )
        await pay_and_record(work, lease, rail, case.sent, limits, invoice=again, begun=begun, checks=checks)


async def look_back(work: UnitOfWork, lease: Lease, means: Means) -> None:
    """The job `payout.look_back`: has a bank taken a settled payment back? Daily for LOOK_BACK_DAYS. Ends when it did, and
    then the payout is owed again. Raises Misconfigured when the rail is gone."""
    days = int(lease.body.get("days", 1))
    async with work.read() as session:
        case = await load(session, lease.subject)
    found: PaymentResult | None = None
    if case.state is PayoutState.SETTLED:
        found = await _ask(rail_of(means.rails, case.sent), case.sent)
    async with work.finishing(lease, "payouts.look_back") as tx:
        case = await load(tx.session, lease.subject, lock=True)
        if found is not None and found.outcome is Outcome.REVERSED:
            await reverse(tx, case, found.reason or "the rail gave no reason")
        elif case.state is PayoutState.SETTLED and days < LOOK_BACK_DAYS:
            look_back_later(tx, case.payout.id, case.sent.id, days=days + 1)


async def _unseen(
    tx: Transaction, case: Case, means: Means, limits: PayoutLimits, checks: int
) -> Invoice | None:
    """The same invoice when it shall be sent again; it is SENDING with this commit."""
    attempt, now_ms = case.sent, await tx.now_ms()
    slow = means.rails[attempt.rail].capabilities.slow
    verdict = judge_unseen(
        sent_ms=clock.to_ms(attempt.sent_at or attempt.created_at),
        expires_ms=clock.to_ms(attempt.expires_at),
        now_ms=now_ms,
        limits=limits,
        held=await why_held(tx, attempt, limits) is not None
        or clocks_apart(here_ms=clock.now_ms(), database_ms=now_ms) is not None,
    )
    match verdict:
        case Unseen.WAIT:
            await doubt(tx, case, "the rail has not seen it yet", checks, limits, slow=slow)
        case Unseen.DEAD:
            await fail(tx, case, "the invoice has expired and the rail never saw it", limits)
        case Unseen.SEND_AGAIN:
            invoice = await payable(tx, attempt, means)
            if case.state is PayoutState.SENDING:
                await move_both(tx, case, PayoutState.UNKNOWN)
            sends = attempt.sends + 1
            await move_both(
                tx, case, PayoutState.SENDING, sent_at=clock.from_ms(now_ms), sends=sends, error=None
            )
            return invoice
    return None


async def _ask(rail: Rail, attempt: PayoutAttempt) -> PaymentResult | None:
    """A look-up that raises has told nothing."""
    refuse_open_transaction()
    try:
        return await rail.look_up(attempt.payment_hash, reference=attempt.reference)
    except Exception as error:
        log.exception("rail %s raised while looking up %s", rail.name, attempt.id)
        return PaymentResult(outcome=Outcome.UNKNOWN, reason=f"the look-up raised {type(error).__name__}")
