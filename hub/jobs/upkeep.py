"""Once a day: forget old answers of idempotency keys, ended sessions, old rates, done jobs and the reasons of
old offers. Topic `hub.upkeep`."""

from __future__ import annotations

from core.access import sessions
from core.billing import monthly
from core.db.unit_of_work import UnitOfWork
from core.intake import quarantine
from core.outbox import upkeep
from core.outbox.rows import Lease
from core.rates import records as rates
from core.routing import decisions
from core.routing.model import Policy
from core.tasks.forget import forget_answers
from core.verification.anomaly import review


async def run(work: UnitOfWork, lease: Lease, policy: Policy) -> None:
    async with work.fenced(lease, "upkeep.purge") as tx:
        await forget_answers(tx)
        await sessions.purge(tx)
        await quarantine.forget_old(tx)
        await rates.forget_old(tx)
    gone = upkeep.BATCH
    while gone == upkeep.BATCH:
        async with work.fenced(lease, "upkeep.purge") as tx:
            gone = await upkeep.purge_done(tx)
    gone = decisions.FORGET_AT_ONCE
    while gone == decisions.FORGET_AT_ONCE:
        async with work.fenced(lease, "upkeep.purge") as tx:
            gone = await decisions.forget_old(tx, policy)
    async with work.finishing(lease, "upkeep.schedule") as tx:
        await upkeep.schedule(tx, in_days=1)


async def start(work: UnitOfWork) -> None:
    """Called by every worker that starts: today's slot, and this month's, exist once, whoever is first."""
    async with work.begin("upkeep.schedule") as tx:
        await upkeep.schedule(tx, in_days=0)
        await review.schedule(tx, slots=0)
        monthly.schedule(tx, await tx.now_ms(), ahead=0)
