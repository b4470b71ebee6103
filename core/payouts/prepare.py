"""RESERVED -> READY: from what a worker is owed to an invoice, committed with rail, hash, amount and fee limit before
anything is sent. The rail is chosen by `order.py`; invoice, quote and balance are asked outside any transaction."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

import msgspec
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, crash, ids
from core.access.tables import Organisation, Person
from core.bank.queries import account_of
from core.bank.tables import BankAccountRow
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction, UnitOfWork, refuse_open_transaction
from core.errors import Rejected, Retryable
from core.ledger import accounts
from core.ledger.post import balances, post
from core.outbox.rows import Lease
from core.payouts import holds
from core.payouts.alarms import low_rails
from core.payouts.case import Case, held_amount, held_fee, load, rails_tried
from core.payouts.controls import Stops, stops
from core.payouts.lately import sent_lately
from core.payouts.limits import Held, PayoutLimits, hold, max_fee_msat
from core.payouts.order import Orders, fitting, next_first, reachable
from core.payouts.rail import Capabilities, Funded, Invoice, PayoutAddress, Quoting, Rail, Target
from core.payouts.states import TRANSITIONS, PayoutState
from core.payouts.tables import Payout, PayoutAttempt
from core.payouts.target import Dollars, Resolved, resolve, still_meant
from core.workers.tables import Worker

log = logging.getLogger(__name__)

LEAST_LEFT_MS = 30_000  # an invoice must live at least so long, else it may end on its way
ADDRESS_AGAIN_SECONDS = 6 * 3600  # a wallet may come back by itself; a new address goes on at once
NO_RAIL_AGAIN_SECONDS = 300
CLOCK_AGAIN_SECONDS = 300
# Why a fresh invoice of a wallet is refused when a clock is wrong, theirs or ours; it will be set right.
_BY_THE_CLOCK = ("short_invoice", "future_invoice")


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine pays with: the configured rails in their order, where workers are paid, the operator's choice of
    rails, and what a payment to a bank needs (None: no rail pays banks)."""

    rails: Mapping[str, Rail]
    addresses: PayoutAddress
    orders: Orders = Orders()
    dollars: Dollars | None = None


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """A payout as it was read before anything was asked. `rails`: those that may carry it, the next one first. `low`:
    names of rails whose balance is known to be small, or on which an attempt has failed."""

    payout: Payout
    worker: Worker
    account: BankAccountRow | None
    rails: list[Rail]
    stops: Stops
    low: frozenset[str]


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What is about to be committed."""

    rail: Rail
    resolved: Resolved


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


async def prepare(work: UnitOfWork, lease: Lease, means: Means, limits: PayoutLimits) -> bool:
    """True when the payout is READY by this call; False when it is held, waits for the worker's address, or is not
    RESERVED any more. Raises Retryable, with the words that the worker reads, while a limit, a control, the balance or an address
    that cannot be paid holds it; Misconfigured."""
    async with work.read() as session:
        if await holds.held(session, lease.subject):
            log.info("payout %s waits until somebody has looked", lease.subject)
            return False
        owed = await _read(session, lease.subject, means, limits)
    if owed is None:
        log.info("payout %s waits for something to pay to", lease.subject)
        return False
    ready = await _choose(owed, means, limits)
    if ready is None:
        log.info("payout %s waits for an address of worker %s", owed.payout.id, owed.worker.id)
        return False
    async with work.fenced(lease, "payouts.prepare") as tx:
        return await _commit(tx, lease.subject, ready, limits)


async def _read(session: AsyncSession, payout_id: str, means: Means, limits: PayoutLimits) -> Owed | None:
    """None while no rail of its order pays to anything that the worker has."""
    case = await load(session, payout_id)
    payout = case.payout
    now_ms = clock.now_ms()
    held = await stops(session, now_ms)
    _hold(limits, payout, hold(limits, payout.amount_msat, await sent_lately(session, payout, now_ms)), held)
    worker = await session.get_one(Worker, payout.worker_id)
    account = await account_of(session, worker.id)
    failed = await rails_tried(session, payout.id)  # each of them for good, or this payout would not be owed
    fit = fitting(await _order(session, payout, means), means.rails, payout.environment)
    by_name = {rail.name: rail for rail in reachable(fit, _targets(payout, worker, account))}
    if not by_name:
        return None
    names = next_first(list(by_name), failed, limits.attempts_per_rail)
    return Owed(
        payout=payout,
        worker=worker,
        account=account,
        rails=[by_name[name] for name in names],
        stops=held,
        low=frozenset(failed) | await low_rails(session),
    )


def _targets(payout: Payout, worker: Worker, account: BankAccountRow | None) -> set[Target]:
    targets: set[Target] = set()
    if payout.invoice is not None or worker.payout_address is not None:
        targets.add(Target.INVOICE)
    if account is not None:
        targets.add(Target.BANK)
    return targets


async def _order(session: AsyncSession, payout: Payout, means: Means) -> list[str]:
    orders, email, plan = means.orders, "", ""
    if orders.workers:
        email = (await session.get_one(Person, payout.worker_id)).email or ""
    if orders.plans:
        plan = (await session.get_one(Organisation, payout.organisation_id)).plan
    return orders.of(worker_id=payout.worker_id, email=email, plan=plan, use=means.rails)


async def _choose(owed: Owed, means: Means, limits: PayoutLimits) -> Ready | None:
    """The first rail that takes it now. A rail that is stopped, too poor, or refuses to quote is passed over without an
    attempt; when all are, the payout waits and begins anew. A rail that does not answer is waited for."""
    why_not: list[str] = []
    for rail in owed.rails:
        stopped = owed.stops.rails.get(rail.name) or await _too_poor(owed, rail, limits)
        if stopped:
            why_not.append(stopped)
            continue
        try:
            resolved = await _resolved(owed, rail, means)
            if resolved is None:
                return None
            return Ready(rail=rail, resolved=await _quoted(rail, resolved, limits))
        except Rejected as error:
            why_not.append(f"rail {rail.name} refuses: {error.message}")
    reason = f"No rail takes this payout now: {'; '.join(why_not)}"
    log.warning("payout %s waits: %s", owed.payout.id, reason)
    raise Retryable("no_rail_now", reason, after=NO_RAIL_AGAIN_SECONDS)


async def _resolved(owed: Owed, rail: Rail, means: Means) -> Resolved | None:
    """Raises Retryable with the wallet's words when the address cannot be paid: no dead letter, the payout waits for a
    new address (`actions.retry_for_worker`), and asks again a few times a day."""
    crash.reach("rail.resolve:before")
    try:
        resolved = await resolve(
            owed.payout, owed.worker, rail, means.addresses, account=owed.account, dollars=means.dollars
        )
        if resolved is not None:
            check_invoice(
                resolved.invoice,
                amount_msat=owed.payout.amount_msat,
                rail=rail.capabilities,
                now_ms=clock.now_ms(),
            )
    except Rejected as error:
        if rail.capabilities.pays is Target.BANK:  # says something about the amount and this rail alone
            raise
        log.warning("payout %s: the address cannot be paid: %s", owed.payout.id, error.message)
        soon = error.code in _BY_THE_CLOCK and owed.payout.invoice is None
        after = CLOCK_AGAIN_SECONDS if soon else ADDRESS_AGAIN_SECONDS
        raise Retryable("address_refused", error.message, after=after) from error
    crash.reach("rail.resolve:after")
    return resolved


async def _too_poor(owed: Owed, rail: Rail, limits: PayoutLimits) -> str | None:
    """In words, when the rail cannot send that much now. Asked only when there is reason for doubt: a call for every
    payout would double what a rail is asked. Raises Retryable when the rail does not answer."""
    if rail.name not in owed.low or not isinstance(rail, Funded):
        return None
    refuse_open_transaction()
    wanted = owed.payout.amount_msat + max_fee_msat(owed.payout.amount_msat, limits)
    has = await rail.balance_msat()
    return None if has >= wanted else f"rail {rail.name} has {has} msat and needs {wanted}"


async def _quoted(rail: Rail, resolved: Resolved, limits: PayoutLimits) -> Resolved:
    """With the rail's own name for the payment, on a rail that names one before it makes it."""
    if not isinstance(rail, Quoting):
        return resolved
    refuse_open_transaction()
    invoice = resolved.invoice
    quote = await rail.quote(invoice, max_fee_msat=max_fee_msat(invoice.amount_msat, limits))
    ends = min(invoice.expires_at_ms, quote.valid_until_ms or invoice.expires_at_ms)
    named = msgspec.structs.replace(invoice, reference=quote.reference, expires_at_ms=ends)
    return msgspec.structs.replace(resolved, invoice=named)


async def _commit(tx: Transaction, payout_id: str, ready: Ready, limits: PayoutLimits) -> bool:
    found = await load(tx.session, payout_id, lock=True)
    payout = found.payout
    if found.state is not PayoutState.RESERVED or await holds.held(tx.session, payout_id):
        return False
    worker = await tx.session.get_one(Worker, payout.worker_id)
    if not still_meant(ready.resolved, payout, worker, await account_of(tx.session, worker.id)):
        raise Retryable(
            "target_changed", "Where the worker is paid was changed meanwhile; asking anew", after=1
        )
    now_ms = await tx.now_ms()
    check_invoice(
        ready.resolved.invoice,
        amount_msat=payout.amount_msat,
        rail=ready.rail.capabilities,
        now_ms=now_ms,
    )
    # The lock on clearing makes two preparations count one after the other: together they cannot pass a limit.
    touched = [accounts.clearing(payout.environment).id, accounts.payable(payout.worker_id).id]
    await balances(tx, sorted(touched))
    held = await stops(tx.session, now_ms)
    _hold(
        limits, payout, hold(limits, payout.amount_msat, await sent_lately(tx.session, payout, now_ms)), held
    )
    if ready.rail.name in held.rails:
        raise Retryable("rail_paused", held.rails[ready.rail.name], after=1)
    attempt = await _write_attempt(tx, found, ready, limits)
    await move(tx, payout, PayoutState.READY, table=TRANSITIONS, rail=ready.rail.name)
    await post(tx, [held_amount(payout, attempt), held_fee(payout, attempt)])
    return True


async def _write_attempt(tx: Transaction, found: Case, ready: Ready, limits: PayoutLimits) -> PayoutAttempt:
    """Raises Retryable when the payment hash was ever used before: a wallet that repeats an invoice would be paid
    once for two debts."""
    if found.attempt is not None and found.attempt.state != PayoutState.FAILED:
        raise RuntimeError(
            f"{found.payout.id} is owed while attempt {found.attempt.id} is {found.attempt.state}"
        )
    resolved, invoice = ready.resolved, ready.resolved.invoice
    attempt = PayoutAttempt(
        id=ids.new("att"),
        payout_id=found.payout.id,
        number=found.attempt.number + 1 if found.attempt else 1,
        state=str(PayoutState.READY),
        rail=ready.rail.name,
        address=resolved.address,
        invoice=invoice.bolt11,
        payment_hash=invoice.payment_hash,
        amount_msat=invoice.amount_msat,
        max_fee_msat=max_fee_msat(invoice.amount_msat, limits),
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


def _hold(limits: PayoutLimits, payout: Payout, held: Held | None, controls: Stops) -> None:
    if held is None and controls.hub is not None:
        held = Held(code="payouts_paused", reason=controls.hub, after=60)
    if held is not None:
        log.warning("payout %s waits: %s", payout.id, held.reason)
        raise Retryable(held.code, held.reason, after=held.after)
