"""What holds payouts back while the hub runs: the operator's kill switch, an open breaker, a reconciliation that found
a stranger. Nothing new leaves while a control is here; look-ups go on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import delete, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.audit.record import record as audit
from core.db.unit_of_work import Transaction
from core.payouts.tables import PayoutControl

HUB = "hub"


class Cause(StrEnum):
    """Who put a control there, and so who takes it away."""

    OPERATOR = "operator"  # `hub payouts resume`
    BREAKER = "breaker"  # the last doubt on the rail is cleared up, or an operator
    RECONCILIATION = "reconciliation"  # every finding is explained


def rail_subject(name: str) -> str:
    return f"rail:{name}"


class Stops(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing new may leave: at all (None: it may), and on single rails by name."""

    hub: str | None
    rails: dict[str, str]


async def in_force(session: AsyncSession, now_ms: int) -> Sequence[PayoutControl]:
    """Every control that holds something at `now_ms` (UTC)."""
    now = clock.from_ms(now_ms)
    found = await session.scalars(
        select(PayoutControl)
        .where(or_(PayoutControl.until.is_(None), PayoutControl.until > now))
        .order_by(PayoutControl.subject, PayoutControl.cause)
    )
    return found.all()


async def stops(session: AsyncSession, now_ms: int) -> Stops:
    hub: str | None = None
    rails: dict[str, str] = {}
    for control in await in_force(session, now_ms):
        words = f"paused ({control.cause}): {control.reason}"
        if control.subject == HUB:
            hub = f"Payouts are {words}"
        else:
            name = control.subject.removeprefix("rail:")
            rails[name] = f"rail {name} is {words}"
    return Stops(hub=hub, rails=rails)


async def pause(
    tx: Transaction, subject: str, cause: Cause, reason: str, *, by: str, until: datetime | None = None
) -> bool:
    """Hold `subject` (`hub`, `rail:lnd`) back from this commit on; True when it was not held for this cause before. What
    is being sent at this moment still arrives."""
    known = await tx.session.get(PayoutControl, (subject, str(cause)), with_for_update=True)
    if known is None:
        row = PayoutControl(
            subject=subject,
            cause=str(cause),
            reason=reason[:500],
            by=by,
            at=clock.from_ms(await tx.now_ms()),
            until=until,
        )
        try:
            async with tx.session.begin_nested():
                tx.session.add(row)
        except IntegrityError:  # somebody else held it a moment ago
            return False
        await audit(
            tx, actor=by, action="payouts.paused", subject=subject, cause=str(cause), reason=reason[:500]
        )
        return True
    known.reason, known.until = reason[:500], until
    if cause is Cause.OPERATOR:
        known.by = by
        await audit(
            tx, actor=by, action="payouts.paused", subject=subject, cause=str(cause), reason=reason[:500]
        )
    return False


async def resume(tx: Transaction, subject: str, cause: Cause, *, actor: str) -> bool:
    """Let `subject` go on as far as this cause is concerned; False when it was not held."""
    gone: Any = await tx.session.execute(
        delete(PayoutControl).where(PayoutControl.subject == subject, PayoutControl.cause == str(cause))
    )
    if not gone.rowcount:
        return False
    await audit(tx, actor=actor, action="payouts.resumed", subject=subject, cause=str(cause))
    return True
