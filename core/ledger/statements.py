"""The statement of one account: its transfers with the balance after each, in pages or all of a period. For the
operator's pages, the command line and `export.py`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import NotFound
from core.ledger.check import snapshot
from core.ledger.post import Phase
from core.ledger.tables import LedgerAccount, LedgerTransfer

AT_ONCE = 1000  # lines of a whole statement fetched at a time

_table = LedgerTransfer


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """From `since` on, up to `until`, which is the first moment outside. Aware, UTC; None is without that end."""

    since: datetime | None = None
    until: datetime | None = None


ALWAYS = Period()


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One transfer as its account sees it: `change_msat` above zero came in, `other` is the account at its far end. A
    pend and a void change nothing: `amount_msat` says what they hold and free. `balance_msat` is what stood after it."""

    id: str
    at: datetime
    kind: str
    phase: str
    subject: str
    other: str
    amount_msat: int
    change_msat: int
    balance_msat: int


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """`balance_msat` is credits - debits now, `held_msat` what open pends may still take of it. `opening_msat` and
    `closing_msat` are the balances at the ends of `period`. `lines` are newest first; `next_before` goes into `before`
    for the older ones, None at the end."""

    account: str
    kind: str
    balance_msat: int
    held_msat: int
    period: Period
    opening_msat: int
    closing_msat: int
    lines: Sequence[Line]
    next_before: str | None


async def statement(
    session: AsyncSession,
    account_id: str,
    *,
    period: Period = ALWAYS,
    before: str | None = None,
    limit: int = 50,
) -> Statement:
    """The newest `limit` transfers of an account in a period, or those older than the transfer `before`. Raises NotFound
    for an account, or a `before`, that does not exist. A fresh `session` gives numbers of one moment."""
    found = await ends(session, account_id, period)
    within, standing = _within(period), found.closing_msat
    if before is not None:
        last = await session.get(_table, before)
        if last is None:
            raise NotFound("transfer_not_found", "The ledger has no such transfer", transfer=before)
        # Not as a tuple: of a tuple's values SQLAlchemy does not know that they are times of ours.
        same = _table.created_at == last.created_at
        newer = or_(_table.created_at > last.created_at, and_(same, _table.id >= last.id))
        standing -= await _moved(session, account_id, *within, newer)
        within.append(or_(_table.created_at < last.created_at, and_(same, _table.id < last.id)))
    query = _lines(account_id, within).order_by(_table.created_at.desc(), _table.id.desc()).limit(limit + 1)
    rows = (await session.execute(query)).all()
    lines: list[Line] = []
    for row in rows[:limit]:
        line = _line(account_id, row, standing)
        lines.append(line)
        standing -= line.change_msat
    return Statement(
        account=found.account.id,
        kind=found.account.kind,
        balance_msat=found.account.credits_msat - found.account.debits_msat,
        held_msat=found.account.debits_pending_msat,
        period=period,
        opening_msat=found.opening_msat,
        closing_msat=found.closing_msat,
        lines=lines,
        next_before=lines[-1].id if len(rows) > limit else None,
    )


async def all_lines(
    session: AsyncSession, account_id: str, period: Period, opening_msat: int
) -> AsyncGenerator[list[Line]]:
    """Every line of the period, oldest first, `AT_ONCE` at a time. `opening_msat` as `ends` of the same session says."""
    query = _lines(account_id, _within(period)).order_by(_table.created_at, _table.id)
    result = await session.stream(query, execution_options={"yield_per": AT_ONCE})
    standing = opening_msat
    async for page in result.partitions():
        lines: list[Line] = []
        for row in page:
            standing += _change(account_id, row)
            lines.append(_line(account_id, row, standing))
        yield lines


class Ends(msgspec.Struct, frozen=True, kw_only=True):
    """An account and its balances before and after a period."""

    account: LedgerAccount
    opening_msat: int
    closing_msat: int


async def ends(session: AsyncSession, account_id: str, period: Period = ALWAYS) -> Ends:
    """Raises NotFound."""
    if not session.in_transaction():
        await snapshot(session)
    account = await session.get(LedgerAccount, account_id)
    if account is None:
        raise NotFound("account_not_found", "The ledger has no such account", account=account_id)
    closing = account.credits_msat - account.debits_msat
    if period.until is not None:
        closing -= await _moved(session, account_id, _table.created_at >= period.until)
    opening = 0
    if period.since is not None:
        opening = closing - await _moved(session, account_id, *_within(period))
    return Ends(account=account, opening_msat=opening, closing_msat=closing)


def _within(period: Period) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if period.since is not None:
        found.append(_table.created_at >= period.since)
    if period.until is not None:
        found.append(_table.created_at < period.until)
    return found


def _of(account_id: str, conditions: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Written twice, so that each half is a range of its own index."""
    return or_(
        and_(_table.debit_account == account_id, *conditions),
        and_(_table.credit_account == account_id, *conditions),
    )


async def _moved(session: AsyncSession, account_id: str, *conditions: ColumnElement[bool]) -> int:
    amount = case((_table.credit_account == account_id, _table.amount_msat), else_=-_table.amount_msat)
    query = select(func.coalesce(func.sum(amount), 0)).where(
        _of(account_id, conditions), _table.phase.in_([str(one) for one in _MOVES])
    )
    return int((await session.execute(query)).scalar_one())


_MOVES = (Phase.SINGLE, Phase.POST)


def _lines(account_id: str, conditions: Sequence[ColumnElement[bool]]) -> Select[*tuple[Any, ...]]:
    names = ("id", "created_at", "kind", "phase", "subject", "debit_account", "credit_account", "amount_msat")
    return select(*(getattr(_table, name) for name in names)).where(_of(account_id, conditions))


def _change(account_id: str, row: Any) -> int:
    if row.phase not in _MOVES:
        return 0
    return row.amount_msat if row.credit_account == account_id else -row.amount_msat


def _line(account_id: str, row: Any, balance_msat: int) -> Line:
    came_in = row.credit_account == account_id
    return Line(
        id=row.id,
        at=row.created_at,
        kind=row.kind,
        phase=row.phase,
        subject=row.subject,
        other=row.debit_account if came_in else row.credit_account,
        amount_msat=row.amount_msat,
        change_msat=_change(account_id, row),
        balance_msat=balance_msat,
    )


def moment(text: str) -> datetime:
    """`2026-11-24` or `2026-11-24T13:30:00`, in UTC. Raises ValueError for anything else, and for a zone that is not UTC."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        return found.replace(tzinfo=UTC)
    if found.utcoffset():
        raise ValueError(f"{text!r} is not UTC")
    return found.astimezone(UTC)
