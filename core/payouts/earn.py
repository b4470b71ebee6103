"""What a worker has earned becomes a debt of ours and a payout, in the transaction of `verified`."""

from __future__ import annotations

import msgspec
from sqlalchemy.exc import IntegrityError

from core import clock, ids
from core.billing.actions import charge, lock_reservation, set_reserved
from core.billing.plans import Plan
from core.db.unit_of_work import Transaction
from core.errors import Conflict, Retryable
from core.ledger import accounts
from core.ledger.accounts import Account
from core.ledger.post import Transfer, balances, post
from core.money import Currency, to_msat
from core.payouts.states import PayoutState
from core.payouts.tables import Payout
from core.rates.model import Rate
from core.tasks.tables import Task

ANSWER = "answer"


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """Who pays for one payout, in msat."""

    reserved_msat: int
    prefund_msat: int
    exchange_msat: int


def cover(payout_msat: int, *, reserved_msat: int, prefund_msat: int) -> Shares:
    """The reservation pays. What it lacks because the rate moved comes from the organisation's balance as far as that
    reaches, and the rest from the hub's exchange account: the worker gets what was promised, in any case."""
    from_reserved = min(payout_msat, reserved_msat)
    from_prefund = min(payout_msat - from_reserved, max(prefund_msat, 0))
    return Shares(
        reserved_msat=from_reserved,
        prefund_msat=from_prefund,
        exchange_msat=payout_msat - from_reserved - from_prefund,
    )


async def earn(tx: Transaction, task: Task, worker_id: str, plan: Plan, rate: Rate | None) -> Payout | None:
    """The worker has earned the task's payout: dollars become whole satoshis at `rate`, which is kept with the payout;
    satoshis and bitcoin stay what they are. Charges the organisation as well (see `billing.charge`): afterwards nothing
    is reserved for the task. Emits `payout.reserved`. None when the task pays nothing.

    Raises Conflict when the worker has been paid for this task, Retryable for dollars without a rate."""
    currency = Currency(task.payout_currency)
    if rate is None and currency is Currency.USD:
        raise Retryable("no_rate", "There is no rate to turn dollars into satoshis")
    payout_msat = to_msat(task.payout_amount, currency, rate.usd_per_btc if rate else None)
    await lock_reservation(tx, task)
    prefund = accounts.prefund(task.organisation_id, task.environment)
    reserved = accounts.reserved(task.organisation_id, task.environment)
    exchange, fees = accounts.exchange(task.environment), accounts.fees(task.environment)
    payable = accounts.payable(worker_id)
    # All at once and in order, before the two postings below take them piece by piece.
    await balances(tx, sorted(account.id for account in (prefund, reserved, exchange, fees, payable)))
    await charge(tx, task, plan, payout_msat)
    if payout_msat == 0:
        return None
    held = await balances(tx, [prefund.id])
    shares = cover(payout_msat, reserved_msat=task.reserved_msat, prefund_msat=held.get(prefund.id, 0))
    payout = await _write(tx, task, worker_id, payout_msat, rate)
    await post(
        tx,
        [
            _earned(payout, "", reserved, payable, shares.reserved_msat),
            _earned(payout, ":balance", prefund, payable, shares.prefund_msat),
            _earned(payout, ":exchange", exchange, payable, shares.exchange_msat),
        ],
    )
    await set_reserved(tx, task, task.reserved_msat - shares.reserved_msat)
    tx.emit("payout.reserved", payout.id, queue="money")
    return payout


async def _write(tx: Transaction, task: Task, worker_id: str, payout_msat: int, rate: Rate | None) -> Payout:
    task_id = task.id  # a failed flush takes the loaded task away
    payout = Payout(
        id=ids.new("pay"),
        task_id=task_id,
        worker_id=worker_id,
        organisation_id=task.organisation_id,
        environment=task.environment,
        reason=ANSWER,
        state=str(PayoutState.RESERVED),
        amount=task.payout_amount,
        currency=task.payout_currency,
        amount_msat=payout_msat,
        usd_per_btc=rate.usd_per_btc if rate else None,
        rate_source=rate.source if rate else None,
        rate_at=clock.from_ms(rate.at_ms) if rate else None,
        created_at=clock.from_ms(await tx.now_ms()),
    )
    tx.session.add(payout)
    try:
        await tx.session.flush()
    except IntegrityError as error:
        raise Conflict("already_earned", "The worker has a payout for this task", task=task_id) from error
    return payout


def _earned(payout: Payout, part: str, debit: Account, credit: Account, amount_msat: int) -> Transfer:
    return Transfer(
        id=f"payout:{payout.id}:earn{part}",
        debit=debit,
        credit=credit,
        amount_msat=amount_msat,
        kind="earn",
        subject=payout.id,
    )
