"""Opens and closes repair items. Called wherever something stops until a person mends it."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from core import clock, ids
from core.db.unit_of_work import Transaction
from core.errors import NotFound
from core.repairs.tables import Repair

log = logging.getLogger(__name__)


class Kind(StrEnum):
    """How a thing is broken. STOPPING kinds hold back what the subject would send."""

    CREDENTIALS = "credentials"  # the vendor refuses our token or our rights
    LOOP = "loop"  # a ticket keeps asking: its connector only records until somebody has looked
    UNREADABLE = "unreadable"  # a doubtful write that we cannot look up: a person looks into the ticket
    REFUSED = "refused"  # the vendor refuses one write for good; the reply is a dead letter
    QUARANTINE = "quarantine"  # deliveries that no secret verifies
    CONFIGURATION = "configuration"  # a file that was changed cannot be loaded; the former one stays in use
    SUBSCRIPTION = "subscription"  # the vendor has switched our webhook off
    # payouts
    BALANCE = "low_balance"  # a rail cannot pay much longer
    DRIFT = "balance_drift"  # a rail holds more or less than the books explain
    STUCK = "stuck"  # a payment is in doubt for longer than its rail should take
    ATTEMPTS = "attempts_used_up"  # a payout failed on every try and waits for an operator
    FEE = "fee_over_limit"  # a rail took more than it was allowed; stays until somebody has looked
    TAKEN_BACK = "taken_back"  # a bank returned a payment
    BREAKER = "breaker"  # too many payments in doubt: nothing new goes over the rail
    RECONCILIATION = "reconciliation"  # a rail's history and our attempts disagree
    BOOKS = "books"  # a rule of the ledger is broken
    # workers
    APPEAL = "appeal_overdue"  # a worker's appeal waits longer than promised
    GOLD = "gold_unpaid"  # the hub's own organisation cannot pay for questions whose answer is known
    REVIEW = "review_overdue"  # a worker's appeal or dispute waits longer than it should
    CLOCK = "clock"  # this machine's clock and the database's differ


STOPPING = frozenset({Kind.CREDENTIALS})


async def needed(tx: Transaction, subject: str, kind: Kind, message: str) -> None:
    """Open an item, or count one that is open already. Says it in the log once, when it opens."""
    if await _counted(tx, subject, kind, message):
        return
    now = clock.from_ms(await tx.now_ms())
    item = Repair(
        id=ids.new("fix"),
        subject=subject,
        kind=str(kind),
        message=message[:2_000],
        opened_at=now,
        seen_at=now,
        times=1,
    )
    try:
        async with tx.session.begin_nested():
            tx.session.add(item)
    except IntegrityError:  # somebody else opened it a moment ago
        await _counted(tx, subject, kind, message)
        return
    log.error("repair needed: %s (%s): %s", subject, kind, message)


async def _counted(tx: Transaction, subject: str, kind: Kind, message: str) -> bool:
    known: Any = await tx.session.execute(
        update(Repair)
        .where(Repair.subject == subject, Repair.kind == str(kind), Repair.closed_at.is_(None))
        .values(seen_at=clock.from_ms(await tx.now_ms()), times=Repair.times + 1, message=message[:2_000])
        .execution_options(synchronize_session=False)
    )
    return bool(known.rowcount)


async def mended(tx: Transaction, subject: str, *kinds: Kind, actor: str) -> int:
    """Close the open items of the subject, of these kinds or of all; how many there were."""
    statement = update(Repair).where(Repair.subject == subject, Repair.closed_at.is_(None))
    if kinds:
        statement = statement.where(Repair.kind.in_([str(kind) for kind in kinds]))
    closed: Any = await tx.session.execute(
        statement.values(closed_at=clock.from_ms(await tx.now_ms()), closed_by=actor).execution_options(
            synchronize_session=False
        )
    )
    return int(closed.rowcount)


async def close(tx: Transaction, repair_id: str, *, actor: str) -> None:
    """Close one item by hand. Raises NotFound."""
    found = await tx.session.scalar(select(Repair).where(Repair.id == repair_id, Repair.closed_at.is_(None)))
    if found is None:
        raise NotFound("repair_not_found", f"There is no open repair item {repair_id}")
    found.closed_at, found.closed_by = clock.from_ms(await tx.now_ms()), actor
