"""The ledger as CSV or JSON lines, for people who do not trust us: all transfers in chain order, the accounts, one account's
statement. Written by `hub ledger export` and the operator's pages; `tests/verify_ledger.py` reads it.

A spreadsheet runs a cell that begins with `=`, `+`, `-` or `@` (OWASP, "CSV Injection"; the tab, line ends and full-width
forms too). A text that begins so, or with an apostrophe, gets one apostrophe before it; whoever reads a text cell takes one
leading apostrophe away, and has the text as it was. All texts are in quotes, numbers are not."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.ledger import chain
from core.ledger.statements import ALWAYS, Period, all_lines, ends

RISKY = frozenset("=+-@\t\r\n'＝＋－＠")

TRANSFERS = ("number", "hash", *chain.COLUMNS)
ACCOUNTS = (
    "id",
    "kind",
    "floor_msat",
    "debits_msat",
    "credits_msat",
    "debits_pending_msat",
    "credits_pending_msat",
)
STATEMENT = ("at", "id", "kind", "phase", "subject", "other", "amount_msat", "change_msat", "balance_msat")

Rows = AsyncIterator[Iterable[Sequence[Any]]]


class Format(StrEnum):
    CSV = "csv"  # RFC 4180, UTF-8, a line of names first; no value is an empty cell
    JSONL = "jsonl"  # one JSON object a line; no value is null


def transfers(session: AsyncSession, form: Format, period: Period = ALWAYS) -> AsyncGenerator[str]:
    """Every sealed transfer in chain order, with number and hash. Only the whole can be verified; a period is for reading."""
    return _written(form, TRANSFERS, _transfers(session, period))


def accounts(session: AsyncSession, form: Format) -> AsyncGenerator[str]:
    """Every account with the sums that the sealed transfers give, by id. From the same snapshot as `transfers`."""
    return _written(form, ACCOUNTS, _accounts(session))


def statement(
    session: AsyncSession, form: Format, account_id: str, period: Period = ALWAYS
) -> AsyncGenerator[str]:
    """One account's lines, oldest first, between a line `opening` and a line `closing` with the balances at the ends.
    Raises NotFound before the first."""
    return _written(form, STATEMENT, _statement(session, account_id, period))


async def _transfers(session: AsyncSession, period: Period) -> AsyncGenerator[Iterable[Sequence[Any]]]:
    since, until = (clock.to_ms(end) if end else None for end in (period.since, period.until))
    async for page in chain.links(session, since_ms=since, until_ms=until):
        yield [(row[0], row[1], row[2], *row[4:]) for row in page]


# What is committed and not sealed yet is in the running sums already, and must not be in the export of the sums.
_NOT_SEALED = """
    SELECT t.debit_account, t.credit_account, t.phase, t.amount_msat, p.amount_msat
    FROM ledger_transfers t LEFT JOIN ledger_chain c ON c.transfer_id = t.id
    LEFT JOIN ledger_transfers p ON p.id = t.pending_id WHERE c.transfer_id IS NULL"""


async def _accounts(session: AsyncSession) -> AsyncGenerator[Iterable[Sequence[Any]]]:
    early: dict[str, list[int]] = {}  # account -> the four sums of what is not sealed
    for debit, credit, phase, amount, pended in await session.execute(text(_NOT_SEALED)):
        moved = amount if phase in ("single", "post") else 0
        held = {"single": 0, "pend": amount}.get(phase, -(pended or 0))
        for account, side in ((debit, 0), (credit, 1)):
            sums = early.setdefault(account, [0, 0, 0, 0])
            sums[side] += moved
            sums[side + 2] += held
    nothing = [0, 0, 0, 0]
    sql = f"SELECT {', '.join(ACCOUNTS)} FROM ledger_accounts ORDER BY id"  # noqa: S608 - names of ours
    async for page in chain.pages(session, sql):
        yield [
            (*row[:3], *(a - b for a, b in zip(row[3:], early.get(row[0], nothing), strict=True)))
            for row in page
        ]


async def _statement(
    session: AsyncSession, account_id: str, period: Period
) -> AsyncGenerator[Iterable[Sequence[Any]]]:
    found = await ends(session, account_id, period)
    yield [_end("opening", period.since, found.opening_msat)]
    async for page in all_lines(session, account_id, period, found.opening_msat):
        yield [(clock.iso(line.at), *(getattr(line, name) for name in STATEMENT[1:])) for line in page]
    yield [_end("closing", period.until, found.closing_msat)]


def _end(kind: str, at: Any, balance_msat: int) -> Sequence[Any]:
    return (clock.iso(at) if at else None, None, kind, None, None, None, None, None, balance_msat)


async def _written(form: Format, names: Sequence[str], rows: Rows) -> AsyncGenerator[str]:
    if form is Format.CSV:
        yield _csv([names])
        async for page in rows:
            yield _csv(page)
    else:
        async for page in rows:
            yield "".join(f"{_json(dict(zip(names, row, strict=True)))}\n" for row in page)


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    # text is always quoted: a semicolon must not split a cell where spreadsheets split there
    csv.writer(out, quoting=csv.QUOTE_NONNUMERIC).writerows([_safe(cell) for cell in row] for row in rows)
    return out.getvalue()


def _safe(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in RISKY else cell


def _json(row: dict[str, Any]) -> str:
    return msgspec.json.encode(row).decode()
