"""The trial balance: the running sums of all accounts by kind. For the operator's pages and the command line; one account's
lines are `statements.py`, the proof that the books are right is `check.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.ledger.check import Problem, check
from core.ledger.statements import Line, Statement, statement
from core.ledger.tables import LedgerAccount

__all__ = ["Line", "Problem", "Statement", "TrialBalance", "TrialLine", "check", "statement", "trial_balance"]


class TrialLine(msgspec.Struct, frozen=True, kw_only=True):
    """All accounts of one kind together; `kind` is empty in the sum of all."""

    kind: str
    accounts: int
    debits_msat: int
    credits_msat: int
    debits_pending_msat: int
    credits_pending_msat: int

    @property
    def balance_msat(self) -> int:
        return self.credits_msat - self.debits_msat


class TrialBalance(msgspec.Struct, frozen=True, kw_only=True):
    lines: Sequence[TrialLine]
    total: TrialLine

    @property
    def debits_msat(self) -> int:
        return self.total.debits_msat

    @property
    def credits_msat(self) -> int:
        return self.total.credits_msat

    @property
    def balanced(self) -> bool:
        """Debits equal credits, of what moved and of what is held; or the books are broken."""
        total = self.total
        return (total.debits_msat, total.debits_pending_msat) == (
            total.credits_msat,
            total.credits_pending_msat,
        )


_SUMS = ("debits_msat", "credits_msat", "debits_pending_msat", "credits_pending_msat")


async def trial_balance(session: AsyncSession) -> TrialBalance:
    query = select(
        LedgerAccount.kind,
        func.count(),
        func.sum(LedgerAccount.debits_msat),
        func.sum(LedgerAccount.credits_msat),
        func.sum(LedgerAccount.debits_pending_msat),
        func.sum(LedgerAccount.credits_pending_msat),
    )
    rows: Any = await session.execute(query.group_by(LedgerAccount.kind).order_by(LedgerAccount.kind))
    lines = [_line(kind, int(count), [int(one) for one in sums]) for kind, count, *sums in rows]
    sums = [sum(getattr(line, name) for line in lines) for name in _SUMS]
    return TrialBalance(lines=lines, total=_line("", sum(line.accounts for line in lines), sums))


def _line(kind: str, accounts: int, sums: Sequence[int]) -> TrialLine:
    return TrialLine(kind=kind, accounts=accounts, **dict(zip(_SUMS, sums, strict=True)))
