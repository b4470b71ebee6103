"""The only writer of the ledger. The same transfer id with the same content again is a no-op, with other content a
Conflict; the database's triggers add the amounts up, keep the floors and resolve what is pending once."""

from __future__ import annotations

from enum import StrEnum

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from core import clock
from core.db.unit_of_work import Transaction
from core.errors import Conflict
from core.ledger.accounts import Account
from core.ledger.tables import LedgerAccount, LedgerTransfer

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
    free = LedgerAccount.credits_msat - LedgerAccount.debits_msat - LedgerAccount.debits_pending_msat
    statement = select(LedgerAccount.id, free).where(LedgerAccount.id.in_(ids))
    found = await tx.session.execute(statement.order_by(LedgerAccount.id).with_for_update())
    return {row[0]: row[1] for row in found}


async def post(tx: Transaction, transfers: list[Transfer]) -> None:
    """Write the transfers. Raises Conflict for a known id with other content, `insufficient_funds` when an account would
    fall below its floor, and `not_pending` for a POST or VOID whose pend is not there, is resolved already or held less;
    the caller's transaction is over then."""
    wanted = [transfer for transfer in transfers if transfer.amount_msat > 0]
    if not wanted:
        return
    accounts = [side for transfer in wanted for side in (transfer.debit, transfer.credit)]
    held = await balances(tx, sorted({account.id for account in accounts}))
    if len(held) < len({account.id for account in accounts}):
        await open_accounts(tx, accounts)
        await balances(tx, sorted({account.id for account in accounts}))
    known = {
        row.id: row
        for row in await tx.session.scalars(
            select(LedgerTransfer).where(LedgerTransfer.id.in_([t.id for t in wanted]))
        )
    }
    now = clock.from_ms(await tx.now_ms())
    for transfer in wanted:
        if (before := known.get(transfer.id)) is not None:
            _same_or_conflict(before, transfer)
            continue
        tx.session.add(
            LedgerTransfer(
                id=transfer.id,
                debit_account=transfer.debit.id,
                credit_account=transfer.credit.id,
                amount_msat=transfer.amount_msat,
                kind=transfer.kind,
                subject=transfer.subject,
                phase=str(transfer.phase),
                pending_id=transfer.pending_id,
                created_at=now,
            )
        )
    try:
        await tx.session.flush()
    except IntegrityError as error:
        words = str(error.orig)
        if FLOOR in words:
            raise Conflict("insufficient_funds", "An account would fall below its floor") from error
        if "ledger_phase" in words or "pending_id" in words:
            raise Conflict("not_pending", "Nothing is held (any more) for this transfer") from error
        raise


def posted(pend: Transfer, amount_msat: int, name: str, kind: str) -> Transfer:
    """The transfer that moves `amount_msat` (at most all) of what `pend` holds. For zero use `voided`."""
    return msgspec.structs.replace(
        pend, id=name, kind=kind, amount_msat=amount_msat, phase=Phase.POST, pending_id=pend.id
    )


def voided(pend: Transfer, name: str, kind: str) -> Transfer:
    """The transfer that gives back all that `pend` holds."""
    return msgspec.structs.replace(pend, id=name, kind=kind, phase=Phase.VOID, pending_id=pend.id)


def _same_or_conflict(before: LedgerTransfer, now: Transfer) -> None:
    if (
        before.debit_account,
        before.credit_account,
        before.amount_msat,
        before.phase,
        before.pending_id,
    ) != (now.debit.id, now.credit.id, now.amount_msat, now.phase, now.pending_id):
        raise Conflict("transfer_differs", f"Transfer {now.id} exists with other content", transfer=now.id)
