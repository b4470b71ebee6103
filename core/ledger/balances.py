"""Reads of the ledger: the statement of one account and the trial balance. For the operator's pages and the command
line; the proof that the books are right is `core/ledger/check.py`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import NotFound
from core.ledger.check import Problem, check
from core.ledger.tables import LedgerAccount, LedgerTransfer

__all__ = ["Line", "Problem", "Statement", "TrialBalance", "TrialLine", "check", "statement", "trial_balance"]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One transfer as its account sees it: `change_msat` above zero came in, `other` is the account at its far end."""

    id: str
    at: datetime
    kind: str
    subject: str
    other: str
    change_msat: int


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """`balance_msat` is credits - debits now. `next_before` goes into `before` for the older lines, None at the end."""

    account: str
    kind: str
    balance_msat: int
    lines: Sequence[Line]
    next_before: str | None


class TrialLine(msgspec.Struct, frozen=True, kw_only=True):
    """All accounts of one kind together."""

    kind: str
    accounts: int
    debits_msat: int
    credits_msat: int


class TrialBalance(msgspec.Struct, frozen=True, kw_only=True):
    lines: Sequence[TrialLine]
    debits_msat: int
    credits_msat: int


async def statement(
    session: AsyncSession, account_id: str, *, before: str | None = None, limit: int = 50
) -> Statement:
    """The newest `limit` transfers of an account, or those older than the transfer `before`. Raises NotFound for an
    account, or a `before`, that does not exist."""
    account = await session.get(LedgerAccount, account_id)
    if account is None:
        raise NotFound("account_not_found", "The ledger has no such account", account=account_id)
    table = LedgerTransfer
    query = select(table).where(or_(table.debit_account == account_id, table.credit_account == account_id))
    if before is not None:
        last = await session.get(table, before)
        if last is None:
            raise NotFound("transfer_not_found", "The ledger has no such transfer", transfer=before)
        query = query.where(
            or_(
                table.created_at < last.created_at,
                and_(table.created_at == last.created_at, table.id < last.id),
            )
        )
    query = query.order_by(table.created_at.desc(), table.id.desc()).limit(limit + 1)
    rows = list(await session.scalars(query))
    lines = [_line(account_id, row) for row in rows[:limit]]
    return Statement(
        account=account.id,
        kind=account.kind,
        balance_msat=account.credits_msat - account.debits_msat,
        lines=lines,
        next_before=lines[-1].id if len(rows) > limit else None,
    )


async def trial_balance(session: AsyncSession) -> TrialBalance:
    """The running sums by kind of account. Debits equal credits, or the books are broken."""
    query = select(
        LedgerAccount.kind,
        func.count(),
        func.sum(LedgerAccount.debits_msat),
        func.sum(LedgerAccount.credits_msat),
    )
    rows: Any = await session.execute(query.group_by(LedgerAccount.kind).order_by(LedgerAccount.kind))
    lines = [
        TrialLine(kind=kind, accounts=int(count), debits_msat=int(debits), credits_msat=int(credits_))
        for kind, count, debits, credits_ in rows
    ]
    return TrialBalance(
        lines=lines,
        debits_msat=sum(line.debits_msat for line in lines),
        credits_msat=sum(line.credits_msat for line in lines),
    )


def _line(account_id: str, row: LedgerTransfer) -> Line:
    came_in = row.credit_account == account_id
    return Line(
        id=row.id,
        at=row.created_at,
        kind=row.kind,
        subject=row.subject,
        other=row.debit_account if came_in else row.credit_account,
        change_msat=row.amount_msat if came_in else -row.amount_msat,
    )
