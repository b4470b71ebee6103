"""RESERVED -> READY: from what a worker is owed to an invoice, committed with rail, hash, amount and fee limit before
anything is sent. The invoice is fetched outside any transaction."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

import msgspec
from sqlalchemy import case, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, crash, ids
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction, UnitOfWork, refuse_open_transaction
from core.errors import Misconfigured, Rejected, Retryable
from core.ledger import accounts
from core.ledger.post import balances, post
from core.outbox.rows import Lease
from core.payouts.case import Case, held_amount, held_fee, load
from core.payouts.limits import DAY_MS, PayoutLimits, Sent, hold, max_fee_msat
from core.payouts.rail import Capabilities, Invoice, PayoutAddress, Quoting, Rail, Target
from core.payouts.states import IN_CLEARING, PAID, TRANSITIONS, PayoutState
from core.payouts.tables import Payout, PayoutAttempt
from core.payouts.target import Resolved, resolve
from core.tasks.model import Environment
from core.workers.tables import Worker

log = logging.getLogger(__name__)

LEAST_LEFT_MS = 30_000  # an invoice must live at least so long, else it may end on its way


def choose_rail(rails: Mapping[str, Rail], environment: str, failed_attempts: int) -> Rail:
    """Of the configured rails, in their order, the next one after each attempt that failed for good. Test money never
    goes over a rail with real money. Raises Misconfigured when there is none."""
    fit = [
        rail for rail in rails.values() if environment != Environment.TEST or not rail.capabilities.real_money
    ]
    if not fit:
        raise Misconfigured("no_rail", f"No rail may pay in the {environment} environment; see rails.use")
    return fit[failed_attempts % len(fit)]


def check_invoice(invoice: Invoice, *, amount_msat: int, rail: Capabilities, now_ms: int) -> None:
    """What is committed must be what is owed (a payment in whole cents may be a little less). Raises Rejected for another
    amount, network or a hash that is none, Retryable for an invoice that is about to end."""
    pays_bank = rail.pays is Target.BANK
    if invoice.amount_msat > amount_msat or (invoice.amount_msat < amount_msat and not pays_bank):
        raise Rejected("other_amount", "The invoice asks for another amount")
    if not re.fullmatch(r"[0-9a-f]{64}", invoice.payment_hash):
        raise Rejected("bad_hash", "The invoice has no payment hash")
    if not pays_bank and not re.match(rf"ln{rail.network}(\d+[munp]?)?1", invoice.bolt11.lower()):
        raise Rejected("other_network", f"The invoice is not for the network {rail.network}")
    if invoice.expires_at_ms < now_ms + LEAST_LEFT_MS:
        raise Retryable("invoice_ends", "The invoice ends too soon; ask for a new one", after=5)


async def prepare(
    work: UnitOfWork,
    lease: Lease,
    rails: Mapping[str, Rail],
    addresses: PayoutAddress,
    limits: PayoutLimits,
) -> bool:
    """True when the payout is READY by this call; False when it waits for the worker's address, or is not RESERVED any
    more. Raises Retryable while a limit holds it, Rejected when the address cannot be paid, Misconfigured."""
    async with work.read() as session:
        before = await load(session, lease.subject)
        worker = await session.get_one(Worker, before.payout.worker_id)
        _hold(limits, before.payout, await sent_lately(session, before.payout, clock.now_ms()))
    failed = before.attempt.number if before.attempt else 0
    rail = choose_rail(rails, before.payout.environment, failed)
    crash.reach("rail.resolve:before")
    resolved = await resolve(before.payout, worker, rail, addresses)
    crash.reach("rail.resolve:after")
    if resolved is None:
        log.info("payout %s waits for an address of worker %s", before.payout.id, worker.id)
        return False
    resolved = await _quoted(rail, resolved)
    async with work.fenced(lease, "payouts.prepare") as tx:
        check_invoice(
            resolved.invoice,
            amount_msat=before.payout.amount_msat,
            rail=rail.capabilities,
            now_ms=await tx.now_ms(),
        )
        return await _commit(tx, lease.subject, rail, resolved, limits)


async def _quoted(rail: Rail, resolved: Resolved) -> Resolved:
    """With the rail's own name for the payment, on a rail that names one before it makes it."""
    if not isinstance(rail, Quoting):
        return resolved
    refuse_open_transaction()
    invoice = resolved.invoice
    quote = await rail.quote(invoice, max_fee_msat=max_fee_msat(invoice.amount_msat))
    ends = min(invoice.expires_at_ms, quote.valid_until_ms or invoice.expires_at_ms)
    named = msgspec.structs.replace(invoice, reference=quote.reference, expires_at_ms=ends)
    return msgspec.structs.replace(resolved, invoice=named)


async def sent_lately(session: AsyncSession, payout: Payout, now_ms: int) -> Sent:
    """What left or is about to leave in this environment, by attempts made in the last 24 hours. Their ids sort by
    time, so it reads that range of the primary key."""
    since = f"att_{now_ms - DAY_MS:012x}"  # the first 48 bits of an id are its milliseconds, see core/ids.py
    mine = case((Payout.worker_id == payout.worker_id, PayoutAttempt.amount_msat), else_=0)
    row = (
        await session.execute(
            select(func.coalesce(func.sum(mine), 0), func.coalesce(func.sum(PayoutAttempt.amount_msat), 0))
            .join(Payout, Payout.id == PayoutAttempt.payout_id)
            .where(
                PayoutAttempt.id >= since,
                PayoutAttempt.state.in_(sorted(IN_CLEARING | PAID)),
                Payout.environment == payout.environment,
            )
        )
    ).one()
    return Sent(worker_msat=int(row[0]), hub_msat=int(row[1]))


async def _commit(
    tx: Transaction, payout_id: str, rail: Rail, resolved: Resolved, limits: PayoutLimits
) -> bool:
    found = await load(tx.session, payout_id, lock=True)
    payout = found.payout
    if found.state is not PayoutState.RESERVED:
        return False
    # The lock on clearing makes two preparations count one after the other: together they cannot pass a limit.
    await balances(
        tx, sorted([accounts.clearing(payout.environment).id, accounts.payable(payout.worker_id).id])
    )
    _hold(limits, payout, await sent_lately(tx.session, payout, await tx.now_ms()))
    number = found.attempt.number + 1 if found.attempt else 1
    attempt = await _write_attempt(tx, found, number, rail, resolved)
    await move(tx, payout, PayoutState.READY, table=TRANSITIONS, rail=rail.name)
    await post(tx, [held_amount(payout, attempt), held_fee(payout, attempt)])
    return True


async def _write_attempt(
    tx: Transaction, found: Case, number: int, rail: Rail, resolved: Resolved
) -> PayoutAttempt:
    """Raises Retryable when the payment hash was ever used before: a wallet that repeats an invoice would be paid
    once for two debts."""
    invoice = resolved.invoice
    attempt = PayoutAttempt(
        id=ids.new("att"),
        payout_id=found.payout.id,
        number=number,
        state=str(PayoutState.READY),
        rail=rail.name,
        address=resolved.address,
        invoice=invoice.bolt11,
        payment_hash=invoice.payment_hash,
        amount_msat=invoice.amount_msat,
        max_fee_msat=max_fee_msat(invoice.amount_msat),
        expires_at=clock.from_ms(invoice.expires_at_ms),
        reference=invoice.reference,
        cents=invoice.cents,
        bank_account_id=resolved.bank_account_id,
        created_at=clock.from_ms(await tx.now_ms()),
    )
    tx.session.add(attempt)
    try:
        await tx.session.flush()
    except IntegrityError as error:
        raise Retryable(
            "payment_hash_used", "The wallet gave an invoice that was used before", after=60
        ) from error
    return attempt


def _hold(limits: PayoutLimits, payout: Payout, sent: Sent) -> None:
    held = hold(limits, payout.amount_msat, sent)
    if held is not None:
        log.warning("payout %s waits: %s", payout.id, held.reason)
        raise Retryable(held.code, held.reason, after=held.after)
