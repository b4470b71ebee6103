"""Issues receipts, one after the other. Topics `receipt.verified` (subject: the task), `receipt.settled` and
`receipt.reversed` (subject: the payout), written in the transaction of what they attest; each job is one transaction."""

from __future__ import annotations

import msgspec
from sqlalchemy import func, select, update

from core import clock, ids
from core.access.sealing import Sealer
from core.db.unit_of_work import Transaction
from core.errors import NotFound
from core.payouts.tables import Payout
from core.receipts import compose, keys, signature
from core.receipts.canonical import canonical, digest
from core.receipts.model import GENESIS, VERSION, Kind, Payment, Receipt, Verification
from core.receipts.tables import ReceiptRow
from core.tasks.states import TaskStatus
from core.tasks.tables import Task


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """Who signs: `hub` is the public URL, by which a reader finds the well-known keys."""

    hub: str
    sealer: Sealer


async def issue(tx: Transaction, kind: Kind, subject: str, issuer: Issuer) -> None:
    """What the job of that kind does; `subject` is the task of a verified answer, else the payout. Raises NotFound."""
    if kind is Kind.VERIFIED:
        await of_verified(tx, subject, issuer)
    else:
        await of_payout(tx, subject, kind, issuer)


async def of_verified(tx: Transaction, task_id: str, issuer: Issuer) -> None:
    """The receipt of a verified task; nothing when there is one. Raises NotFound."""
    await keys.alone(tx)
    await _verified(tx, await _task(tx, task_id), issuer)


async def of_payout(tx: Transaction, payout_id: str, kind: Kind, issuer: Issuer) -> None:
    """The receipt of a payout that was settled or reversed; nothing when there is one. The task's own comes before it,
    whichever job runs first. Raises NotFound."""
    await keys.alone(tx)
    payout = await tx.session.get(Payout, payout_id)
    if payout is None:
        raise NotFound("unknown_payout", f"There is no payout {payout_id}")
    if await _issued(tx, f"{kind}:{payout_id}"):
        return
    task = await _task(tx, payout.task_id)
    verified = await _verified(tx, task, issuer) if task.status == TaskStatus.VERIFIED else None
    payment = await compose.payment(tx.session, payout, verified=verified)
    if kind is Kind.SETTLED:  # it may have been taken back since; this one tells of the day it was paid
        payment = msgspec.structs.replace(
            payment, state=str(Kind.SETTLED), at=clock.iso(payout.settled_at or payout.created_at)
        )
    await _issue(tx, kind, task, issuer, subject=f"{kind}:{payout_id}", payment=payment)


async def _verified(tx: Transaction, task: Task, issuer: Issuer) -> str:
    """The hash of the task's first receipt, which is issued now when it is not there."""
    subject = f"{Kind.VERIFIED}:{task.id}"
    if issued := await _issued(tx, subject):
        return issued
    said = await compose.verification(tx.session, task)
    row = await _issue(tx, Kind.VERIFIED, task, issuer, subject=subject, verification=said)
    # No new version and no event: the task is what it was.
    await tx.session.execute(update(Task).where(Task.id == task.id).values(receipt_id=row.id))
    return row.hash


async def _issue(
    tx: Transaction,
    kind: Kind,
    task: Task,
    issuer: Issuer,
    *,
    subject: str,
    verification: Verification | None = None,
    payment: Payment | None = None,
) -> ReceiptRow:
    key = await keys.signing(tx, issuer.sealer)
    last = await tx.session.scalar(select(ReceiptRow).order_by(ReceiptRow.number.desc()).limit(1))
    now = clock.from_ms(await tx.now_ms())
    receipt = Receipt(
        version=VERSION,
        id=ids.new("rct"),
        kind=kind,
        hub=issuer.hub,
        number=last.number + 1 if last else 1,
        previous=last.hash if last else GENESIS,
        key=key.id,
        issued_at=clock.iso(now),
        task=compose.task_part(task),
        verification=verification,
        payment=payment,
    )
    said = msgspec.to_builtins(receipt)
    row = ReceiptRow(
        number=receipt.number,
        id=receipt.id,
        subject=subject,
        task_id=task.id,
        key_id=key.id,
        text=canonical(said).decode(),
        signature=signature.sign(key.private, said),
        previous=receipt.previous,
        hash=digest(said),
        issued_at=now,
    )
    tx.session.add(row)
    await tx.session.flush()
    return row


async def _task(tx: Transaction, task_id: str) -> Task:
    task = await tx.session.get(Task, task_id)
    if task is None:
        raise NotFound("unknown_task", f"There is no task {task_id}")
    return task


async def _issued(tx: Transaction, subject: str) -> str | None:
    return await tx.session.scalar(select(func.min(ReceiptRow.hash)).where(ReceiptRow.subject == subject))
