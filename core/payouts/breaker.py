"""Stops a rail that keeps us in doubt: when enough payments on it are in doubt at once, nothing new goes over it until
the last of them is cleared up, or an operator resumes it. Called by `record.py`, in the transaction of the doubt."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select

from core import clock
from core.audit.tables import AuditEntry
from core.db.unit_of_work import Transaction
from core.payouts.controls import Cause, pause, rail_subject, resume
from core.payouts.limits import PayoutLimits
from core.payouts.states import PayoutState
from core.payouts.tables import PayoutAttempt
from core.repairs.actions import Kind, mended, needed

# What an attempt says that its rail has and has not decided: a payment held by its receiver, not a fault of the rail.
IN_FLIGHT = "in flight"


def opens(doubts: int, limits: PayoutLimits) -> bool:
    """`doubts`: payments of the last `breaker_minutes` whose outcome nobody can tell."""
    return doubts >= limits.breaker_unknowns


async def doubted(tx: Transaction, rail: str, limits: PayoutLimits) -> None:
    """One more payment on `rail` is in doubt, or still is. Each look-up asks again, so that of two doubts that did not
    see each other one opens it a moment later. What was sent before somebody closed it does not open it again."""
    since = clock.from_ms(await tx.now_ms()) - timedelta(minutes=limits.breaker_minutes)
    resumed = await tx.session.scalar(
        select(func.max(AuditEntry.at)).where(
            AuditEntry.subject == rail_subject(rail), AuditEntry.action == "payouts.resumed"
        )
    )
    since = max(since, resumed) if resumed is not None else since
    doubts = await _doubts(tx, rail, since)
    if not opens(doubts, limits):
        return
    words = f"{doubts} payments sent within {limits.breaker_minutes} minutes are in doubt"
    if await pause(tx, rail_subject(rail), Cause.BREAKER, words, by="hub"):
        await needed(
            tx,
            rail_subject(rail),
            Kind.BREAKER,
            f"{words}: nothing new goes over {rail} until they are cleared up, or `hub payouts resume --rail {rail}`.",
        )


async def cleared(tx: Transaction, rail: str) -> None:
    """A doubt on `rail` has ended. When it was the last one, the rail is used again."""
    if await _doubts(tx, rail, None):
        return
    if await resume(tx, rail_subject(rail), Cause.BREAKER, actor="hub"):
        await mended(tx, rail_subject(rail), Kind.BREAKER, actor="hub")


async def _doubts(tx: Transaction, rail: str, since: datetime | None) -> int:
    query = select(func.count()).where(
        PayoutAttempt.rail == rail,
        PayoutAttempt.state == str(PayoutState.UNKNOWN),
        func.coalesce(PayoutAttempt.error, "") != IN_FLIGHT,
    )
    if since is not None:
        query = query.where(PayoutAttempt.sent_at >= since)
    return await tx.session.scalar(query) or 0
