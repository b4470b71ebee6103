"""What moves a payout: earning it, the job that pays it, the job that clears up doubt, and going on after a stop.
Called by the verification (earn), by `hub/jobs/topics.py` (pay, check) and by whoever changes an address (retry)."""

from __future__ import annotations

from sqlalchemy import select

from core import clock
from core.audit.record import record as audit
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import Conflict, Misconfigured
from core.outbox.rows import Lease
from core.payouts import controls
from core.payouts.case import load
from core.payouts.controls import Cause
from core.payouts.earn import earn
from core.payouts.limits import PayoutLimits, clocks_apart
from core.payouts.look import look, look_back
from core.payouts.prepare import Means, prepare
from core.payouts.record import reopen
from core.payouts.send import send
from core.payouts.states import OWED, PayoutState
from core.payouts.tables import Payout
from core.repairs.actions import Kind, mended

__all__ = ["Means", "check", "earn", "look_back", "pay", "resume", "retry", "retry_for_worker"]


async def pay(work: UnitOfWork, lease: Lease, means: Means, limits: PayoutLimits) -> None:
    """The job `payout.reserved`, from whatever state the payout is in:

    RESERVED  fetch an invoice, commit it (READY), go on; without an address the job ends, `retry_for_worker` goes on
    READY     commit SENDING, pay this invoice, record what the rail said
    SENDING   somebody crashed between the commit and the record: look only
    others    nothing: settled, failed, or in doubt with a look-up under way

    Raises Retryable while a limit, a control, the wallet or the rails hold it, Misconfigured without a rail or with a
    wrong clock. Run twice, or by two at once, it pays once."""
    async with work.read() as session:
        state = (await load(session, lease.subject)).state
    if state is PayoutState.SENDING:
        await look(work, lease, means, limits)
        return
    apart = clocks_apart(here_ms=clock.now_ms(), database_ms=lease.begun_ms)
    if apart is not None:
        raise Misconfigured("clock_off", f"{CLOCK_WORDS} [{apart}]")
    if state is PayoutState.RESERVED and await prepare(work, lease, means, limits):
        state = PayoutState.READY
    if state is PayoutState.READY and await send(work, lease, means, limits):
        return
    async with work.finishing(lease, "payouts.record"):
        return


CLOCK_WORDS = "Payouts wait until a clock of ours is set right; nothing is lost meanwhile"


async def check(work: UnitOfWork, lease: Lease, means: Means, limits: PayoutLimits) -> None:
    """The job `payout.check`: look up a payment in doubt. Emits the next look-up (2 s, 4 s … ten minutes; hourly on a slow
    rail) while the doubt lasts; the watch raises the alarm when that takes too long."""
    await look(work, lease, means, limits)


async def retry(tx: Transaction, payout_id: str, *, actor: str) -> None:
    """An operator goes on with a payout whose attempts ran out, or wakes one that waits. Raises Conflict when it is on
    its way or paid, NotFound."""
    case = await load(tx.session, payout_id, lock=True)
    if case.state not in OWED:
        raise Conflict("payout_not_owed", f"This payout is {case.state}", state=str(case.state))
    await _wake(tx, case.payout)
    await audit(tx, actor=actor, action="payout.retried", subject=payout_id)


async def resume(tx: Transaction, subject: str, *, actor: str) -> bool:
    """An operator takes back a pause of `hub` or `rail:NAME`, and closes the rail's breaker. False when neither was
    there. A reconciliation's freeze ends when its findings are explained (`reconcile.explain`)."""
    taken = await controls.resume(tx, subject, Cause.OPERATOR, actor=actor)
    closed = await controls.resume(tx, subject, Cause.BREAKER, actor=actor)
    if closed:
        await mended(tx, subject, Kind.BREAKER, actor=actor)
    return taken or closed


async def retry_for_worker(tx: Transaction, worker_id: str) -> int:
    """The worker has a new payout address: everything that is owed and waits goes on. Gives how many payouts. A payout
    may have a job that waits already; the second job finds it moved and ends."""
    owed = await tx.session.scalars(
        select(Payout)
        .where(Payout.worker_id == worker_id, Payout.state.in_(sorted(OWED)))
        .order_by(Payout.id)
        .with_for_update()
    )
    payouts = list(owed)
    for payout in payouts:
        await _wake(tx, payout)
    return len(payouts)


async def _wake(tx: Transaction, payout: Payout) -> None:
    if payout.state == PayoutState.FAILED:
        await reopen(tx, payout)
    else:
        tx.emit("payout.reserved", payout.id, queue="money")
