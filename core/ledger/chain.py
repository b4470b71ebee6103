"""The hash chain over all transfers: what a link's hash is made of, and the proof that nothing was changed, left out or
put in. Links are written by `core/ledger/seal.py`; `tests/verify_ledger.py` does the same sums without this code."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import NOW_MS

GENESIS = "0" * 64  # what stands before link 1
AT_ONCE = 5000  # rows fetched at a time
SEALED_WITHIN_MS = 3_600_000  # a transfer that is older must have its link

# Every column of a transfer, in the order in which it is hashed. A new column comes last.
COLUMNS = (
    "id",
    "debit_account",
    "credit_account",
    "amount_msat",
    "kind",
    "subject",
    "created_at",
    "phase",
    "pending_id",
)

_encode = msgspec.json.Encoder().encode


class Head(msgspec.Struct, frozen=True):
    """The newest link. Whoever keeps it elsewhere can prove later that nothing before it was changed."""

    number: int
    hash: str


class Breach(msgspec.Struct, frozen=True):
    """As `core.ledger.check.Problem`, which says what the fields mean."""

    rule: str
    subject: str
    wanted: int
    found: int


def link_hash(previous: str, number: int, transfer: Sequence[Any]) -> str:
    """SHA-256, in lower-case hex, of the UTF-8 text of one JSON array without spaces: the hash of the link before, the
    link's number, then `COLUMNS` (amount in msat, `created_at` in ms UTC, no `pending_id` is null). In Python:
    `json.dumps([previous, number, *transfer], separators=(",", ":"), ensure_ascii=False)`."""
    return hashlib.sha256(_encode([previous, number, *transfer])).hexdigest()


async def head(session: AsyncSession) -> Head | None:
    """None while nothing is sealed."""
    found = await session.execute(text("SELECT number, hash FROM ledger_chain ORDER BY number DESC LIMIT 1"))
    row = found.one_or_none()
    return Head(row[0], row[1]) if row else None


_LINKS = f"""
    SELECT c.number, c.hash, c.transfer_id, {", ".join(f"t.{name}" for name in COLUMNS)}
    FROM ledger_chain c LEFT JOIN ledger_transfers t ON t.id = c.transfer_id"""  # noqa: S608 - names of ours


async def links(
    session: AsyncSession,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    at_once: int = AT_ONCE,
) -> AsyncGenerator[Sequence[Any]]:
    """All links in their order, `at_once` at a time, each as (number, hash, transfer's id, *COLUMNS); the columns are
    None when the transfer is gone. With a period only those of transfers made in it (ms UTC, `until_ms` excluded)."""
    conditions = [
        f"t.created_at {sign} {int(moment)}"
        for sign, moment in ((">=", since_ms), ("<", until_ms))
        if moment is not None
    ]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    async for page in pages(session, f"{_LINKS}{where} ORDER BY c.number", at_once):
        yield page


async def pages(session: AsyncSession, sql: str, at_once: int = AT_ONCE) -> AsyncGenerator[Sequence[Any]]:
    """The rows of a text statement without bound values, never more than `at_once` in memory. The size is said to
    `partitions` itself: of a text statement SQLAlchemy ignores `yield_per`, and would fetch everything."""
    options = {"stream_results": True, "max_row_buffer": at_once}
    result = await session.stream(text(sql.replace(":", r"\:")), execution_options=options)
    async for page in result.partitions(at_once):
        yield page


async def breaches(session: AsyncSession, kept: str | None = None) -> AsyncGenerator[Breach]:
    """Everything that is wrong with the chain. `kept` is a head's hash that was kept elsewhere: it must be one of the
    hashes. After a wrong link the next one is held against the hash that is stored, so that one change is one breach."""
    previous, number, seen = GENESIS, 0, kept is None
    count = 0
    async for page in links(session):
        for found, stored, transfer_id, *transfer in page:
            count += 1
            number += 1
            if found != number:
                yield Breach("chain_number", f"link {number}", number, found)
                number = found
            if transfer[0] is None:
                yield Breach("chain_transfer", f"link {found}: {transfer_id}", 1, 0)
            elif link_hash(previous, found, transfer) != stored:
                yield Breach("chain_hash", f"link {found}: {transfer_id}", 1, 0)
            previous = stored
            seen = seen or stored == kept
    if not seen:
        yield Breach("chain_head", f"{kept}", 1, 0)
    async for breach in _unsealed(session, count):
        yield breach


async def _unsealed(session: AsyncSession, links_: int) -> AsyncGenerator[Breach]:
    """Transfers without a link that had the time to get one; and the count of all, so that no link is there twice."""
    open_ = (
        "FROM ledger_transfers t LEFT JOIN ledger_chain c ON c.transfer_id = t.id WHERE c.transfer_id IS NULL"
    )
    late = f"SELECT t.id {open_} AND t.created_at < {NOW_MS[session.get_bind().dialect.name]} - {SEALED_WITHIN_MS}"
    async for page in pages(session, f"{late} ORDER BY t.id"):
        for row in page:
            yield Breach("unsealed", row[0], 1, 0)
    waiting = (await session.execute(text(f"SELECT count(*) {open_}"))).scalar_one()
    everything = (await session.execute(text("SELECT count(*) FROM ledger_transfers"))).scalar_one()
    if everything - waiting != links_:
        yield Breach("chain_count", "links", everything - waiting, links_)
