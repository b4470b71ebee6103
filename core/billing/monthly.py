"""The monthly statement of an organisation: what came in, what its tasks cost, what is left, summed by the ledger. On plans
with `monthly_statement` each month is closed and kept an hour into the next one; else it is summed when it is asked for.
Called by the API, the operator's page, `hub organisations statement` and the job `billing.close_month`."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.access.organisations import get as get_organisation
from core.access.tables import Organisation
from core.audit.record import record
from core.billing.counts import month_of
from core.billing.plans import Plans
from core.billing.tables import BillingStatement
from core.billing.usage import usage
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import Invalid, NotFound
from core.ledger import accounts
from core.ledger.post import Phase
from core.ledger.statements import Period, ends
from core.ledger.tables import LedgerTransfer
from core.outbox.rows import Lease
from core.tasks.model import Environment

CLOSE_AFTER = timedelta(hours=1)  # what was posted in the month is committed by then
MOST_MONTHS = 120  # of a listing


class StatementLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All transfers of one kind between the organisation's two accounts and the rest of the books: `amount_msat` above zero
    came in. `earn` is what workers were owed, `fee` and `spread` the hub's part."""

    kind: str
    transfers: int
    amount_msat: int


class Monthly(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One calendar month (UTC), `since` inclusive, `until` exclusive; both as ISO 8601. Balances are prefund and reserved
    together; `available_msat` and `reserved_msat` are the two at its end. `opening` + the lines = `closing`."""

    month: str
    plan: str
    since: str
    until: str
    opening_msat: int
    closing_msat: int
    available_msat: int
    reserved_msat: int
    lines: list[StatementLine]
    tasks_created: int
    tasks_verified: int
    payouts: int
    payouts_usd: Decimal


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """`closed_at` (UTC) None: summed now, and the month may still change."""

    statement: Monthly
    closed_at: datetime | None


def bounds(month: str) -> tuple[datetime, datetime]:
    """Of `2026-11`, aware UTC. Raises Invalid for anything else."""
    try:
        since = datetime.strptime(f"{month}-01+0000", "%Y-%m-%d%z")
    except ValueError:
        since = None
    if since is None or month_of(since) != month or not 1970 <= since.year <= 9000:
        raise Invalid("bad_month", "No such month", field_errors={"month": "Must be a month such as 2026-11"})
    return since, _next(since)


async def shown(session: AsyncSession, organisation_id: str, environment: str, month: str) -> Shown:
    """The statement that is kept, else the month as it stands now. Raises NotFound for a month before the organisation
    or after the present one, Invalid for what is none. `session` is fresh."""
    since, _ = bounds(month)
    owner = await get_organisation(session, organisation_id)
    if not _first(owner) <= since <= clock.now():
        raise NotFound("statement_not_found", "There is no statement of this month")
    kept = await _kept(session, organisation_id, environment, month)
    if kept is not None:
        return Shown(statement=msgspec.convert(kept.body, Monthly), closed_at=kept.created_at)
    return Shown(statement=await _sum(session, owner, environment, month), closed_at=None)


async def months(
    session: AsyncSession, organisation_id: str, environment: str
) -> list[tuple[str, datetime | None]]:
    """Every month of the organisation, newest first, with the moment at which its statement was closed."""
    owner = await get_organisation(session, organisation_id)
    rows = await session.execute(
        select(BillingStatement.month, BillingStatement.created_at).where(
            BillingStatement.organisation_id == organisation_id,
            BillingStatement.environment == str(environment),
        )
    )
    closed: dict[str, datetime] = {row[0]: row[1] for row in rows}
    found: list[tuple[str, datetime | None]] = []
    start = _first(owner)
    while start <= clock.now():
        found.append((month_of(start), closed.get(month_of(start))))
        start = _next(start)
    return found[::-1][:MOST_MONTHS]


async def close_months(work: UnitOfWork, lease: Lease, plans: Plans) -> None:
    """Close what is over and not closed yet, of every organisation whose plan has statements; then wait for the end of this
    month. A transaction for each statement, so that many organisations hold nothing up."""
    async with work.fenced(lease, "statements.next") as tx:
        schedule(tx, await tx.now_ms(), ahead=1)
    wanted = [name for name in plans.names if plans.get(name).monthly_statement]
    async with work.read() as session:
        query = select(Organisation.id).where(Organisation.plan.in_(wanted)).order_by(Organisation.id)
        owners = list(await session.scalars(query))
    for organisation_id in owners:
        async with work.read() as session:
            waiting = await _to_close(session, organisation_id)
        for month in waiting:
            async with work.read() as session:
                owner = await get_organisation(session, organisation_id)
                made = await _sum(session, owner, Environment.LIVE, month)
            async with work.fenced(lease, "statements.close") as tx:
                await _keep(tx, organisation_id, made)
    async with work.finishing(lease, "statements.closed"):
        return


def schedule(tx: Transaction, now_ms: int, *, ahead: int) -> None:
    """The slot of this month (`ahead` 0: its start is over, so at once) or of the next one."""
    start = clock.from_ms(now_ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(ahead):
        start = _next(start)
    delay = max(0, clock.to_ms(start + CLOSE_AFTER) - now_ms) / 1000
    tx.emit("billing.close_month", "hub", delay=delay, key=f"close_month:{month_of(start)}")


async def _to_close(session: AsyncSession, organisation_id: str) -> list[str]:
    now = clock.now()
    return [
        month
        for month, closed_at in await months(session, organisation_id, Environment.LIVE)
        if closed_at is None and bounds(month)[1] + CLOSE_AFTER <= now
    ]


async def _keep(tx: Transaction, organisation_id: str, made: Monthly) -> None:
    """Once: whoever comes second leaves the first one's as it is."""
    row = BillingStatement(
        id=ids.new("sta"),
        organisation_id=organisation_id,
        environment=str(Environment.LIVE),
        month=made.month,
        body=msgspec.to_builtins(made),
        created_at=clock.from_ms(await tx.now_ms()),
    )
    try:
        async with tx.session.begin_nested():
            tx.session.add(row)
    except IntegrityError:
        return
    await record(
        tx,
        actor="hub",
        action="statement.closed",
        subject=row.id,
        organisation=organisation_id,
        month=made.month,
        closing_msat=made.closing_msat,
    )


async def _kept(
    session: AsyncSession, organisation_id: str, environment: str, month: str
) -> BillingStatement | None:
    return await session.scalar(
        select(BillingStatement).where(
            BillingStatement.organisation_id == organisation_id,
            BillingStatement.environment == str(environment),
            BillingStatement.month == month,
        )
    )


async def _sum(session: AsyncSession, owner: Organisation, environment: str, month: str) -> Monthly:
    since, until = bounds(month)
    period = Period(since=since, until=until)
    mine = [
        accounts.prefund(owner.id, environment).id,
        accounts.reserved(owner.id, environment).id,
    ]
    prefund, reserved = [await ends(session, name, period) for name in mine]
    used = await usage(session, owner.id, environment, since, until)
    return Monthly(
        month=month,
        plan=owner.plan,
        since=clock.iso(since),
        until=clock.iso(until),
        opening_msat=prefund.opening_msat + reserved.opening_msat,
        closing_msat=prefund.closing_msat + reserved.closing_msat,
        available_msat=prefund.closing_msat,
        reserved_msat=reserved.closing_msat,
        lines=await _lines(session, mine, since, until),
        tasks_created=used.total,
        tasks_verified=used.verified,
        payouts=used.payout_count,
        payouts_usd=used.total_usd,
    )


async def _lines(
    session: AsyncSession, mine: list[str], since: datetime, until: datetime
) -> list[StatementLine]:
    """What crossed the border of the two accounts; what only went from one to the other is no line."""
    table = LedgerTransfer
    within = (table.created_at >= since, table.created_at < until)
    came_in = table.credit_account.in_(mine)
    amount = func.sum(case((came_in, table.amount_msat), else_=-table.amount_msat))
    rows: Any = await session.execute(
        select(table.kind, func.count(), amount)
        .where(
            or_(
                and_(came_in, ~table.debit_account.in_(mine), *within),
                and_(table.debit_account.in_(mine), ~came_in, *within),
            ),
            table.phase.in_([str(Phase.SINGLE), str(Phase.POST)]),
        )
        .group_by(table.kind)
        .order_by(table.kind)
    )
    return [
        StatementLine(kind=kind, transfers=int(count), amount_msat=int(msat)) for kind, count, msat in rows
    ]


def _first(owner: Organisation) -> datetime:
    return owner.created_at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _next(start: datetime) -> datetime:
    return (start + timedelta(days=32)).replace(day=1)
