"""READY -> SENDING -> the rail -> what it said. SENDING is committed before the first byte leaves, so that whoever
comes after a crash knows that the bytes may have left, and only looks."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from core import clock, crash
from core.bank.details import unpack
from core.bank.tables import BankAccountRow
from core.db.unit_of_work import Transaction, UnitOfWork, refuse_open_transaction
from core.errors import LeaseLost, Misconfigured, Retryable
from core.outbox.rows import Lease
from core.payouts.case import invoice_of, load, move_both
from core.payouts.controls import stops
from core.payouts.limits import PayoutLimits
from core.payouts.prepare import LEAST_LEFT_MS, Means
from core.payouts.rail import Invoice, Outcome, PaymentResult, Rail
from core.payouts.record import fail, record
from core.payouts.states import PayoutState
from core.payouts.tables import PayoutAttempt

log = logging.getLogger(__name__)

# A process that was frozen between its commit and its first byte does not send any more. Far below
# `PayoutLimits.grace_seconds`, after which another process may send the same invoice again.
SEND_WITHIN_S = 10.0


async def send(
    work: UnitOfWork, lease: Lease, means: Means, limits: PayoutLimits, *, checks: int = 0
) -> bool:
    """Send the READY invoice and record the outcome, which ends the job: True. False when there was nothing to send:
    somebody else has it, or the invoice ended unsent and a new attempt was asked for; the job is not ended then."""
    begun = clock.monotonic()
    async with work.fenced(lease, "payouts.send") as tx:
        case = await load(tx.session, lease.subject, lock=True)
        if case.state is not PayoutState.READY:
            return False
        rail = rail_of(means.rails, case.sent)
        now_ms = await tx.now_ms()
        if (
            clock.to_ms(case.sent.expires_at) < now_ms + LEAST_LEFT_MS
        ):  # first: a stopped rail is left by this door
            await fail(tx, case, "the invoice ended before it was sent", limits)
            return False
        held = await why_held(tx, case.sent, limits)
        if held is not None:
            raise Retryable("payouts_paused", held, after=60)
        invoice = await payable(tx, case.sent, means)
        await move_both(tx, case, PayoutState.SENDING, sent_at=clock.from_ms(now_ms), sends=1)
    await pay_and_record(work, lease, rail, case.sent, limits, invoice=invoice, begun=begun, checks=checks)
    return True


async def why_held(tx: Transaction, attempt: PayoutAttempt, limits: PayoutLimits) -> str | None:
    """Why this attempt must not leave now, in words; None when it may. Asked in the transaction that commits SENDING."""
    if limits.paused:
        return "Payouts are paused in hub.yaml"
    held = await stops(tx.session, await tx.now_ms())
    return held.hub or held.rails.get(attempt.rail)


async def payable(tx: Transaction, attempt: PayoutAttempt, means: Means) -> Invoice:
    """The committed invoice with what the rail needs to pay it: bank details are unsealed for the call alone."""
    if attempt.bank_account_id is None:
        return invoice_of(attempt)
    if means.dollars is None:
        raise Misconfigured("no_key", f"Attempt {attempt.id} pays a bank, and there is no key to its details")
    account = await tx.session.get_one(BankAccountRow, attempt.bank_account_id)
    return invoice_of(attempt, unpack(means.dollars.unseal(account.sealed)))


async def pay_and_record(
    work: UnitOfWork,
    lease: Lease,
    rail: Rail,
    attempt: PayoutAttempt,
    limits: PayoutLimits,
    *,
    invoice: Invoice,
    begun: float,
    checks: int,
) -> None:
    """The attempt is SENDING since a commit that began at `begun` (monotonic seconds). Pay its `invoice` once, then
    record. Raises RuntimeError, before the first byte, for an attempt that was not committed as it is paid."""
    refuse_open_transaction()
    if clock.monotonic() - begun > SEND_WITHIN_S:
        raise LeaseLost("slept", f"Attempt {attempt.id} was not sent: this process slept after its commit")
    _assert_committed(rail, attempt, invoice)
    crash.reach("rail.pay:before")
    result = await _pay(rail, attempt, invoice)
    crash.reach("rail.pay:after")
    async with work.finishing(lease, "payouts.record") as tx:
        case = await load(tx.session, attempt.payout_id, lock=True)
        if case.sent.id == attempt.id:
            await record(tx, case, result, rail.capabilities, limits, checks=checks)


def _assert_committed(rail: Rail, attempt: PayoutAttempt, invoice: Invoice) -> None:
    """What leaves is what is written down: else a look-up would ask about something else than was paid."""
    committed = invoice_of(attempt, invoice.payee)
    if attempt.state != PayoutState.SENDING or rail.name != attempt.rail or invoice != committed:
        raise RuntimeError(
            f"attempt {attempt.id} ({attempt.state} on {attempt.rail}) is not what is about to be paid"
        )


async def _pay(rail: Rail, attempt: PayoutAttempt, invoice: Invoice) -> PaymentResult:
    """A rail never raises; when one does all the same, the bytes may have left."""
    try:
        return await rail.pay(invoice, max_fee_msat=attempt.max_fee_msat)
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
