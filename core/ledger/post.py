"""The only writer of the ledger. The same transfer id with the same content again is a no-op, with other content a
Conflict; the database's triggers add the amounts up, keep the floors and resolve what is pending once."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from core.db.base import to_json
from core.db.engine import NOW_MS
from core.db.unit_of_work import Transaction
from core.errors import Conflict
from core.ledger.accounts import Account
from core.ledger.tables import LedgerTransfer

FLOOR = "ck_ledger_accounts_floor"  # both databases name the constraint in their message


class Phase(StrEnum):
    SINGLE = "single"  # moves at once
    PEND = "pend"  # holds the amount on both accounts and moves nothing
    POST = "post"  # moves at most what its pend held; the rest is free again
    VOID = "void"  # moves nothing; all that its pend held is free again


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """`id` says what it is for and is made by the caller, so that a repeat is recognised: `task:<id>:reserve`.
    `subject` is the task or payout that it belongs to. A transfer of zero is not written. `pending_id` is the id of
    the pend that a POST or VOID resolves; both name the accounts of that pend, a VOID its whole amount."""

    id: str
    debit: Account
    credit: Account
    amount_msat: int
    kind: str
    subject: str
    phase: Phase = Phase.SINGLE
    pending_id: str | None = None


async def open_accounts(tx: Transaction, accounts: list[Account]) -> None:
    """Make the accounts that do not exist yet."""
    now = await tx.now_ms()
    sql = (
        "INSERT INTO ledger_accounts (id, kind, floor_msat, debits_msat, credits_msat, created_at) "
        "VALUES ($1, $2, $3, 0, 0, $4) ON CONFLICT (id) DO NOTHING"
    )
    if tx.dialect == "sqlite":
        sql = sql.replace("$", "?")
    rows = sorted({(a.id, str(a.kind), a.floor_msat, now) for a in accounts}, key=lambda row: row[0])
    await tx.execute(sql, rows)


async def balances(tx: Transaction, ids: list[str]) -> dict[str, int]:
    """What each account may still give, in msat: credits - debits - what is held for open pends. The rows are locked in
    the order of their ids, so that two transactions that touch the same accounts never wait for each other in a ring."""
    if tx.session.new or tx.session.dirty:
        await tx.session.flush()
    named = ids if tx.dialect == "postgresql" else to_json(ids)
    return {row[0]: row[1] for row in await tx.execute(_FREE[tx.dialect], (named,))}


_FREE = {
    "postgresql": """
        SELECT id, credits_msat - debits_msat - debits_pending_msat FROM ledger_accounts
        WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE""",
    "sqlite": """
        SELECT id, credits_msat - debits_msat - debits_pending_msat FROM ledger_accounts
        WHERE id IN (SELECT value FROM json_each(?1))""",
}


async def post(tx: Transaction, transfers: list[Transfer]) -> None:
    """Write the transfers. Raises Conflict for a known id with other content, `insufficient_funds` when an account would
    fall below its floor, and `not_pending` for a POST or VOID whose pend is not there, is resolved already or held less;
    the caller's transaction is over then."""
    wanted = [transfer for transfer in transfers if transfer.amount_msat > 0]
    if not wanted:
        return
    accounts = {side.id: side for transfer in wanted for side in (transfer.debit, transfer.credit)}
    ids = sorted(accounts)
    await tx.session.flush()  # as any query of the session would
    try:
        new = await _write(tx, ids, wanted)
        if new is None:
            await open_accounts(tx, list(accounts.values()))
            new = await _write(tx, ids, wanted)
    except IntegrityError as error:
        words = str(error.orig)
        if FLOOR in words:
            raise Conflict("insufficient_funds", "An account would fall below its floor") from error
        if "ledger_phase" in words or "pending_id" in words:
            raise Conflict("not_pending", "Nothing is held (any more) for this transfer") from error
        raise
    if new is None:
        raise RuntimeError(f"accounts are missing after they were opened: {ids}")
    if len(new) < len(wanted):
        await _same_or_conflict(tx, wanted)


async def _write(tx: Transaction, accounts: list[str], wanted: list[Transfer]) -> set[str] | None:
    """The ids that were new; None, and nothing written, when an account does not exist yet. The accounts are locked in
    the order of their ids before anything is written."""
    rows = [_content(one) for one in wanted]
    if tx.dialect == "postgresql":
        found = await tx.execute(_POSTGRES, (accounts, *map(list, zip(*rows, strict=True))))
        count, now_ms, new = found.one()
        tx.saw_now(now_ms)
        return set(new) if count == len(accounts) else None
    found = await tx.execute(
        _SQLITE, (await tx.now_ms(), to_json(accounts), len(accounts), to_json([list(row) for row in rows]))
    )
    new = {row[0] for row in found}
    if new:
        return new
    there = await tx.execute(_THERE, (to_json(accounts),))
    return new if there.scalar_one() == len(accounts) else None


def _content(one: Transfer) -> tuple[Any, ...]:
    """In the order of `_TYPES`."""
    sides = (one.debit.id, one.credit.id)
    return (one.id, *sides, one.amount_msat, one.kind, one.subject, str(one.phase), one.pending_id)


_TYPES = {
    "id": "text",
    "debit_account": "text",
    "credit_account": "text",
    "amount_msat": "bigint",
    "kind": "text",
    "subject": "text",
    "phase": "text",
    "pending_id": "text",
}
_NAMES = ", ".join(_TYPES)

# One round trip: lock, look at the clock, write what is not there yet. The moment is read when all locks are held, so
# that an account's transfers carry times in the order in which they happened. $1 is the accounts.
_POSTGRES = f"""
    WITH locked AS MATERIALIZED (SELECT FROM ledger_accounts WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE),
    held AS MATERIALIZED (SELECT count(*) AS accounts, {NOW_MS["postgresql"]} AS ms FROM locked),
    written AS (
        INSERT INTO ledger_transfers ({_NAMES}, created_at)
        SELECT {", ".join(f"x.{name}" for name in _TYPES)}, held.ms
        FROM held, unnest({", ".join(f"${n}::{kind}[]" for n, kind in enumerate(_TYPES.values(), 2))})
            WITH ORDINALITY AS x ({_NAMES}, place)
        WHERE held.accounts = cardinality($1::text[]) ORDER BY x.place
        ON CONFLICT (id) DO NOTHING RETURNING id)
    SELECT accounts, ms, ARRAY(SELECT id FROM written) FROM held"""  # noqa: S608 - text of ours


# The same for SQLite, where nobody else writes meanwhile: ?1 now, ?2 the accounts, ?3 how many, ?4 the rows.
_SQLITE = f"""
    INSERT INTO ledger_transfers ({_NAMES}, created_at)
    SELECT {", ".join(f"x.value ->> {n}" for n in range(len(_TYPES)))}, ?1 FROM json_each(?4) x
    WHERE (SELECT count(*) FROM ledger_accounts WHERE id IN (SELECT value FROM json_each(?2))) = ?3
    ORDER BY x.key ON CONFLICT (id) DO NOTHING RETURNING id"""  # noqa: S608 - text of ours
_THERE = "SELECT count(*) FROM ledger_accounts WHERE id IN (SELECT value FROM json_each(?1))"


def posted(pend: Transfer, amount_msat: int, name: str, kind: str) -> Transfer:
    """The transfer that moves `amount_msat` (at most all) of what `pend` holds. For zero use `voided`."""
    return msgspec.structs.replace(
        pend, id=name, kind=kind, amount_msat=amount_msat, phase=Phase.POST, pending_id=pend.id
    )


def voided(pend: Transfer, name: str, kind: str) -> Transfer:
    """The transfer that gives back all that `pend` holds."""
    return msgspec.structs.replace(pend, id=name, kind=kind, phase=Phase.VOID, pending_id=pend.id)


async def _same_or_conflict(tx: Transaction, wanted: list[Transfer]) -> None:
    """What stands under the ids now is what was wanted, or a Conflict. Kind and subject are words, not content."""
    table = LedgerTransfer
    found = await tx.session.execute(
        select(
            table.id,
            table.debit_account,
            table.credit_account,
            table.amount_msat,
            table.phase,
            table.pending_id,
        ).where(table.id.in_([one.id for one in wanted]))
    )
    there = {row[0]: tuple(row) for row in found}
    for one in wanted:
        same = (one.id, one.debit.id, one.credit.id, one.amount_msat, str(one.phase), one.pending_id)
        if there[one.id] != same:
            raise Conflict(
                "transfer_differs", f"Transfer {one.id} exists with other content", transfer=one.id
            )
