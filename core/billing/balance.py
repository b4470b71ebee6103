"""What an organisation has in one environment: free, committed, and how many tasks wait for more. Read without locks, for
the API and the operator's pages."""

from __future__ import annotations

import msgspec
from sqlalchemy import false, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.ledger import accounts
from core.ledger.tables import LedgerAccount
from core.tasks.states import OPEN
from core.tasks.tables import Task


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """In msat. `tasks_waiting` are open and not funded; nobody is asked before money comes in."""

    available_msat: int
    reserved_msat: int
    tasks_waiting: int


async def balance_of(session: AsyncSession, organisation_id: str, environment: str) -> Balance:
    names = [make(organisation_id, environment).id for make in (accounts.prefund, accounts.reserved)]
    free = LedgerAccount.credits_msat - LedgerAccount.debits_msat
    rows = await session.execute(select(LedgerAccount.id, free).where(LedgerAccount.id.in_(names)))
    held: dict[str, int] = {row[0]: int(row[1]) for row in rows}
    waiting = await session.scalar(
        select(func.count()).where(
            Task.organisation_id == organisation_id,
            Task.environment == str(environment),
            Task.funded == false(),  # as the partial index of waiting tasks has it
            Task.status.in_(sorted(OPEN)),
        )
    )
    return Balance(
        available_msat=held.get(names[0], 0),
        reserved_msat=held.get(names[1], 0),
        tasks_waiting=int(waiting or 0),
    )
