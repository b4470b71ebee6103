"""Batches of payments that people send to a bank: one operator freezes what waits, another confirms, only then the file
may be read. Called by `hub bank` and the operator's page. What the bank answers is taken in by `answers.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import select

from core import clock, ids
from core.audit.record import record as audit
from core.bank.details import unpack
from core.bank.file import Payment, digest_of, write
from core.bank.queries import RAIL, attempts_in, waiting
from core.bank.states import TRANSITIONS, BatchState
from core.bank.tables import BankAccountRow, BankBatch
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction
from core.errors import Conflict, NotFound
from core.payouts.case import load
from core.payouts.limits import PayoutLimits
from core.payouts.rail import Capabilities, Outcome, PaymentResult
from core.payouts.record import record
from core.payouts.tables import Payout, PayoutAttempt

Unseal = Callable[[str], str]


async def make_batch(
    tx: Transaction, operator: str, *, unseal: Unseal, capabilities: Capabilities, limits: PayoutLimits
) -> BankBatch | None:
    """Freeze everything on the rail `bank` that waits and is in no batch. A payment whose account the worker has taken
    away since is certainly unsent, so it fails and is owed again. `operator` is the actor. None when nothing is left to
    send: no error, for that would take the failures back with it."""
    mine: list[PayoutAttempt] = []
    for attempt in await _locked(tx):
        account = await tx.session.get(BankAccountRow, attempt.bank_account_id)
        if account is not None and account.removed_at is None:
            mine.append(attempt)
        else:
            await _withdraw(tx, attempt, capabilities, limits)
    if not mine:
        return None
    text = await _file(tx, mine, unseal)
    batch = BankBatch(
        id=ids.new("bat"),
        state=str(BatchState.MADE),
        payments=len(mine),
        cents=sum(attempt.cents for attempt in mine),
        digest=digest_of(text),
        made_by=operator,
        made_at=clock.from_ms(await tx.now_ms()),
    )
    tx.session.add(batch)
    for attempt in mine:
        attempt.batch_id = batch.id
    await tx.session.flush()
    await _note(tx, operator, "bank_batch.made", batch)
    return batch


async def confirm(tx: Transaction, batch_id: str, operator: str) -> BankBatch:
    """A second person agrees. Raises NotFound; Conflict for the person who made it, when it is not MADE any more, and
    when a worker took an account away since it was frozen (then dissolve it and make another)."""
    batch = await _batch(tx, batch_id)
    if batch.made_by == operator:
        raise Conflict("same_person", "Whoever made a batch cannot confirm it: ask another operator")
    stale = await tx.session.scalar(
        select(PayoutAttempt.reference)
        .join(BankAccountRow, BankAccountRow.id == PayoutAttempt.bank_account_id)
        .where(PayoutAttempt.batch_id == batch.id, BankAccountRow.removed_at.is_not(None))
        .limit(1)
    )
    if stale is not None and batch.state == BatchState.MADE:
        raise Conflict(
            "account_changed",
            f"The worker of payment {stale} has changed the bank account: dissolve this batch and make another",
        )
    now = clock.from_ms(await tx.now_ms())
    await move(tx, batch, BatchState.CONFIRMED, table=TRANSITIONS, confirmed_by=operator, confirmed_at=now)
    await _note(tx, operator, "bank_batch.confirmed", batch)
    return batch


async def dissolve(tx: Transaction, batch_id: str, operator: str) -> None:
    """Its payments wait for the next batch. Raises NotFound, and Conflict once it is confirmed: the file may be at the
    bank."""
    batch = await _batch(tx, batch_id)
    await move(tx, batch, BatchState.DISSOLVED, table=TRANSITIONS)
    for attempt in await attempts_in(tx.session, batch.id):
        attempt.batch_id = None
    await _note(tx, operator, "bank_batch.dissolved", batch)


async def export(tx: Transaction, batch_id: str, operator: str, *, unseal: Unseal) -> str:
    """The file of a confirmed batch, the same each time; every reading is audited. Raises NotFound, and Conflict before
    it is confirmed or when it is no longer what was frozen."""
    batch = await _batch(tx, batch_id)
    if batch.state != BatchState.CONFIRMED:
        raise Conflict(
            "not_confirmed", f"This batch is {batch.state}; its file can be read once it is confirmed"
        )
    text = await _file(tx, await attempts_in(tx.session, batch.id), unseal)
    if digest_of(text) != batch.digest:
        raise Conflict(
            "batch_changed",
            "The payments of this batch are not those that were confirmed; send nothing, look why",
        )
    await _note(tx, operator, "bank_batch.exported", batch)
    return text


async def _locked(tx: Transaction) -> list[PayoutAttempt]:
    """What waits, with its payouts locked first, as the machine locks them; who comes second finds it frozen."""
    payout_ids = sorted({attempt.payout_id for attempt in await waiting(tx.session)})
    query = select(Payout.id).where(Payout.id.in_(payout_ids)).order_by(Payout.id).with_for_update()
    await tx.session.execute(query)
    tx.session.expire_all()
    return [one for one in await waiting(tx.session) if one.payout_id in payout_ids]


async def _withdraw(
    tx: Transaction, attempt: PayoutAttempt, capabilities: Capabilities, limits: PayoutLimits
) -> None:
    case = await load(tx.session, attempt.payout_id, lock=True)
    gone = PaymentResult(
        outcome=Outcome.FAILED, reason="the worker changed the bank account before it was sent"
    )
    await record(tx, case, gone, capabilities, limits)


async def _file(tx: Transaction, attempts: Sequence[PayoutAttempt], unseal: Unseal) -> str:
    payments: list[Payment] = []
    for attempt in sorted(attempts, key=lambda one: one.id):
        account = await tx.session.get_one(BankAccountRow, attempt.bank_account_id)
        payments.append(
            Payment(reference=attempt.reference, cents=attempt.cents, payee=unpack(unseal(account.sealed)))
        )
    return write(payments)


async def _batch(tx: Transaction, batch_id: str) -> BankBatch:
    """Locked, so that two operators act one after the other."""
    batch = await tx.session.get(BankBatch, batch_id, with_for_update=True, populate_existing=True)
    if batch is None:
        raise NotFound("batch_not_found", "There is no such batch", batch=batch_id)
    return batch


async def _note(tx: Transaction, operator: str, action: str, batch: BankBatch) -> None:
    await audit(
        tx,
        actor=operator,
        action=action,
        subject=batch.id,
        rail=RAIL,
        payments=batch.payments,
        cents=batch.cents,
        digest=batch.digest,
    )
