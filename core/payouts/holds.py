"""Pay that waits until somebody has looked: of a worker whose answers are in doubt. A hold is a row beside the payout, taken
under the payout's lock, so that a payment is either committed before it or not begun; it ends once, by an operator's word
or by its clock. Called by `core/verification/marked.py`, `prepare.py` and the job `payout.hold_over`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.audit.record import record
from core.billing import actions as billing
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction
from core.ledger import accounts
from core.ledger.post import Transfer, balances, post
from core.ledger.tables import LedgerTransfer
from core.outbox.rows import Lease
from core.payouts.case import load
from core.payouts.earn import ANSWER
from core.payouts.states import OWED, TRANSITIONS, PayoutState
from core.payouts.tables import Payout, PayoutHold
from core.tasks.tables import Task

HOLDABLE = frozenset({PayoutState.EARNED, *OWED})  # nothing has been committed to a rail


class Outcome(StrEnum):
    RELEASED = "released"  # somebody looked, and it is right: it is sent
    WITHHELD = (
        "withheld"  # somebody looked, and it is not: the asker has the money back, the worker may appeal
    )
    OVER = "over"  # nobody looked in time: it is sent


async def hold(tx: Transaction, payouts: Sequence[Payout], *, why: str, hours: int) -> list[str]:
    """Hold those of the payouts that are earned by an answer, unpaid and were never held; their ids. The caller has
    locked them, or made them in this transaction. `why` is for operators."""
    fit = [one for one in payouts if one.reason == ANSWER and PayoutState(one.state) in HOLDABLE]
    before = select(PayoutHold.payout_id).where(PayoutHold.payout_id.in_([one.id for one in fit]))
    known = set(await tx.session.scalars(before))
    fresh = [one for one in fit if one.id not in known]
    now = clock.from_ms(await tx.now_ms())
    for one in fresh:
        tx.session.add(
            PayoutHold(
                payout_id=one.id,
                worker_id=one.worker_id,
                why=why,
                since=now,
                until=now + timedelta(hours=hours),
            )
        )
        tx.emit("payout.hold_over", one.id, delay=hours * 3600, queue="money", key=f"hold:{one.id}")
        await record(tx, actor="hub", action="payout.held", subject=one.id, why=why)
    await tx.session.flush()
    return [one.id for one in fresh]


async def hold_unpaid(
    tx: Transaction, worker_id: str, environment: str, *, why: str, hours: int
) -> list[str]:
    """`hold` for everything of the worker that no payment was committed for."""
    found = await tx.session.scalars(
        select(Payout)
        .where(
            Payout.worker_id == worker_id,
            Payout.environment == environment,
            Payout.state.in_([str(one) for one in sorted(HOLDABLE)]),
        )
        .order_by(Payout.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return await hold(tx, list(found), why=why, hours=hours)


async def held(session: AsyncSession, payout_id: str) -> bool:
    """Whether it waits for somebody to look."""
    row = await session.scalar(
        select(PayoutHold.payout_id).where(PayoutHold.payout_id == payout_id, PayoutHold.ended_at.is_(None))
    )
    return row is not None


async def still_held(
    session: AsyncSession, *, worker_id: str | None = None, limit: int | None = 200
) -> list[tuple[PayoutHold, Payout]]:
    """What waits, of one worker or of all, the one whose clock ends first at the top; everything with `limit` None."""
    statement = (
        select(PayoutHold, Payout)
        .join(Payout, Payout.id == PayoutHold.payout_id)
        .where(PayoutHold.ended_at.is_(None))
        .order_by(PayoutHold.until, PayoutHold.payout_id)
        .limit(limit)
    )
    if worker_id is not None:
        statement = statement.where(PayoutHold.worker_id == worker_id)
    return [(row[0], row[1]) for row in (await session.execute(statement)).all()]


async def of_payouts(session: AsyncSession, payout_ids: Sequence[str]) -> dict[str, PayoutHold]:
    """By payout, those that ended too."""
    if not payout_ids:
        return {}
    found = await session.scalars(select(PayoutHold).where(PayoutHold.payout_id.in_(payout_ids)))
    return {one.payout_id: one for one in found}


async def release(
    tx: Transaction, payout_id: str, *, actor: str, note: str, outcome: Outcome = Outcome.RELEASED
) -> bool:
    """The hold ends and the payout goes on. False when it had ended before."""
    case = await load(tx.session, payout_id, lock=True)
    if not await _end(tx, payout_id, outcome, actor, note):
        return False
    if case.state is PayoutState.RESERVED:  # EARNED goes on when there is a rate, FAILED by a new address
        tx.emit("payout.reserved", payout_id, queue="money")
    await record(
        tx, actor=actor, action="payout.released", subject=payout_id, outcome=str(outcome), note=note
    )
    return True


async def withhold(tx: Transaction, payout_id: str, task: Task, *, actor: str, note: str) -> bool:
    """The hold ends and nothing is paid: what the worker was owed goes back to who paid it. False when the hold had ended
    before. Of one that waits for a rate nothing is owed yet; what is reserved goes back with the last that waits. The caller
    holds the task's row."""
    case = await load(tx.session, payout_id, lock=True)
    payout = case.payout
    if not await _end(tx, payout_id, Outcome.WITHHELD, actor, note):
        return False
    if case.state is PayoutState.EARNED:
        await move(tx, payout, PayoutState.WITHHELD, table=TRANSITIONS)
        if not await _others_wait(tx, payout):
            await billing.release(tx, task)
    else:
        back = await _way_back(tx, payout)
        touched = {side.id for one in back for side in (one.debit, one.credit)}
        await balances(tx, sorted(touched))
        await move(tx, payout, PayoutState.WITHHELD, table=TRANSITIONS)
        await post(tx, back)
    billing.announce_credit(tx, task.organisation_id, task.environment)
    await record(tx, actor=actor, action="payout.withheld", subject=payout_id, note=note)
    return True


async def over(tx: Transaction, lease: Lease) -> None:
    """Topic `payout.hold_over`: nobody has looked for as long as the policy lets a worker wait."""
    await release(tx, lease.subject, actor="hub", note="Nobody looked in time", outcome=Outcome.OVER)


async def _end(tx: Transaction, payout_id: str, outcome: Outcome, actor: str, note: str) -> bool:
    statement = (
        update(PayoutHold)
        .where(PayoutHold.payout_id == payout_id, PayoutHold.ended_at.is_(None))
        .values(
            ended_at=clock.from_ms(await tx.now_ms()), ended_by=actor, outcome=str(outcome), note=note[:500]
        )
        .returning(PayoutHold.payout_id)
        .execution_options(synchronize_session=False)
    )
    return (await tx.session.execute(statement)).scalar_one_or_none() is not None


async def _others_wait(tx: Transaction, payout: Payout) -> bool:
    """Whether somebody else's pay for the same task waits for a rate."""
    statement = select(Payout.id).where(
        Payout.task_id == payout.task_id,
        Payout.state == str(PayoutState.EARNED),
        Payout.reason == ANSWER,
        Payout.id != payout.id,
    )
    return await tx.session.scalar(statement.limit(1)) is not None


async def _way_back(tx: Transaction, payout: Payout) -> list[Transfer]:
    """Each transfer by which it was earned, the other way: the hub's own part to the hub, the rest to the asker's balance."""
    rows = await tx.session.execute(
        select(LedgerTransfer.id, LedgerTransfer.debit_account, LedgerTransfer.amount_msat)
        .where(LedgerTransfer.subject == payout.id, LedgerTransfer.kind == "earn")
        .order_by(LedgerTransfer.id)
    )
    exchange = accounts.exchange(payout.environment)
    prefund = accounts.prefund(payout.organisation_id, payout.environment)
    return [
        Transfer(
            id=f"{name}:withhold",
            debit=accounts.payable(payout.worker_id),
            credit=exchange if paid_by == exchange.id else prefund,
            amount_msat=amount_msat,
            kind="withhold",
            subject=payout.id,
        )
        for name, paid_by, amount_msat in rows.all()
    ]
