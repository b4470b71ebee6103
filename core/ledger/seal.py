"""Appends the links of the chain (`core/ledger/chain.py`) for transfers that were committed. Called every second by the
money worker (`hub/jobs/sealing.py`), and before the books are checked or exported. Why not by `post`: DECISIONS.md, 13."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import NOW_MS
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction, UnitOfWork
from core.ledger.chain import COLUMNS, GENESIS, SEALED_WITHIN_MS, Head, head, link_hash

BATCH = 5000  # links of one transaction
_LOCK = 0x6C656467  # "ledg": one sealer at a time on PostgreSQL; SQLite has one writer anyway

# Transfers without a link, from a while before the newest link on: a transfer carries the time of its posting, and may be
# committed after one that was posted later. What is older than that and has no link did not come by `post`: it is left
# for the check to find. The look-up of the link is a scalar subquery on purpose, so that no planner joins all the chain.
_OPEN = """
    SELECT {columns} FROM ledger_transfers t
    WHERE t.created_at >= COALESCE((
        SELECT {least}(l.created_at, {now}) - {look_back} FROM ledger_chain c JOIN ledger_transfers l ON l.id = c.transfer_id
        ORDER BY c.number DESC LIMIT 1), -9223372036854775808)
    AND (SELECT c.number FROM ledger_chain c WHERE c.transfer_id = t.id LIMIT 1) IS NULL
    ORDER BY t.created_at, t.id LIMIT {limit}"""


async def _open(session: AsyncSession, look_back_ms: int, limit: int) -> list[Any]:
    dialect = session.get_bind().dialect.name
    sql = _OPEN.format(
        columns=", ".join(f"t.{name}" for name in COLUMNS),
        least="min" if dialect == "sqlite" else "least",
        now=NOW_MS[dialect],
        look_back=int(look_back_ms),
        limit=int(limit),
    )
    return list((await session.execute(text(sql))).all())


async def seal(tx: Transaction, limit: int = BATCH, *, look_back_ms: int = SEALED_WITHIN_MS) -> int:
    """Append at most `limit` links, in the order of (created_at, id); how many there were. Two sealers wait for each
    other until the commit, so the chain never forks."""
    if tx.dialect == "postgresql":
        await tx.execute("SELECT pg_advisory_xact_lock($1)", (_LOCK,))
    last = await head(tx.session) or Head(0, GENESIS)
    number, hashed = last.number, last.hash
    made: list[tuple[int, str, str]] = []
    for transfer in await _open(tx.session, look_back_ms, limit):
        number += 1
        hashed = link_hash(hashed, number, transfer)
        made.append((number, transfer[0], hashed))
    if made:
        sql = "INSERT INTO ledger_chain (number, transfer_id, hash) VALUES ($1, $2, $3)"
        await tx.execute(for_dialect(sql, tx.dialect), made)
    return len(made)


async def seal_all(work: UnitOfWork, *, look_back_ms: int = SEALED_WITHIN_MS) -> int:
    """Seal until nothing is left, a transaction for each batch; how many links were added. When there is nothing to do
    this is one query by an index, and no lock."""
    async with work.read() as session:
        if not await _open(session, look_back_ms, 1):
            return 0
    added = 0
    while True:
        async with work.begin("ledger.seal") as tx:
            count = await seal(tx, look_back_ms=look_back_ms)
        added += count
        if count < BATCH:
            return added
        look_back_ms = 0  # what is older was in the batch before
