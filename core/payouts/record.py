"""Writes down what a rail said about a payment: settled with its proof, failed for good, or still in doubt.
Always under the payout's lock and by compare and set; a second writer finds the payout moved and does nothing."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select, update

from core import clock, ids
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction
from core.ledger.check import is_proof
from core.ledger.post import post
from core.payouts import alarms
from core.payouts.breaker import IN_FLIGHT, cleared, doubted
from core.payouts.case import Case, given_back, move_both, settled, taken_back
from core.payouts.limits import DAY_MS, PayoutLimits, check_seconds, retry_seconds
from core.payouts.rail import Capabilities, Outcome, PaymentResult
from core.payouts.states import ATTEMPT_TRANSITIONS, TRANSITIONS, PayoutState
from core.payouts.tables import Payout, PayoutAttempt
from core.tasks.tables import Task

log = logging.getLogger(__name__)

IN_DOUBT = frozenset({PayoutState.SENDING, PayoutState.UNKNOWN})

# The published API knows three rails; every Lightning node is `lightning`, the sandbox too.
_PUBLIC_RAIL = {"strike": "strike", "bank": "internal"}


def proven(result: PaymentResult, payment_hash: str, capabilities: Capabilities) -> PaymentResult:
    """`result`, or UNKNOWN in its place when it says settled without the proof that this rail gives: what a broken
    proxy or a wrong wallet says is no reason to stop looking."""
    if result.outcome is not Outcome.SETTLED or not capabilities.proves_by_preimage:
        return result
    if is_proof(result.preimage, payment_hash):
        return result
    return PaymentResult(
        outcome=Outcome.UNKNOWN, reason="the rail says settled, without a preimage of the payment hash"
    )


def may_still_arrive(attempt: PayoutAttempt, now_ms: int, limits: PayoutLimits) -> bool:
    """Whether "failed" is the word on one of several sends alone. A node pays a hash that failed when it is told to once
    more, and a process that was frozen before its first byte, or a socket of a frozen node, tells it long after. So a
    payment that was sent again has failed only when nobody takes its invoice any more."""
    ends_ms = clock.to_ms(attempt.expires_at) + limits.grace_seconds * 1000
    return attempt.sends > 1 and attempt.invoice != "" and now_ms < ends_ms


async def record(
    tx: Transaction,
    case: Case,
    result: PaymentResult,
    capabilities: Capabilities,
    limits: PayoutLimits,
    *,
    checks: int = 0,
) -> None:
    """One transaction's worth of truth about `case` (loaded with its lock). Does nothing unless it is in doubt.
    `checks` is how many look-ups there were."""
    if case.state not in IN_DOUBT:
        return
    result = proven(result, case.sent.payment_hash, capabilities)
    match result.outcome:
        case Outcome.SETTLED:
            await _settle(tx, case, result, slow=capabilities.slow)
        case Outcome.FAILED if may_still_arrive(case.sent, await tx.now_ms(), limits):
            words = f"{result.reason}; it was sent {case.sent.sends} times, and one may still arrive until it ends"
            await doubt(tx, case, words, checks, limits, slow=capabilities.slow)
        case Outcome.FAILED:
            await fail(tx, case, result.reason or "the rail gave no reason", limits)
        case Outcome.IN_FLIGHT:
            await doubt(tx, case, IN_FLIGHT, checks, limits, slow=capabilities.slow)
        case Outcome.REVERSED if not capabilities.proves_by_preimage:
            await _settle(tx, case, result, slow=False)  # it was sent, which nobody had seen
            await reverse(tx, case, result.reason or "the rail gave no reason")
        case Outcome.UNKNOWN | Outcome.REVERSED:  # Lightning takes nothing back
            await doubt(tx, case, result.reason or "no answer", checks, limits, slow=capabilities.slow)


async def fail(tx: Transaction, case: Case, reason: str, limits: PayoutLimits) -> None:
    """The attempt is certainly dead: its money is the worker's again and a new attempt follows, with a new invoice,
    until `limits.max_attempts` are used up; then an operator, or a new address, decides."""
    attempt, payout = case.sent, case.payout
    doubted_before = case.state is PayoutState.UNKNOWN
    now = clock.from_ms(await tx.now_ms())
    await move_both(tx, case, PayoutState.FAILED, error=reason, ended_at=now)
    await post(tx, given_back(payout, attempt))
    if doubted_before:
        await _out_of_doubt(tx, payout, attempt, paid=False)
    if attempt.number >= limits.max_attempts:
        log.error(
            "payout %s failed %d times and waits for an operator: %s", payout.id, attempt.number, reason
        )
        await alarms.attempts_used_up(tx, payout, attempt.number, reason)
        return
    log.warning("attempt %d of payout %s failed: %s", attempt.number, payout.id, reason)
    await reopen(tx, payout, delay=retry_seconds(attempt.number))


async def reopen(tx: Transaction, payout: Payout, *, delay: float = 0) -> None:
    """FAILED -> RESERVED, with the job for the next attempt."""
    await move(tx, payout, PayoutState.RESERVED, table=TRANSITIONS, rail=None)
    tx.emit("payout.reserved", payout.id, queue="money", delay=delay)


async def doubt(
    tx: Transaction, case: Case, reason: str, checks: int, limits: PayoutLimits, *, slow: bool = False
) -> None:
    """Nobody knows yet. The money stays in clearing, the invoice stays the only one, and a look-up follows: soon, or
    hourly on a rail that is `slow`. A rail with many doubts is not used for others meanwhile (`breaker.py`)."""
    attempt = case.sent
    if case.state is PayoutState.SENDING:
        await move_both(tx, case, PayoutState.UNKNOWN, error=reason)
    else:
        attempt.error = reason
    if reason != IN_FLIGHT:
        await doubted(tx, attempt.rail, limits)
    sent_ms = clock.to_ms(attempt.sent_at or attempt.created_at)
    # One chain of look-ups for each send, whoever finds the doubt first.
    tx.emit(
        "payout.check",
        case.payout.id,
        body={"checks": checks + 1},
        queue="money",
        delay=check_seconds(checks + 1, slow=slow),
        key=f"payout:{attempt.id}:{sent_ms}:check:{checks + 1}",
    )


async def _out_of_doubt(tx: Transaction, payout: Payout, attempt: PayoutAttempt, *, paid: bool) -> None:
    await cleared(tx, attempt.rail)
    await alarms.decided(tx, payout.id, paid=paid)


async def _settle(tx: Transaction, case: Case, result: PaymentResult, *, slow: bool) -> None:
    attempt, payout = case.sent, case.payout
    doubted_before = case.state is PayoutState.UNKNOWN
    now = clock.from_ms(await tx.now_ms())
    if result.fee_msat > attempt.max_fee_msat:
        await alarms.fee_over(tx, payout.id, attempt, result.fee_msat)
    await move(
        tx,
        attempt,
        PayoutState.SETTLED,
        table=ATTEMPT_TRANSITIONS,
        preimage=result.preimage,
        fee_msat=result.fee_msat,
        error=None,
        ended_at=now,
    )
    await move(
        tx,
        payout,
        PayoutState.SETTLED,
        table=TRANSITIONS,
        settled_at=now,
        remainder_msat=payout.amount_msat - attempt.amount_msat,
    )
    await _tell_task(tx, payout)
    await post(tx, settled(payout, attempt, result.fee_msat))
    tx.emit("receipt.settled", payout.id)
    if doubted_before or attempt.number > 1:
        await _out_of_doubt(tx, payout, attempt, paid=True)
    if slow:
        look_back_later(tx, payout.id, attempt.id, days=1)


def look_back_later(tx: Transaction, payout_id: str, attempt_id: str, *, days: int) -> None:
    """A bank may take a settled payment back: it is looked at again, `days` after it was settled."""
    key = f"payout:{attempt_id}:look_back:{days}"
    tx.emit("payout.look_back", payout_id, body={"days": days}, queue="money", delay=DAY_MS / 1000, key=key)


async def reverse(tx: Transaction, case: Case, reason: str) -> None:
    """A bank took a settled payment back: a new payout of the same amount takes its place, which waits for other bank
    details or an operator. Does nothing unless the payout is settled."""
    payout = case.payout
    if case.state is not PayoutState.SETTLED:
        return
    log.error("payout %s was taken back: %s", payout.id, reason)
    await move_both(tx, case, PayoutState.REVERSED, error=reason)
    values = {column.key: getattr(payout, column.key) for column in Payout.__table__.columns}
    again = Payout(
        **values
        | {
            "id": ids.new("pay"),
            "reason": f"{payout.reason}:again",
            "state": str(PayoutState.FAILED),
            "amount_msat": case.sent.amount_msat,  # what whole cents left over stays with the former payout
            "remainder_msat": 0,
            "spread_msat": 0,
            "invoice": None,
            "rail": None,
            "settled_at": None,
            "created_at": clock.from_ms(await tx.now_ms()),
        }
    )
    tx.session.add(again)
    await _tell_task(tx, payout)
    await post(tx, [taken_back(payout, case.sent)])
    tx.emit("receipt.reversed", payout.id)
    await alarms.taken_back(tx, payout.id, again.id, reason)


async def _tell_task(tx: Transaction, payout: Payout) -> None:
    """The task shows how its answer was paid, in the published shape: the first payment that arrived and stayed, and all of
    them. Made anew from the payouts under the task's lock, so that two that settle at once both show."""
    now = clock.from_ms(await tx.now_ms())
    held = select(Task.id).where(Task.id == payout.task_id).with_for_update(key_share=True)
    await tx.session.execute(held)
    rows = await tx.session.scalars(
        select(Payout)
        .where(Payout.task_id == payout.task_id, Payout.state == str(PayoutState.SETTLED))
        .order_by(Payout.settled_at, Payout.id)
    )
    shown = [_shown(one, now) for one in rows]
    statement = (
        update(Task)
        .where(Task.id == payout.task_id)
        .values(
            payout_result=shown[0] if shown else None,
            payout_results=shown or None,
            version=Task.version + 1,
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )
    await tx.session.execute(statement)


def _shown(payout: Payout, now: datetime) -> dict[str, Any]:
    return {
        "id": payout.id,
        # A JSON number with the exact digits; as a Decimal it would become a string.
        "amount": msgspec.Raw(format(payout.amount, "f").encode()),
        "currency": payout.currency,
        "rail": _PUBLIC_RAIL.get(payout.rail or "", "lightning"),
        "paidAt": clock.iso(payout.settled_at or now),
    }
