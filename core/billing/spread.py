"""The spread: what the hub keeps from the organisation for turning a payout in dollars into satoshis
(`rates.spread_percent`). Reserved with the fee, taken when the payout is converted, as a transfer of its own: the rate
itself is never bent. `plans.quote` asks what to reserve, `payouts.earn` takes it."""

from __future__ import annotations

from decimal import Decimal

from core.billing.actions import set_reserved
from core.db.unit_of_work import Transaction
from core.ledger import accounts
from core.ledger.post import Transfer, post
from core.money import ceil_sat
from core.tasks.tables import Task


def owed_msat(promised_msat: int, estimate_msat: int, payout_msat: int) -> int:
    """The spread of a payout of `payout_msat`, when `promised_msat` were reserved for one of `estimate_msat`: the same
    part of it, rounded up to whole satoshis, and never more than was promised."""
    if estimate_msat <= 0:
        return 0
    return min(promised_msat, ceil_sat(Decimal(promised_msat) * payout_msat / estimate_msat))


async def take(tx: Transaction, task: Task, payout_msat: int, payouts: int, held_msat: int) -> int:
    """reserved -> spread, for the task's `payouts`, of `payout_msat` each, that have just been converted. `held_msat` is
    what is reserved for the task, whose row the caller has locked. Gives what was taken, in msat: nothing from a task that
    has nothing reserved."""
    spread_msat = min(held_msat, owed_msat(task.spread_msat, task.payout_msat, payout_msat) * payouts)
    if spread_msat == 0:
        return 0
    transfer = Transfer(
        id=f"task:{task.id}:spread",
        debit=accounts.reserved(task.organisation_id, task.environment),
        credit=accounts.spread(task.environment),
        amount_msat=spread_msat,
        kind="spread",
        subject=task.id,
    )
    await post(tx, [transfer])
    await set_reserved(tx, task, held_msat - spread_msat)
    return spread_msat
