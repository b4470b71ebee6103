"""A payout in dollars that was earned while there was no rate: turned into satoshis as soon as there is one. Topic
`payout.earned`, whose subject is the payout."""

from __future__ import annotations

from collections.abc import Callable

from core.access.tables import Organisation
from core.billing.plans import Plans
from core.db.unit_of_work import UnitOfWork
from core.errors import Retryable
from core.outbox.rows import Lease
from core.payouts.earn import convert_earned
from core.payouts.states import PayoutState
from core.payouts.tables import Payout
from core.rates.model import Rate
from core.tasks.tables import Task

AGAIN_SECONDS = 30  # as often as the sources are asked


async def convert(work: UnitOfWork, lease: Lease, plans: Plans, rate_of: Callable[[], Rate]) -> PayoutState:
    """EARNED -> RESERVED at today's rate, charged as `earn` does. Gives the payout's state; one that is converted
    already stays as it is. Raises Retryable while there is no rate: money waits for as long as it takes."""
    try:
        rate = rate_of()
    except Retryable as error:
        raise Retryable(error.code, error.message, after=AGAIN_SECONDS) from error
    async with work.finishing(lease, "payouts.convert") as tx:
        payout = await tx.session.get_one(Payout, lease.subject)
        if payout.state == PayoutState.EARNED:
            task = await tx.session.get_one(Task, payout.task_id)
            organisation = await tx.session.get_one(Organisation, payout.organisation_id)
            await convert_earned(tx, task, payout, plans.get(organisation.plan), rate)
        return PayoutState(payout.state)
