"""Reads of bank accounts and batches, for resolving a payout and for the pages. Nothing here opens what is sealed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.access.tables import Person
from core.bank.tables import BankAccountRow, BankBatch
from core.errors import NotFound
from core.payouts.states import PayoutState
from core.payouts.tables import PayoutAttempt

RAIL = "bank"


class BatchLine(msgspec.Struct, frozen=True, kw_only=True):
    """One payment of a batch as it may be shown: `account` is the label."""

    reference: str
    payout_id: str
    account: str
    cents: int
    state: str


class BatchView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    state: str
    payments: int
    cents: int
    made_by: str
    made_at: datetime
    confirmed_by: str | None
    confirmed_at: datetime | None


async def account_of(session: AsyncSession, worker_id: str) -> BankAccountRow | None:
    """The worker's account in use."""
    return await session.scalar(
        select(BankAccountRow).where(
            BankAccountRow.worker_id == worker_id, BankAccountRow.removed_at.is_(None)
        )
    )


async def ever_had_account(session: AsyncSession, worker_id: str) -> bool:
    found = select(BankAccountRow.id).where(BankAccountRow.worker_id == worker_id).limit(1)
    return await session.scalar(found) is not None


async def accounts(session: AsyncSession, *, after: str = "", limit: int = 100) -> Sequence[BankAccountRow]:
    """Accounts in use, by id."""
    query = select(BankAccountRow).where(BankAccountRow.removed_at.is_(None), BankAccountRow.id > after)
    return (await session.scalars(query.order_by(BankAccountRow.id).limit(limit))).all()


async def waiting(session: AsyncSession) -> Sequence[PayoutAttempt]:
    """Payments that the next batch takes, oldest first."""
    query = select(PayoutAttempt).where(
        PayoutAttempt.rail == RAIL,
        PayoutAttempt.state == str(PayoutState.UNKNOWN),
        PayoutAttempt.batch_id.is_(None),
    )
    return (await session.scalars(query.order_by(PayoutAttempt.id))).all()


async def batches(session: AsyncSession, *, limit: int = 50) -> list[BatchView]:
    """Newest first."""
    rows = await session.scalars(select(BankBatch).order_by(BankBatch.id.desc()).limit(limit))
    return [_view(row) for row in rows]


async def batch(session: AsyncSession, batch_id: str) -> tuple[BatchView, list[BatchLine]]:
    """Raises NotFound. The lines are those of the file, in its order; none for one that was dissolved."""
    row = await session.get(BankBatch, batch_id)
    if row is None:
        raise NotFound("batch_not_found", "There is no such batch", batch=batch_id)
    return _view(row), [
        BatchLine(
            reference=one.reference,
            payout_id=one.payout_id,
            account=one.address,
            cents=one.cents,
            state=one.state,
        )
        for one in await attempts_in(session, batch_id)
    ]


async def names_of(session: AsyncSession, actors: Sequence[str]) -> dict[str, str]:
    """The names of `person:per_…`, by actor; nothing for an actor that is no person."""
    ids = sorted({actor.removeprefix("person:") for actor in actors if actor.startswith("person:")})
    rows = await session.execute(select(Person.id, Person.name).where(Person.id.in_(ids)))
    return {f"person:{person_id}": name for person_id, name in rows.all()}


async def attempts_in(session: AsyncSession, batch_id: str) -> Sequence[PayoutAttempt]:
    query = select(PayoutAttempt).where(PayoutAttempt.batch_id == batch_id)
    return (await session.scalars(query.order_by(PayoutAttempt.id))).all()


def _view(row: BankBatch) -> BatchView:
    return BatchView(
        id=row.id,
        state=row.state,
        payments=row.payments,
        cents=row.cents,
        made_by=row.made_by,
        made_at=row.made_at,
        confirmed_by=row.confirmed_by,
        confirmed_at=row.confirmed_at,
    )
