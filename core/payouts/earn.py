"""What the workers of a task have earned becomes debts of ours and payouts, in the transaction of `verified`. Dollars
without a rate wait as EARNED, their money still reserved for the task; `convert.py` goes on when there is a rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from core import clock, ids
from core.billing import spread
from core.billing.actions import charge, lock_reservation, set_reserved
from core.billing.plans import Plan
from core.db.base import binder
from core.db.compare_and_set import move
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.errors import Conflict
from core.ledger import accounts
from core.ledger.accounts import Account
from core.ledger.post import Transfer, balances, post
from core.money import MSAT_PER_SAT, Currency, to_msat
from core.payouts.states import TRANSITIONS, PayoutState
from core.payouts.tables import Payout
from core.rates.model import Rate
from core.tasks.tables import Task

ANSWER = "answer"
APPEAL = "appeal"  # of an answer that was refused wrongly: paid by the hub, whose mistake it was


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
    """`earn_all` for a task that one worker has answered. None when the task pays nothing."""
    return next(iter(await earn_all(tx, task, [worker_id], plan, rate)), None)


async def earn_all(
    tx: Transaction, task: Task, worker_ids: Sequence[str], plan: Plan, rate: Rate | None
) -> list[Payout]:
    """Each worker has earned the task's payout: dollars become whole satoshis at `rate`, which is kept with the payout;
    satoshis and bitcoin stay what they are. Charges the organisation as well (see `billing.charge`): afterwards nothing
    is reserved for the task. Emits `payout.reserved` for each. Nobody is paid when the task pays nothing.

    Dollars without a rate are EARNED and nothing else: all stays reserved. Emits `payout.earned`.
    Raises Conflict when one of them has been paid for this task; the database refuses a payout for a worker whose
    answer to the task has no passed verification (`core/db/payout_guard.py`)."""
    if task.payout_amount <= 0 or not worker_ids:
        await _charge(tx, task, worker_ids, plan, 0)
        return []
    if rate is None and task.payout_currency == Currency.USD:
        waiting = [await _write(tx, task, one, PayoutState.EARNED) for one in worker_ids]
        for payout in waiting:
            tx.emit("payout.earned", payout.id, queue="money")
        return waiting
    payout_msat = _worth(task, rate)
    spreads = _spread_out(await _charge(tx, task, worker_ids, plan, payout_msat), len(worker_ids))
    made: list[Payout] = []
    for worker_id, spread_msat in zip(worker_ids, spreads, strict=True):
        payout = await _write(
            tx,
            task,
            worker_id,
            PayoutState.RESERVED,
            rate=rate,
            payout_msat=payout_msat,
            spread_msat=spread_msat,
        )
        await _owe(tx, task, payout)
        made.append(payout)
    return made


async def earn_upheld(tx: Transaction, task: Task, worker_id: str, rate: Rate | None) -> Payout | None:
    """A refused answer was right after all: its worker gets the task's payout from the hub's own money; neither the
    asker's reservation nor their balance is touched. Otherwise as `earn`."""
    if task.payout_amount <= 0:
        return None
    if rate is None and task.payout_currency == Currency.USD:
        payout = await _write(tx, task, worker_id, PayoutState.EARNED, reason=APPEAL)
        tx.emit("payout.earned", payout.id, queue="money")
        return payout
    payout_msat = _worth(task, rate)
    payout = await _write(
        tx, task, worker_id, PayoutState.RESERVED, reason=APPEAL, rate=rate, payout_msat=payout_msat
    )
    await _owe(tx, task, payout)
    return payout


async def convert_earned(tx: Transaction, task: Task, payout: Payout, plan: Plan, rate: Rate) -> None:
    """EARNED -> RESERVED: what `earn_all` does when a rate is at hand, for a payout that waited for one, and with it for
    all that wait for the same task: it is charged once. Raises Conflict when the payout is not EARNED any more."""
    together = [payout, *await _waiting_beside(tx, payout)]
    payout_msat = _worth(task, rate)
    spread_msat = 0
    if payout.reason != APPEAL:
        workers = [one.worker_id for one in together]
        spread_msat = await _charge(tx, task, workers, plan, payout_msat)
    spreads = _spread_out(spread_msat, len(together))
    for one, spread_msat in zip(together, spreads, strict=True):
        await move(
            tx,
            one,
            PayoutState.RESERVED,
            table=TRANSITIONS,
            amount_msat=payout_msat,
            spread_msat=spread_msat,
            usd_per_btc=rate.usd_per_btc,
            rate_source=rate.source,
            rate_at=clock.from_ms(rate.at_ms),
            rate_samples=_samples(rate),
        )
        await _owe(tx, task, one)


async def _waiting_beside(tx: Transaction, payout: Payout) -> list[Payout]:
    """The payouts of the same task that wait for a rate as well."""
    if payout.reason == APPEAL:
        return []
    statement = select(Payout).where(
        Payout.task_id == payout.task_id,
        Payout.state == str(PayoutState.EARNED),
        Payout.reason == payout.reason,
        Payout.id != payout.id,
    )
    return list(await tx.session.scalars(statement.order_by(Payout.id)))


def _spread_out(amount_msat: int, parts: int) -> list[int]:
    """One amount in `parts` that sum to it, the first of them taking what does not divide."""
    each, left = divmod(amount_msat, parts)
    return [each + left, *([each] * (parts - 1))]


def _worth(task: Task, rate: Rate | None) -> int:
    """In msat; at least a satoshi, since creation refuses less and only the rate can have made it so."""
    worth_msat = to_msat(
        task.payout_amount, Currency(task.payout_currency), rate.usd_per_btc if rate else None
    )
    return max(worth_msat, MSAT_PER_SAT)


async def _charge(
    tx: Transaction, task: Task, worker_ids: Sequence[str], plan: Plan, payout_msat: int
) -> int:
    """Takes spread and fee from the reservation; what the payouts (`payout_msat` each) do not need goes back. Gives the
    spread in msat."""
    held_msat = await lock_reservation(tx, task)
    # All at once and in order, before the postings take them piece by piece.
    touched = (
        accounts.prefund(task.organisation_id, task.environment),
        accounts.reserved(task.organisation_id, task.environment),
        accounts.exchange(task.environment),
        accounts.fees(task.environment),
        accounts.spread(task.environment),
        *(accounts.payable(worker_id) for worker_id in worker_ids),
    )
    await balances(tx, sorted(account.id for account in touched))
    spread_msat = await spread.take(tx, task, payout_msat, len(worker_ids), held_msat)
    await charge(tx, task, plan, payout_msat * len(worker_ids), held_msat=held_msat - spread_msat)
    return spread_msat


async def _owe(tx: Transaction, task: Task, payout: Payout) -> None:
    """The payout becomes a debt to its worker, paid by whom `cover` says."""
    prefund = accounts.prefund(task.organisation_id, task.environment)
    reserved = accounts.reserved(task.organisation_id, task.environment)
    payable = accounts.payable(payout.worker_id)
    if payout.reason == APPEAL:
        shares = Shares(reserved_msat=0, prefund_msat=0, exchange_msat=payout.amount_msat)
    else:
        lacks = payout.amount_msat > task.reserved_msat  # else the balance is not asked
        held = await balances(tx, [prefund.id]) if lacks else {}
        shares = cover(
            payout.amount_msat, reserved_msat=task.reserved_msat, prefund_msat=held.get(prefund.id, 0)
        )
    await post(
        tx,
        [
            _earned(payout, "", reserved, payable, shares.reserved_msat),
            _earned(payout, ":balance", prefund, payable, shares.prefund_msat),
            _earned(payout, ":exchange", accounts.exchange(task.environment), payable, shares.exchange_msat),
        ],
    )
    if shares.reserved_msat:
        await set_reserved(tx, task, task.reserved_msat - shares.reserved_msat)
    tx.emit("payout.reserved", payout.id, queue="money")


async def _write(
    tx: Transaction,
    task: Task,
    worker_id: str,
    state: PayoutState,
    *,
    reason: str = ANSWER,
    rate: Rate | None = None,
    payout_msat: int = 0,
    spread_msat: int = 0,
) -> Payout:
    """Written; the session does not watch it."""
    values: dict[str, Any] = {
        "id": ids.new("pay"),
        "task_id": task.id,
        "worker_id": worker_id,
        "organisation_id": task.organisation_id,
        "environment": task.environment,
        "reason": reason,
        "state": str(state),
        "amount": task.payout_amount,
        "currency": task.payout_currency,
        "amount_msat": payout_msat,
        "spread_msat": spread_msat,
        "usd_per_btc": rate.usd_per_btc if rate else None,
        "rate_source": rate.source if rate else None,
        "rate_at": clock.from_ms(rate.at_ms) if rate else None,
        "rate_samples": _samples(rate) if rate else None,
        "created_at": clock.from_ms(await tx.now_ms()),
    }
    if tx.session.new or tx.session.dirty:
        await tx.session.flush()
    try:
        await tx.execute(
            for_dialect(_INSERT, tx.dialect), tuple(bind(values[name]) for name, bind in _WRITTEN.items())
        )
    except IntegrityError as error:
        if "no payout without" in str(error.orig):  # the guard of migration 05: a fault of ours
            raise
        raise Conflict(
            "already_earned", "The worker has a payout for this task", task=values["task_id"]
        ) from error
    return Payout(**values)


# The columns that are known when it is earned, with what makes a driver's value of each; the others have their defaults.
_COLUMNS = [
    "id",
    "task_id",
    "worker_id",
    "organisation_id",
    "environment",
    "reason",
    "state",
    "amount",
    "currency",
    "amount_msat",
    "spread_msat",
    "usd_per_btc",
    "rate_source",
    "rate_at",
    "rate_samples",
    "created_at",
]
_WRITTEN = {name: binder(Payout.__table__.columns[name].type) for name in _COLUMNS}
_INSERT = f"INSERT INTO payouts ({', '.join(_WRITTEN)}) VALUES ({', '.join(f'${n}' for n in range(1, len(_WRITTEN) + 1))})"  # noqa: S608 - names of ours


def _samples(rate: Rate) -> list[dict[str, object]] | None:
    return msgspec.to_builtins(rate.samples) if rate.samples else None


def _earned(payout: Payout, part: str, debit: Account, credit: Account, amount_msat: int) -> Transfer:
    return Transfer(
        id=f"payout:{payout.id}:earn{part}",
        debit=debit,
        credit=credit,
        amount_msat=amount_msat,
        kind="earn",
        subject=payout.id,
    )
