"""Where a worker is paid: a Lightning address, a bank account, or an invoice of their own for one payout; and the payouts
that waited for it. Called by the worker's pages and API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from core import clock
from core.audit.record import record
from core.bank import accounts
from core.bank.details import Typed, checked
from core.bank.queries import ever_had_account
from core.db.unit_of_work import Transaction
from core.errors import Conflict, Invalid, NotFound, Rejected
from core.payouts import hold
from core.payouts.actions import retry, retry_for_worker
from core.payouts.case import load
from core.payouts.queries import where_of
from core.payouts.rail import Invoice, PayoutAddress
from core.payouts.states import IN_CLEARING, OWED
from core.payouts.tables import Payout
from core.tasks.model import Environment
from core.workers import actions as workers
from core.workers.tables import Worker

LEAST_LIFE_MS = 300_000  # of a pasted invoice; the payout may wait a while for its turn


async def set_address(
    tx: Transaction, worker_id: str, address: str | None, *, actor: str, hold_hours: int = 0
) -> None:
    """Raises Invalid for a bad shape, NotFound. What is owed and has no living attempt goes on at once, or after the
    hold when this is not the first place that the worker names."""
    worker = await workers.locked(tx, worker_id)
    usable_at = await _usable_at(tx, worker, hold_hours)
    await workers.set_payout_address(tx, worker_id, address, actor=actor, usable_at=usable_at)
    if address is not None:
        await retry_for_worker(tx, worker_id)


async def set_bank_account(
    tx: Transaction,
    worker_id: str,
    typed: Typed,
    *,
    actor: str,
    seal: Callable[[str], str],
    hold_hours: int = 0,
) -> None:
    """Raises Invalid with every field that is wrong, NotFound. `seal` is the hub's `Sealer.seal`."""
    account = checked(typed)
    worker = await workers.locked(tx, worker_id)
    usable_at = await _usable_at(tx, worker, hold_hours)
    await accounts.put(tx, worker_id, account, usable_at=usable_at, seal=seal, actor=actor)
    await retry_for_worker(tx, worker_id)


async def remove_bank_account(tx: Transaction, worker_id: str, *, actor: str, hold_hours: int = 0) -> None:
    """Harmless when there is none. Raises NotFound."""
    worker = await workers.locked(tx, worker_id)
    trusted_at = await _usable_at(tx, worker, hold_hours)
    await accounts.remove(tx, worker_id, trusted_at=trusted_at, actor=actor)


async def read_invoice(addresses: PayoutAddress, text: str, payout: Payout) -> Invoice:
    """The pasted text as an invoice for exactly this payout. Outside any transaction. Raises Invalid, in words for the
    worker."""
    try:
        invoice = await addresses.own_invoice(text, amount_msat=payout.amount_msat)
    except Rejected as error:
        raise _bad_invoice(error.code, error.message) from error
    if invoice.expires_at_ms < clock.now_ms() + LEAST_LIFE_MS:
        raise _bad_invoice(
            "short_invoice",
            "this invoice runs out within five minutes; make one that lives for an hour or longer",
        )
    return invoice


async def set_invoice(
    tx: Transaction, worker_id: str, payout_id: str, invoice: Invoice | None, *, actor: str
) -> None:
    """This payout goes to the worker's own invoice; with None to their address again. Raises NotFound for somebody
    else's, Conflict when it is on its way or paid (a second invoice would be a second payment), or while a changed
    payout address waits."""
    payout = await own_payout(tx, worker_id, payout_id)
    where = await where_of(tx.session, worker_id)
    changing = where.changes_until
    if invoice and changing and not where.takes_invoices(clock.from_ms(await tx.now_ms())):
        raise Conflict(
            "address_hold",
            f"Where you are paid was changed; until {hold.until(changing)} no invoice is taken",
        )
    payout.invoice = None if invoice is None else invoice.bolt11
    await tx.session.flush()
    await record(
        tx,
        actor=actor,
        action="payout.invoice_given" if invoice else "payout.invoice_taken_away",
        subject=payout_id,
        payment_hash=invoice.payment_hash if invoice else None,
    )
    await retry(tx, payout_id, actor=actor)


async def own_payout(tx: Transaction, worker_id: str, payout_id: str) -> Payout:
    """The worker's payout, locked, that is owed and has no living attempt. Raises NotFound, Conflict."""
    case = await load(tx.session, payout_id, lock=True)
    if case.payout.worker_id != worker_id:
        raise NotFound("payout_not_found", "There is no such payout", payout=payout_id)
    if case.state in IN_CLEARING:
        raise Conflict(
            "payout_on_its_way", "This payout is on its way; wait until it has arrived or come back"
        )
    if case.state not in OWED:
        raise Conflict("payout_not_owed", "This payout needs no invoice", state=str(case.state))
    return case.payout


async def _usable_at(tx: Transaction, worker: Worker, hold_hours: int) -> datetime:
    """Test money waits for nobody."""
    had = worker.payout_address is not None or worker.payout_address_usable_at is not None
    return hold.usable_at(
        clock.from_ms(await tx.now_ms()),
        hold_hours=0 if worker.environment == Environment.TEST else hold_hours,
        first=not had and not await ever_had_account(tx.session, worker.id),
    )


def _bad_invoice(code: str, why: str) -> Invalid:
    sentence = why[:1].upper() + why[1:]
    return Invalid(code, sentence, field_errors={"invoice": sentence})
